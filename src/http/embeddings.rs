//! `POST /v1/embeddings`.

use axum::{
    extract::{Request, State as Extract},
    response::Response,
};

use super::{State, error::ApiError, layers, respond};
use crate::dialect::{embeddings::EMBEDDINGS, error::ErrorBody};

/// Embed texts, guarded.
///
/// OpenAI's embedding request and answer; unknown fields go to the upstream as they are, and so does its answer to the
/// client. Inputs are texts: tokens can't be judged and are turned away with 400. A refused input gets 400 with the code
/// `content_filter` and the reply as its message. Verdict headers as for chat completions.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "embeddings",
    request_body(content = Object, description = "OpenAI's CreateEmbeddingRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "Embeddings", body = Object),
        (status = 400, description = "The body is no such request, or its input is refused", body = ErrorBody),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
        (status = 404, description = "No upstream serves the model", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 429, description = "The key's rate is used up", body = ErrorBody),
        (status = 502, description = "The upstream's answer is broken", body = ErrorBody),
        (status = 503, description = "At the limit, or the upstream is unavailable", body = ErrorBody),
        (status = 504, description = "The upstream took too long", body = ErrorBody),
    )
)]
pub(super) async fn embed(Extract(state): Extract<State>, request: Request) -> Result<Response, ApiError> {
    let call = layers::call(&state, request).await?;
    Ok(respond(state.gateway.respond(&EMBEDDINGS, call).await?))
}
