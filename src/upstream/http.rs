//! A server behind HTTP: one client with its pool of connections, attempts and time-outs.

pub(super) mod answer;
mod client;

use std::{sync::Arc, time::Duration};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use prometheus::IntGauge;
use serde_json::{Value, json};

use super::{
    Ask, Reply, UpstreamError,
    breaker::Breaker,
    config::{Kind, Secret, UpstreamConfig, UpstreamConfigError},
    headers, retry,
};
use crate::telemetry::Metrics;

/// How long the list of models may take: it is asked for by people who wait.
const MODELS_TIMEOUT: Duration = Duration::from_secs(2);

/// An upstream that is reached over HTTP.
pub struct HttpUpstream {
    config: UpstreamConfig,
    kind: Kind,
    base: String,
    /// Where chats go: the path behind the base, and all of it.
    chat: (&'static str, Uri),
    /// Headers of our own: the key, and what the settings add.
    own: HeaderMap,
    /// The same for what is Anthropic's own API.
    own_anthropic: HeaderMap,
    client: client::Client,
    breaker: Breaker,
    breaker_open: IntGauge,
    metrics: Arc<Metrics>,
}

fn uri(base: &str, path: &str) -> Uri {
    format!("{base}{path}").parse().expect("a checked base with a path behind it")
}

/// Why one attempt gave nothing.
struct Failure {
    error: UpstreamError,
    /// Whether another attempt can't do harm: nothing was answered.
    again: bool,
    outcome: &'static str,
}

impl HttpUpstream {
    /// A client for these settings. Nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(config: UpstreamConfig, metrics: Arc<Metrics>) -> Result<Self, UpstreamConfigError> {
        if config.weight == 0 {
            return Err(UpstreamConfigError::NoWeight(config.name));
        }
        let base = config.base()?;
        let key = config.resolved_key()?;
        let own = own_headers(&config, key.as_ref(), Kind::Openai)?;
        let own_anthropic = own_headers(&config, key.as_ref(), Kind::Anthropic)?;
        let client = client::build(&config)?;
        let breaker = Breaker::new(config.breaker);
        let breaker_open = metrics.upstream_breaker_open.with_label_values(&[&config.name]);
        breaker_open.set(0);
        let chat = ("/chat/completions", uri(&base, "/chat/completions"));
        let kind = config.kind();
        Ok(Self { config, kind, base, chat, own, own_anthropic, client, breaker, breaker_open, metrics })
    }

    /// Its settings.
    pub fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    /// Whether it may be asked right now.
    pub fn is_ready(&self) -> bool {
        !self.breaker.is_open()
    }

    fn answer_limits(&self) -> answer::Limits {
        answer::Limits { upstream: self.config.name.clone(), idle: self.config.idle_timeout }
    }

    /// Asks, and asks again where that is safe.
    ///
    /// # Errors
    /// No answer, after all attempts. An answer that is an error is a reply.
    pub async fn send(&self, ask: &Ask) -> Result<Reply, UpstreamError> {
        let mut attempt = 0;
        loop {
            let last = attempt >= self.config.retries;
            let pause = match self.attempt(ask).await {
                Ok(reply) if last || !retry::is_transient(reply.status) => return Ok(reply),
                Ok(reply) => match retry::pause(attempt, Some(&reply.headers)) {
                    Some(pause) => pause,
                    None => return Ok(reply),
                },
                Err(failure) if last || !failure.again => return Err(failure.error),
                Err(_) => retry::pause(attempt, None).unwrap_or_default(),
            };
            attempt += 1;
            tracing::debug!(upstream = self.config.name, attempt, "asking again");
            tokio::time::sleep(pause).await;
        }
    }

    /// One attempt, under the breaker.
    async fn attempt(&self, ask: &Ask) -> Result<Reply, Failure> {
        let Some(permit) = self.breaker.permit() else {
            let reason = "it failed too often and is left alone for a while".to_owned();
            let error = UpstreamError::Unavailable { upstream: self.config.name.clone(), reason };
            return Err(Failure { error, again: false, outcome: "breaker" });
        };
        let result = self.exchange(ask).await;
        // A 429 is a healthy server that has enough to do; 5xx is not.
        let healthy = matches!(&result, Ok(reply) if !reply.status.is_server_error());
        if healthy {
            permit.succeeded();
        } else {
            permit.failed();
        }
        self.breaker_open.set(i64::from(self.breaker.is_open()));
        let outcome = match &result {
            Ok(reply) => reply.status.as_str().to_owned(),
            Err(failure) => failure.outcome.to_owned(),
        };
        self.metrics.upstream_attempts.with_label_values(&[&self.config.name, &outcome]).inc();
        result
    }

    async fn exchange(&self, ask: &Ask) -> Result<Reply, Failure> {
        let mut headers = headers::to_upstream(&ask.headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(&ask.request_id) {
            headers.insert(headers::REQUEST_ID, id);
        }
        let body = match &self.config.rename {
            Some(name) => renamed(&ask.body, name).unwrap_or_else(|| ask.body.clone()),
            None => ask.body.clone(),
        };
        let response =
            self.request(Method::POST, ask.path, headers, body, self.config.first_byte_timeout).await?;
        answer::read(response, ask.stream, self.answer_limits()).await.map_err(|error| {
            let outcome = if matches!(error, UpstreamError::Timeout { .. }) { "timeout" } else { "broken" };
            // Something was answered: another attempt might do the work twice.
            Failure { error, again: false, outcome }
        })
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        limit: Duration,
    ) -> Result<::http::Response<Incoming>, Failure> {
        let uri = if path == self.chat.0 { self.chat.1.clone() } else { uri(&self.base, path) };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let own = if self.is_anthropic(path) {
            let version = HeaderValue::from_static(headers::ANTHROPIC_VERSION.1);
            request.headers_mut().entry(headers::ANTHROPIC_VERSION.0).or_insert(version);
            &self.own_anthropic
        } else {
            &self.own
        };
        for (name, value) in own {
            request.headers_mut().insert(name, value.clone());
        }
        let upstream = || self.config.name.clone();
        match tokio::time::timeout(limit, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => {
                let (error, outcome) = if client::is_timeout(&error) {
                    (UpstreamError::Timeout { upstream: upstream(), phase: "connect" }, "timeout")
                } else {
                    let reason = "it can't be connected to".to_owned();
                    (UpstreamError::Unavailable { upstream: upstream(), reason }, "connect")
                };
                Err(Failure { error, again: true, outcome })
            }
            Ok(Err(_)) => {
                let reason = "the connection ended before an answer".to_owned();
                let error = UpstreamError::Unavailable { upstream: upstream(), reason };
                // It may have begun to work on the request: a model's answer is dear, but asking twice does no
                // harm, and nothing was shown.
                Err(Failure { error, again: true, outcome: "broken" })
            }
            Err(_) => {
                let error = UpstreamError::Timeout { upstream: upstream(), phase: "first byte" };
                Err(Failure { error, again: false, outcome: "timeout" })
            }
        }
    }

    /// Whether a path is of Anthropic's own API. Chat completions are there for OpenAI's clients and take a key as those
    /// send it.
    fn is_anthropic(&self, path: &str) -> bool {
        self.kind == Kind::Anthropic && path != self.chat.0
    }

    /// The models it says it serves, as OpenAI's model objects.
    ///
    /// # Errors
    /// It does not say.
    pub async fn models(&self) -> Result<Vec<Value>, UpstreamError> {
        let response =
            self.request(Method::GET, "/models", HeaderMap::new(), Bytes::new(), MODELS_TIMEOUT).await;
        let response = response.map_err(|failure| failure.error)?;
        let reply = answer::read(response, false, self.answer_limits()).await?;
        let broken = |reason: &str| UpstreamError::Broken {
            upstream: self.config.name.clone(),
            reason: reason.to_owned(),
        };
        let super::ReplyBody::Whole(body) = reply.body else { return Err(broken("a stream for a list")) };
        if reply.status != StatusCode::OK {
            return Err(broken("no list of models"));
        }
        let mut list: Value =
            serde_json::from_slice(&body).map_err(|_| broken("a list of models that is not JSON"))?;
        match list["data"].take() {
            Value::Array(models) if self.kind == Kind::Openai => Ok(models),
            Value::Array(models) => {
                Ok(models.iter().map(|model| openai_model(model, &self.config.name)).collect())
            }
            _ => Err(broken("a list of models without `data`")),
        }
    }
}

/// The body with another model name in it; everything else stays, in its order.
fn renamed(body: &Bytes, name: &str) -> Option<Bytes> {
    let mut json: Value = serde_json::from_slice(body).ok()?;
    *json.get_mut("model")? = Value::String(name.to_owned());
    serde_json::to_vec(&json).ok().map(Bytes::from)
}

/// OpenAI's model object of one of Anthropic's.
fn openai_model(model: &Value, owner: &str) -> Value {
    json!({"id": model["id"], "object": "model", "created": 0, "owned_by": owner})
}

fn own_headers(
    config: &UpstreamConfig,
    key: Option<&Secret>,
    kind: Kind,
) -> Result<HeaderMap, UpstreamConfigError> {
    let mut own = HeaderMap::new();
    let wrong =
        |header: &str| UpstreamConfigError::Header { name: config.name.clone(), header: header.to_owned() };
    if let Some(key) = key {
        let (name, value) = match kind {
            Kind::Openai => (header::AUTHORIZATION, format!("Bearer {}", key.expose())),
            Kind::Anthropic => (headers::API_KEY, key.expose().to_owned()),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong(name.as_str()))?;
        value.set_sensitive(true);
        own.insert(name, value);
    }
    for (name, value) in &config.headers {
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| wrong(name))?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong(name))?;
        value.set_sensitive(true);
        own.insert(parsed, value);
    }
    Ok(own)
}
