//! Loads policies and texts from the names in the settings: at the start, and again at every reload.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;

use crate::{
    config,
    detect::{classifier, conversation, external},
    gateway::Rules,
    guard::{Detectors, Guard, Limits, reply::Replies, set::GuardSet},
    message::Direction,
    policy::{BUILTIN, Catalog, Policy},
    telemetry::Metrics,
};

/// Knows where rules come from, and makes them.
pub struct Loader {
    names: config::Rules,
    detectors: Detectors,
    limits: Limits,
    metrics: Arc<Metrics>,
}

impl Loader {
    /// A loader of the rules that these settings name.
    pub fn new(names: config::Rules, detectors: Detectors, limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self { names, detectors, limits, metrics }
    }

    /// Reads everything anew. All or nothing: one wrong file and there are no new rules.
    ///
    /// # Errors
    /// Which file is wrong, where, and what was expected.
    pub fn load(&self) -> anyhow::Result<Rules> {
        let replies = match &self.names.replies {
            Some(folder) => Replies::load(folder)?,
            None => Replies::builtin(),
        };
        let catalog = self.detectors.catalog(replies.names(), replies.notices());
        // A policy that several routes name is compiled once.
        let mut made: BTreeMap<&str, Arc<Guard>> = BTreeMap::new();
        let names = self.names.routes.iter().map(|route| &*route.policy).chain([&*self.names.policy]);
        for name in names {
            if !made.contains_key(name) {
                made.insert(name, Arc::new(self.guard(name, &catalog)?));
            }
        }
        let routes = self.names.routes.iter().map(|route| (route.clone(), Arc::clone(&made[&*route.policy])));
        let guards = GuardSet::new(Arc::clone(&made[&*self.names.policy]), routes.collect());
        Ok(Rules { guards, replies: Arc::new(replies) })
    }

    fn guard(&self, name: &str, catalog: &Catalog) -> anyhow::Result<Guard> {
        let policy = find(name, catalog)?;
        for signal in Direction::ALL.iter().flat_map(|direction| policy.reads(*direction)) {
            // A signal is called by its detector, but for those that are about a whole talk.
            let model =
                if **signal == *conversation::ESCALATION { classifier::NAME } else { namespace(signal) };
            anyhow::ensure!(
                !is_model(model) || self.detectors.has(model),
                "policy `{name}` reads `{signal}`, and {}",
                if model == classifier::NAME {
                    "no guard model is loaded; name its folder (`guard_model`), or serve the policy `patterns`"
                } else {
                    "no such guard is in the settings (`guards`)"
                }
            );
        }
        Guard::new(Arc::new(policy), &self.detectors, self.limits, Arc::clone(&self.metrics))
            .with_context(|| format!("policy `{name}`"))
    }

    /// The files and folders that these rules were made from.
    pub fn sources(&self, rules: &Rules) -> Vec<PathBuf> {
        let policies = rules.guards.all().flat_map(|guard| guard.policy().sources().to_vec());
        policies.chain(self.names.replies.clone()).collect()
    }
}

fn namespace(signal: &str) -> &str {
    signal.split('.').next().unwrap_or_default()
}

/// Whether signals of that namespace come from a model, which may be missing.
fn is_model(namespace: &str) -> bool {
    namespace == classifier::NAME || external::signals().any(|(name, _)| name == namespace)
}

/// A policy by a shipped one's name or by its file. A file wins, so that a name can be overridden on purpose.
///
/// # Errors
/// No such policy, or what is wrong in it.
pub fn find(name: &str, catalog: &Catalog) -> anyhow::Result<Policy> {
    let path = Path::new(name);
    if path.is_file() {
        return Ok(Policy::load(path, catalog)?);
    }
    if BUILTIN.contains(&name) {
        return Ok(Policy::builtin(name, catalog)?);
    }
    anyhow::bail!(
        "no policy file `{name}`, and no shipped policy of that name; shipped: {}",
        BUILTIN.join(", ")
    )
}
