//! `POST /v1/chat/completions`.

use axum::{
    extract::{Request, State as Extract},
    response::Response,
};

use super::{State, error::ApiError, layers, respond};
use crate::dialect::{chat::CHAT, error::ErrorBody};

/// Answer a conversation, guarded.
///
/// OpenAI's chat completion request and answer; unknown fields go to the upstream as they are. A refused
/// question is answered with HTTP 200, the reply in `content` and `refusal` and
/// `finish_reason: "content_filter"`. With `moderation` in the request, the answer carries OpenAI's
/// `moderation` block. Verdict headers: `x-demur-verdict`, `x-demur-policy`, `x-demur-rules`,
/// `x-demur-hazards`, `x-demur-guard-ms`, `x-demur-unprotected`.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "chat",
    request_body(content = Object, description = "OpenAI's CreateChatCompletionRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "A chat completion, or a stream of its chunks as server-sent events", body = Object),
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
pub(super) async fn completions(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    let call = layers::call(&state, request).await?;
    Ok(respond(state.gateway.respond(&CHAT, call).await?))
}
