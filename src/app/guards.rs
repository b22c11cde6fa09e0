//! Guards behind other servers: asked through upstreams of their own, on every exchange or where the guard model is in doubt.

use std::{sync::Arc, time::Instant};

use ::http::HeaderMap;
use anyhow::Context;
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::timeout_at;

use crate::{
    config::GuardConfig,
    detect::{
        Detector,
        cascade::Cascade,
        external::{Ask, AskError, External, Family, Kind, granite_guardian, judge},
    },
    telemetry::Metrics,
    upstream::{self, ReplyBody, UpstreamError, Upstreams},
};

/// Granite Guardian's risks where the settings name none.
const RISKS: [&str; 2] = ["harm", "jailbreak"];

/// The detector of these settings. `model` is the guard model, which some of them wait for.
///
/// # Errors
/// What is wrong with the settings.
pub(super) fn guard(
    settings: &GuardConfig,
    model: Option<&Arc<dyn Detector>>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Arc<dyn Detector>> {
    let name = settings.kind.as_str();
    let upstream = settings.upstream.build(Arc::clone(metrics)).with_context(|| format!("guard `{name}`"))?;
    let server = Server { upstreams: Upstreams::new(vec![upstream])?, model: settings.model.clone() };
    let kind = kind(settings)?;
    let external: Arc<dyn Detector> =
        Arc::new(External::new(kind, settings.model.clone(), settings.max_tokens, Arc::new(server)));
    let Some((low, high)) = settings.between else { return Ok(external) };
    let model = model.with_context(|| {
        format!(
            "guard `{name}`: `between` asks for scores of the guard model, and none is loaded (`guard_model`)"
        )
    })?;
    Ok(Arc::new(Cascade::new(Arc::clone(model), low..=high, external)))
}

fn kind(settings: &GuardConfig) -> anyhow::Result<Kind> {
    Ok(match settings.kind {
        Family::LlamaGuard => Kind::LlamaGuard,
        Family::Qwen3guard => Kind::Qwen3Guard,
        Family::GraniteGuardian => {
            let named = settings.risks.iter().map(String::as_str);
            let names: Vec<&str> = if settings.risks.is_empty() { RISKS.to_vec() } else { named.collect() };
            Kind::GraniteGuardian(
                names.into_iter().map(str::parse).collect::<Result<Vec<granite_guardian::Risk>, _>>()?,
            )
        }
        Family::Judge => Kind::Judge(match &settings.prompt_file {
            None => judge::DEFAULT_PROMPT.into(),
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("guard `judge`: can't read `prompt_file` `{}`", path.display()))?
                .into(),
        }),
    })
}

/// The server of a guard.
struct Server {
    upstreams: Upstreams,
    model: String,
}

impl Server {
    async fn send(&self, body: Bytes) -> Result<Bytes, AskError> {
        let ask = upstream::Ask {
            path: "/chat/completions",
            model: self.model.clone(),
            stream: false,
            body,
            headers: HeaderMap::new(),
            request_id: "guard".into(),
        };
        let reply = self.upstreams.send(ask).await.map_err(|error| match error {
            UpstreamError::Overloaded { .. } => AskError::Overloaded,
            UpstreamError::Timeout { .. } => AskError::Late,
            other => AskError::Failed(other.to_string()),
        })?;
        match reply.body {
            ReplyBody::Whole(body) if reply.status.is_success() => Ok(body),
            ReplyBody::Whole(_) => Err(AskError::Failed(format!("status {}", reply.status))),
            ReplyBody::Events(_) => {
                Err(AskError::Failed("a stream of events, which was not asked for".to_owned()))
            }
        }
    }
}

impl Ask for Server {
    fn ask(&self, body: Bytes, deadline: Instant) -> BoxFuture<'_, Result<Bytes, AskError>> {
        async move { timeout_at(deadline.into(), self.send(body)).await.unwrap_or(Err(AskError::Late)) }
            .boxed()
    }
}
