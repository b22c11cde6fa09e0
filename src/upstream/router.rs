//! Several upstreams as one: the model's name chooses, then priority and weight, then whoever is left.

use std::{collections::BTreeSet, sync::Arc};

use ::http::StatusCode;
use rand::{Rng, RngExt};
use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::{
    Ask, Reply, UpstreamError,
    config::{UpstreamConfig, UpstreamConfigError},
    http::HttpUpstream,
    local::Local,
    service::InProcess,
};
use crate::telemetry::Metrics;

/// One that can be asked.
pub enum Upstream {
    /// Over HTTP.
    Http(Box<HttpUpstream>),
    /// The model inside.
    Local(Local),
    /// A service of this process.
    InProcess(InProcess),
}

impl UpstreamConfig {
    /// The upstream of these settings.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn build(&self, metrics: Arc<Metrics>) -> Result<Upstream, UpstreamConfigError> {
        Ok(Upstream::Http(Box::new(HttpUpstream::new(self.clone(), metrics)?)))
    }
}

impl Upstream {
    fn name(&self) -> &str {
        match self {
            Self::Http(http) => &http.config().name,
            Self::Local(local) => local.name(),
            Self::InProcess(service) => service.name(),
        }
    }

    fn models(&self) -> impl Iterator<Item = &str> {
        let (listed, own) = match self {
            Self::Http(http) => (&*http.config().models, None),
            Self::Local(local) => (&[][..], Some(local.name())),
            Self::InProcess(_) => (&[][..], Some("*")),
        };
        listed.iter().map(String::as_str).chain(own)
    }

    fn rank(&self) -> (u32, u32) {
        match self {
            Self::Http(http) => (http.config().priority, http.config().weight),
            Self::Local(_) | Self::InProcess(_) => (0, 1),
        }
    }

    fn is_ready(&self) -> bool {
        match self {
            Self::Http(http) => http.is_ready(),
            Self::Local(_) | Self::InProcess(_) => true,
        }
    }

    async fn send(&self, ask: &Ask) -> Result<Reply, UpstreamError> {
        match self {
            Self::Http(http) => http.send(ask).await,
            Self::Local(local) => local.send(ask.clone()).await,
            Self::InProcess(service) => service.send(ask).await,
        }
    }

    /// How closely it names a model: an exact name is closer than any pattern, a longer pattern than a shorter.
    fn closeness(&self, model: &str) -> Option<usize> {
        let close = |name: &str| match name.contains('*') {
            false if name == model => Some(usize::MAX),
            true if name == "*" || WildMatch::new(name).matches(model) => Some(name.len()),
            _ => None,
        };
        self.models().filter_map(close).max()
    }
}

/// All that can be asked.
pub struct Upstreams(Vec<Upstream>);

impl Upstreams {
    /// These upstreams.
    ///
    /// # Errors
    /// Two of one name.
    pub fn new(upstreams: Vec<Upstream>) -> Result<Self, UpstreamConfigError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = upstreams.iter().find(|upstream| !names.insert(upstream.name())) {
            return Err(UpstreamConfigError::Duplicate(twice.name().to_owned()));
        }
        drop(names);
        Ok(Self(upstreams))
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(Upstream::name).collect()
    }

    /// Whether any of them may be asked right now, or there are none to ask.
    pub fn is_ready(&self) -> bool {
        self.0.is_empty() || self.0.iter().any(Upstream::is_ready)
    }

    /// Asks the upstreams that serve the model, in order, until one answers.
    ///
    /// # Errors
    /// Nobody serves the model, or nobody answered: then the last one's error.
    pub async fn send(&self, ask: Ask) -> Result<Reply, UpstreamError> {
        let order = self.order(&ask.model, &mut rand::rng());
        let mut last = None;
        for (i, upstream) in order.iter().enumerate() {
            let is_last = i + 1 == order.len();
            match upstream.send(&ask).await {
                Ok(reply) if is_ill(reply.status) && !is_last => last = Some(Ok(reply)),
                Ok(reply) => return Ok(reply),
                Err(error) if may_fall_back(&error) && !is_last => {
                    tracing::warn!(upstream = upstream.name(), %error, "falling back to the next upstream");
                    last = Some(Err(error));
                }
                Err(error) => return Err(error),
            }
        }
        last.unwrap_or_else(|| {
            let known: BTreeSet<&str> = self.0.iter().flat_map(Upstream::models).collect();
            let known: Vec<&str> = known.into_iter().collect();
            Err(UpstreamError::UnknownModel { model: shortened(&ask.model), known: known.join(", ") })
        })
    }

    /// Those that name the model most closely: by priority, and by chance as the weights say within one.
    fn order(&self, model: &str, rng: &mut impl Rng) -> Vec<&Upstream> {
        if let [only] = &*self.0 {
            return only.closeness(model).map(|_| only).into_iter().collect();
        }
        let close: Vec<(usize, &Upstream)> =
            self.0.iter().filter_map(|upstream| Some((upstream.closeness(model)?, upstream))).collect();
        let closest = close.iter().map(|(closeness, _)| *closeness).max();
        let mut chosen: Vec<(u32, f64, &Upstream)> = (close.into_iter())
            .filter(|(closeness, _)| Some(*closeness) == closest)
            .map(|(_, upstream)| {
                let (priority, weight) = upstream.rank();
                // Weighted sampling without replacement: the largest u^(1/w) first (Efraimidis and Spirakis, 2006).
                let key = rng.random::<f64>().powf(1.0 / f64::from(weight));
                (priority, -key, upstream)
            })
            .collect();
        chosen.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        chosen.into_iter().map(|(.., upstream)| upstream).collect()
    }

    /// OpenAI's model objects of all of them, each name once.
    pub async fn models(&self) -> Vec<Value> {
        let lists = self.0.iter().map(|upstream| async move {
            match upstream {
                Upstream::Http(http) if upstream.models().any(|name| name.contains('*')) => {
                    let listed = http.models().await.unwrap_or_else(|error| {
                        tracing::warn!(upstream = upstream.name(), %error, "an upstream does not list its models");
                        Vec::new()
                    });
                    let ours = |model: &Value| model["id"].as_str().is_some_and(|id| upstream.closeness(id).is_some());
                    listed.into_iter().filter(ours).collect()
                }
                // Its own list is asked for at its own route.
                Upstream::InProcess(_) => Vec::new(),
                Upstream::Local(local) => vec![model_object(local.name(), "demur")],
                _ => upstream.models().map(|name| model_object(name, upstream.name())).collect::<Vec<_>>(),
            }
        });
        let mut seen = BTreeSet::new();
        let all = futures_util::future::join_all(lists).await.into_iter().flatten();
        all.filter(|model| model["id"].as_str().is_some_and(|id| seen.insert(id.to_owned()))).collect()
    }
}

fn model_object(name: &str, owner: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": owner})
}

/// Whether the answer is about the upstream rather than the request: another one may do better.
fn is_ill(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// Whether another upstream may do what this one did not: nothing was answered, and the request is not at fault.
fn may_fall_back(error: &UpstreamError) -> bool {
    match error {
        UpstreamError::Unavailable { .. }
        | UpstreamError::Overloaded { .. }
        | UpstreamError::Timeout { .. } => true,
        UpstreamError::UnknownModel { .. } | UpstreamError::Invalid { .. } | UpstreamError::Broken { .. } => {
            false
        }
    }
}

/// A client's model name may be anything; an error need not repeat all of it.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(64) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}
