//! `POST /v1/completions`.

use axum::{
    extract::{Request, State as Extract},
    response::Response,
};

use super::{State, error::ApiError, layers, respond};
use crate::dialect::{completions::COMPLETIONS, error::ErrorBody};

/// Go on with a prompt, guarded.
///
/// OpenAI's legacy completion request and answer; unknown fields go to the upstream as they are. Prompts are texts:
/// tokens can't be judged and are turned away with 400. A refused prompt is answered with HTTP 200, the reply in `text`
/// and `finish_reason: "content_filter"`. Verdict headers as for chat completions.
#[utoipa::path(
    post,
    path = "/v1/completions",
    tag = "chat",
    request_body(content = Object, description = "OpenAI's CreateCompletionRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "A completion, or a stream of its chunks as server-sent events", body = Object),
        (status = 400, description = "The body is no such request", body = ErrorBody),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
        (status = 404, description = "No upstream serves the model", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 429, description = "The key's rate is used up", body = ErrorBody),
        (status = 502, description = "The upstream's answer is broken", body = ErrorBody),
        (status = 503, description = "At the limit, or the upstream is unavailable", body = ErrorBody),
        (status = 504, description = "The upstream took too long", body = ErrorBody),
    )
)]
pub(super) async fn complete(Extract(state): Extract<State>, request: Request) -> Result<Response, ApiError> {
    let call = layers::call(&state, request).await?;
    Ok(respond(state.gateway.respond(&COMPLETIONS, call).await?))
}
