//! The HTTP surface: one list of routes and one list of layers for each listener. No rule of the guard is here.

mod chat;
mod check;
mod completions;
mod embeddings;
mod error;
mod ext_proc;
pub mod keys;
pub mod layer;
mod layers;
mod messages;
mod models;
mod moderations;
mod ops;
mod partners;
mod responses;
pub mod serve;
mod shape;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{StreamExt, stream};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::service::TowerToHyperService;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use ext_proc::external_processor;

use crate::{
    gateway::{Answer, AnswerBody, Gateway},
    telemetry::Metrics,
};
use keys::Keys;
use serve::Answers;

/// Limits on a single request and on all of them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// The longest a client may take to send its body.
    pub body_timeout: Duration,
    /// The longest until an answer begins.
    pub request_timeout: Duration,
    /// Requests worked on at once; one more is shed with 503.
    pub in_flight: usize,
}

/// What the routes share.
pub struct Surface {
    /// The pipeline.
    pub gateway: Gateway,
    /// Who may call.
    pub keys: Keys,
    /// Limits.
    pub limits: Limits,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Set once draining has begun: readiness fails, so that balancers look elsewhere.
    pub draining: AtomicBool,
}

/// The handle that routes take.
pub type State = Arc<Surface>;

impl Surface {
    /// Makes readiness fail from now on.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether more requests are worked on than may be; the one that asks counts too.
    fn is_full(&self) -> bool {
        self.metrics.in_flight.get() > i64::try_from(self.limits.in_flight).unwrap_or(i64::MAX)
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Demur",
        description = "A safety guardrail gateway for language models: OpenAI's API with a guard around it."
    ),
    tags(
        (name = "chat", description = "The guarded model."),
        (name = "embeddings", description = "Texts as numbers."),
        (name = "guard", description = "The guard on its own."),
        (name = "partners", description = "The guard behind other gateways' APIs."),
    )
)]
struct Api;

/// What answers on the traffic listener.
pub fn traffic(state: &State) -> impl Answers {
    let (state, routes) = (Arc::clone(state), TowerToHyperService::new(routes(state)));
    service_fn(move |request: Request<Incoming>| {
        let answer = layers::record(Arc::clone(&state), routes.clone(), request.map(Body::new));
        async { Ok(answer.await) }
    })
}

fn routes(state: &State) -> Router {
    let (guarded, api) = OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(chat::completions))
        .routes(routes!(messages::create_message))
        .routes(routes!(messages::count_tokens))
        .routes(routes!(responses::create_response))
        .routes(routes!(completions::complete))
        .routes(routes!(embeddings::embed))
        .routes(routes!(check::check))
        .routes(routes!(moderations::moderations))
        .routes(routes!(models::list))
        .routes(routes!(partners::litellm))
        .routes(routes!(partners::agentgateway_request))
        .routes(routes!(partners::agentgateway_response))
        .routes(routes!(partners::agentgateway_stream))
        .routes(routes!(partners::fms_contents))
        .routes(routes!(partners::fms_chat))
        .routes(routes!(partners::fms_generation))
        .routes(routes!(partners::fms_document))
        .routes(routes!(partners::bedrock_apply))
        .routes(routes!(partners::nemo_checks))
        .routes(routes!(partners::nemo_configs))
        .routes(routes!(partners::health))
        .split_for_parts();
    Router::new()
        .merge(guarded)
        // agentgateway's own paths, where none is set.
        .route("/request", post(partners::agentgateway_request))
        .route("/response", post(partners::agentgateway_response))
        .route("/openapi.json", get(move || std::future::ready(Json(api.clone()))))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .with_state(Arc::clone(state))
}

/// What answers on the operations listener.
pub fn operations(state: &State) -> impl Answers {
    let routes = Router::new()
        .route("/metrics", get(ops::metrics))
        .route("/healthz", get(ops::health))
        .route("/livez", get(ops::health))
        .route("/readyz", get(ops::ready))
        .fallback(error::no_route)
        .with_state(Arc::clone(state));
    TowerToHyperService::new(routes)
}

/// An answer of the gateway on the wire.
fn respond(answer: Answer) -> Response {
    let body = match answer.body {
        AnswerBody::Whole(body) => Body::from(body),
        AnswerBody::Events(events) => {
            Body::from_stream(stream::iter(events.into_iter().map(Ok::<_, std::convert::Infallible>)))
        }
        AnswerBody::Live(events) => Body::from_stream(events.map(Ok::<_, std::convert::Infallible>)),
    };
    (answer.status, answer.headers, body).into_response()
}
