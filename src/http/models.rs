//! `GET /v1/models`.

use axum::{Json, extract::State as Extract};
use serde_json::{Value, json};

use super::State;

/// The models that can be asked.
///
/// OpenAI's list: the model inside as `demur-chat`, and what the upstreams say they serve.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "chat",
    responses((status = 200, description = "OpenAI's list of models", body = Object))
)]
pub(super) async fn list(Extract(state): Extract<State>) -> Json<Value> {
    Json(json!({"object": "list", "data": state.gateway.upstreams().models().await}))
}
