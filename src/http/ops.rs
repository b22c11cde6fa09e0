//! The operations listener: metrics, liveness, readiness.

use std::sync::atomic::Ordering;

use axum::{
    extract::State as Extract,
    http::{StatusCode, header},
    response::IntoResponse,
};

use super::State;

/// All metrics in Prometheus' text format.
pub(super) async fn metrics(Extract(state): Extract<State>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}

/// The process runs.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// The process can answer: it is not draining, and some upstream can be asked.
pub(super) async fn ready(Extract(state): Extract<State>) -> (StatusCode, &'static str) {
    if state.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else if state.gateway.upstreams().is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no upstream is available\n")
    }
}
