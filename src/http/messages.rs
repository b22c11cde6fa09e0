//! `POST /v1/messages` and `POST /v1/messages/count_tokens`: Anthropic's API.

use axum::{
    extract::{Request, State as Extract},
    response::Response,
};

use super::{State, error::ApiError, layers, respond};
use crate::dialect::messages::{COUNT_TOKENS, MESSAGES};

/// Answer a conversation in Anthropic's format, guarded.
///
/// Anthropic's message request and answer; unknown fields go to the upstream as they are, which must speak this format
/// too. A refused question or answer has the reply in a text block, `stop_reason: "refusal"` and `stop_details`.
/// Verdict headers as for chat completions. Errors are of Anthropic's form.
#[utoipa::path(
    post,
    path = "/v1/messages",
    tag = "chat",
    request_body(content = Object, description = "Anthropic's MessageCreateParams", content_type = "application/json"),
    responses(
        (status = 200, description = "A message, or a stream of its events as server-sent events", body = Object),
        (status = 400, description = "The body is no such request", body = Object),
        (status = 401, description = "No key, or none of this gateway", body = Object),
        (status = 404, description = "No upstream serves the model", body = Object),
        (status = 413, description = "The body is too large", body = Object),
        (status = 429, description = "The key's rate is used up", body = Object),
        (status = 502, description = "The upstream's answer is broken", body = Object),
        (status = 503, description = "At the limit, or the upstream is unavailable", body = Object),
        (status = 504, description = "The upstream took too long", body = Object),
    )
)]
pub(super) async fn create_message(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    let call = layers::call(&state, request).await?;
    Ok(respond(state.gateway.respond(&MESSAGES, call).await?))
}

/// Count the tokens of a conversation in Anthropic's format.
///
/// The question is judged as that of a message is; a refused one gets HTTP 400 with the reply as the error's message.
/// The upstream counts.
#[utoipa::path(
    post,
    path = "/v1/messages/count_tokens",
    tag = "chat",
    request_body(content = Object, description = "Anthropic's MessageCountTokensParams", content_type = "application/json"),
    responses(
        (status = 200, description = "Anthropic's MessageTokensCount", body = Object),
        (status = 400, description = "The body is no such request, or the question is refused", body = Object),
        (status = 401, description = "No key, or none of this gateway", body = Object),
        (status = 404, description = "No upstream serves the model", body = Object),
        (status = 503, description = "At the limit, or the upstream is unavailable", body = Object),
    )
)]
pub(super) async fn count_tokens(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    let call = layers::call(&state, request).await?;
    Ok(respond(state.gateway.respond(&COUNT_TOKENS, call).await?))
}
