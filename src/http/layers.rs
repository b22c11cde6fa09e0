//! The layers around the routes: who calls, how many at once, and what is written down about it.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt, StreamExt};
use http_body::Body as _;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use uuid::Builder;

use super::{
    State,
    error::{self, ApiError, Rejected},
    keys::Access,
    shape,
};
use crate::{dialect::native, gateway::Call};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The description of the API.
const OPENAPI: &str = "openapi";

/// Whether the gateway can be asked.
const HEALTH: &str = "health";

/// The surfaces that need no key.
const OPEN: [&str; 2] = [OPENAPI, HEALTH];

/// The routes of a listener.
pub(super) type Routes = TowerToHyperService<Router>;

/// The longest request id that is taken over from a client.
const MAX_REQUEST_ID: usize = 128;

/// What is known of a request before it is read; rides on it.
#[derive(Clone)]
struct Arrival {
    id: Arc<str>,
    at: Instant,
    /// The name of the caller's key.
    key: Option<Arc<str>>,
}

/// Gives every request an id, lets it in, counts it, and logs one line about it without any text of it. It stands
/// around all routes and not around each, where a layer costs every request some ten allocations.
pub(super) async fn record(state: State, routes: Routes, mut request: Request) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    request.extensions_mut().insert(Arrival { id: Arc::clone(&id), at: started, key: None });
    let surface = surface(request.uri().path());
    let is_anthropic = shape::is_anthropic(request.uri().path());
    let in_flight = InFlight::new(&state);
    // A bug must not take the connection down: its other requests are not at fault.
    let answering = AssertUnwindSafe(admit(&state, &routes, surface, request)).catch_unwind();
    let mut response = match answering.await {
        Ok(answered) => answered.into_response(),
        Err(_) => error::panicked(),
    };
    if is_anthropic {
        response = shape::anthropic(response, &id).await;
    }
    let code = response.status().as_u16();
    let header = |name: &HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    let verdict = header(&native::VERDICT).unwrap_or("none");
    let policy = header(&native::POLICY).and_then(|id| id.split('@').next()).unwrap_or("none");
    state.metrics.requests.with_label_values(&[surface, policy, response.status().as_str()]).inc();
    if let Some(Rejected(reason)) = response.extensions().get() {
        state.metrics.rejected.with_label_values(&[reason]).inc();
    }
    let ms = started.elapsed().as_secs_f64() * 1e3;
    tracing::info!(request_id = &*id, surface, code, policy, verdict, ms, "answered");
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    // A stream is in flight until its last byte is sent, or the client is gone.
    response.map(|body| {
        Body::from_stream(body.into_data_stream().inspect(move |_| {
            let _ = &in_flight;
        }))
    })
}

/// Counts a request for as long as it lives.
pub(super) struct InFlight(State);

impl InFlight {
    pub(super) fn new(state: &State) -> Self {
        state.metrics.in_flight.inc();
        Self(Arc::clone(state))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.metrics.in_flight.dec();
    }
}

/// A route's name in metrics: its path without the slashes and version in front.
fn surface(path: &str) -> &'static str {
    match path {
        "/v1/chat/completions" => "chat",
        "/v1/completions" => "completions",
        "/v1/embeddings" => "embeddings",
        "/v1/guard/check" => "check",
        "/v1/messages" => "messages",
        "/v1/messages/count_tokens" => "count_tokens",
        "/v1/models" => "models",
        "/v1/moderations" => "moderations",
        "/beta/litellm_basic_guardrail_api" => "litellm",
        "/request" | "/response" => "agentgateway",
        "/v1/checks" | "/v1/rails/configs" => "nemo",
        "/health" => HEALTH,
        "/openapi.json" => OPENAPI,
        _ if path.starts_with("/agentgateway/") => "agentgateway",
        _ if path.starts_with("/api/v1/text/") => "fms",
        _ if path.starts_with("/guardrail/") => "bedrock",
        "/v1/responses" => "responses",
        _ => "unmatched",
    }
}

/// The client's own id when it is short and plain, else a new one that sorts by time (UUIDv7, RFC 9562).
pub(super) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let sent = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    match sent.filter(|id| !id.is_empty() && id.len() <= MAX_REQUEST_ID && !id.contains(' ')) {
        Some(id) => id.into(),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
            // Not `Uuid::now_v7`: it asks the system for its random bytes, every time.
            let id = Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid();
            let mut buffer = [0; uuid::fmt::Simple::LENGTH];
            Arc::from(&*id.simple().encode_lower(&mut buffer))
        }
    }
}

/// Lets known keys in at their rate, sheds load beyond the limit, and gives up on requests that take too long to
/// begin answering. The description of the API and its health are open to all.
async fn admit(
    state: &State,
    routes: &Routes,
    surface: &'static str,
    mut request: Request,
) -> Result<Response, ApiError> {
    if OPEN.contains(&surface) {
        return Ok(answered(routes, request).await);
    }
    match state.keys.access(request.headers()) {
        Access::Open => {}
        Access::Granted(key) => {
            state.keys.admit(key).map_err(error::rate_limited)?;
            if let Some(arrival) = request.extensions_mut().get_mut::<Arrival>() {
                arrival.key = Some(state.keys.name(key).into());
            }
        }
        Access::Denied(found) => return Err(error::unauthorised(found)),
    }
    if state.is_full() {
        return Err(error::overloaded());
    }
    let limit = state.limits.request_timeout;
    tokio::time::timeout(limit, answered(routes, request)).await.map_err(|_| error::timed_out(limit))
}

async fn answered(routes: &Routes, request: Request) -> Response {
    routes.call(request).await.unwrap_or_else(|never| match never {})
}

/// Reads a request's body within its limits and makes it a call of the gateway.
pub(super) async fn call(state: &State, request: Request) -> Result<Call, ApiError> {
    let (parts, body) = request.into_parts();
    let limit = state.limits.body_timeout;
    let read = tokio::time::timeout(limit, read(body, state.limits.body_bytes)).await;
    let body = read.map_err(|_| error::body_too_slow(limit))??;
    let unknown = || Arrival { id: Arc::from(""), at: Instant::now(), key: None };
    let Arrival { id, at, key } = parts.extensions.get().cloned().unwrap_or_else(unknown);
    Ok(Call { id, arrived: at, key, headers: parts.headers, body })
}

pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    use http_body_util::{BodyExt, LengthLimitError, Limited};
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(error::body_too_large(limit)),
        Err(_) => Err(error::body_broken()),
    }
}
