//! The guards of a process: which policy judges which caller.

use std::{collections::BTreeMap, sync::Arc};

use http::HeaderMap;
use serde::Deserialize;
use wildmatch::WildMatch;

use super::Guard;

/// Chooses a policy for some requests; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The name of the caller's API key.
    pub key: Option<String>,
    /// The model that the client names; `*` stands for any run of characters.
    pub model: Option<String>,
    /// A request header, as `name: value`.
    pub header: Option<String>,
    /// The policy to use: a shipped one's name, or a file.
    pub policy: String,
}

/// What a request is matched by.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The name of its API key, when keys are in use.
    pub key: Option<&'a str>,
    /// The model it names.
    pub model: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

impl Route {
    fn matches(&self, caller: &Caller<'_>) -> bool {
        let key = self.key.as_deref().is_none_or(|key| caller.key == Some(key));
        let model = self.model.as_deref().is_none_or(|glob| WildMatch::new(glob).matches(caller.model));
        let header = self.header.as_deref().is_none_or(|header| {
            let (name, value) = header.split_once(':').unwrap_or((header, ""));
            let found = caller.headers.get(name.trim()).and_then(|found| found.to_str().ok());
            found.is_some_and(|found| found.trim() == value.trim())
        });
        key && model && header
    }
}

/// All guards, swapped whole on reload.
pub struct GuardSet {
    default: Arc<Guard>,
    routes: Vec<(Route, Arc<Guard>)>,
    by_name: BTreeMap<String, Arc<Guard>>,
}

impl GuardSet {
    /// The guard of everyone, then the routes in order with theirs.
    pub fn new(default: Arc<Guard>, routes: Vec<(Route, Arc<Guard>)>) -> Self {
        let all = routes.iter().map(|(_, guard)| guard).chain([&default]);
        let by_name = all.map(|guard| (guard.policy().id().name.to_string(), Arc::clone(guard))).collect();
        Self { default, routes, by_name }
    }

    /// The guard for a request: that of the first route that fits, else the default.
    pub fn choose(&self, caller: &Caller<'_>) -> &Arc<Guard> {
        self.routes.iter().find(|(route, _)| route.matches(caller)).map_or(&self.default, |(_, guard)| guard)
    }

    /// The guard of whom no route fits.
    pub fn fallback(&self) -> &Arc<Guard> {
        &self.default
    }

    /// A guard by its policy's name.
    pub fn named(&self, name: &str) -> Option<&Arc<Guard>> {
        self.by_name.get(name)
    }

    /// Every guard, by policy name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Guard>> {
        self.by_name.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(route: &Route, key: Option<&str>, model: &str, header: Option<(&'static str, &str)>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        route.matches(&Caller { key, model, headers: &headers })
    }

    #[test]
    fn all_that_is_given_must_hold() {
        let route = Route { key: Some("kids".into()), model: Some("gpt-*".into()), ..Route::default() };
        assert!(fits(&route, Some("kids"), "gpt-4o", None));
        assert!(!fits(&route, None, "gpt-4o", None));
        assert!(!fits(&route, Some("kids"), "llama", None));
    }

    #[test]
    fn a_header_is_compared_by_name_and_value() {
        let route = Route { header: Some("x-tenant: school".into()), ..Route::default() };
        assert!(fits(&route, None, "any", Some(("x-tenant", "school"))));
        assert!(!fits(&route, None, "any", Some(("x-tenant", "bank"))));
        assert!(!fits(&route, None, "any", None));
    }
}
