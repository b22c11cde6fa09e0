//! Who answers: the model inside, or any server that speaks OpenAI's or Anthropic's API. An upstream speaks in bytes and
//! does not know that it is guarded.

mod breaker;
mod config;
mod headers;
pub mod http;
pub mod local;
mod retry;
mod router;
mod service;

use std::{sync::Arc, time::Duration};

use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use breaker::BreakerConfig;
pub use config::{Kind, Secret, UpstreamConfig, UpstreamConfigError};
pub use router::{Upstream, Upstreams};
pub use service::InProcess;

/// A request as the gateway hands it on.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The path below the upstream's base URL, such as `/chat/completions`.
    pub path: &'static str,
    /// The model that the client named; it picks the upstream.
    pub model: String,
    /// Whether the client asked for a stream of events.
    pub stream: bool,
    /// The JSON body: the client's own bytes when no rule changed it.
    pub body: Bytes,
    /// Headers that are passed on (no hop-by-hop headers, none of the client's credentials).
    pub headers: HeaderMap,
    /// The request's id, sent along as `x-request-id`.
    pub request_id: Arc<str>,
}

/// What came back. Dropping a reply cancels what is left of the work behind it.
pub struct Reply {
    /// The upstream's status: 2xx, or its own error.
    pub status: StatusCode,
    /// Headers that are passed back.
    pub headers: HeaderMap,
    /// The name of the upstream that answered.
    pub upstream: String,
    /// The answer.
    pub body: ReplyBody,
}

/// The body of a reply.
pub enum ReplyBody {
    /// A whole JSON body.
    Whole(Bytes),
    /// Server-sent events as they arrive, cut anywhere.
    Events(BoxStream<'static, Result<Bytes, UpstreamError>>),
}

/// Why an upstream gave no (whole) answer. No variant carries prompt or answer text.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No upstream serves the model.
    #[error("no upstream serves the model `{model}`; known models: {known}")]
    UnknownModel {
        /// What the client asked for.
        model: String,
        /// What it could have asked for.
        known: String,
    },
    /// The request is not one the upstream takes.
    #[error("{message}")]
    Invalid {
        /// The field at fault, when it is known.
        param: Option<String>,
        /// What was found and what was expected.
        message: String,
    },
    /// The upstream has no room for another request.
    #[error("`{upstream}` is at its limit")]
    Overloaded {
        /// The upstream's name.
        upstream: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The upstream can't be reached, or its breaker is open.
    #[error("`{upstream}` is unavailable: {reason}")]
    Unavailable {
        /// The upstream's name.
        upstream: String,
        /// What went wrong.
        reason: String,
    },
    /// The upstream took longer than its time-out.
    #[error("`{upstream}` did not answer in time ({phase})")]
    Timeout {
        /// The upstream's name.
        upstream: String,
        /// Which time-out: `connect`, `first byte` or `idle`.
        phase: &'static str,
    },
    /// The upstream broke off or answered something that is not of the wire format.
    #[error("`{upstream}` gave a broken answer: {reason}")]
    Broken {
        /// The upstream's name.
        upstream: String,
        /// What was wrong with it.
        reason: String,
    },
}
