//! `POST /v1/responses`.

use axum::{
    extract::{Request, State as Extract},
    response::Response,
};

use super::{State, error::ApiError, layers, respond};
use crate::dialect::{error::ErrorBody, responses::RESPONSES};

/// Answer with a response, guarded.
///
/// OpenAI's response request and answer; unknown fields go to the upstream as they are. A refused question is answered
/// with HTTP 200 and one message, which holds the reply as `output_text` and as `refusal`. A streamed answer that is
/// refused after its first words ends as `incomplete` with the reason `content_filter`. With `moderation` in the
/// request, the answer carries OpenAI's `moderation` block. `background` can't be guarded, and is refused.
#[utoipa::path(
    post,
    path = "/v1/responses",
    tag = "chat",
    request_body(content = Object, description = "OpenAI's CreateResponse", content_type = "application/json"),
    responses(
        (status = 200, description = "A response, or a stream of its events", body = Object),
        (status = 400, description = "The body is no such request, or the upstream knows no responses", body = ErrorBody),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
        (status = 404, description = "No upstream serves the model", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 429, description = "The key's rate is used up", body = ErrorBody),
        (status = 502, description = "The upstream's answer is broken", body = ErrorBody),
        (status = 503, description = "At the limit, or the upstream is unavailable", body = ErrorBody),
        (status = 504, description = "The upstream took too long", body = ErrorBody),
    )
)]
pub(super) async fn create_response(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    let call = layers::call(&state, request).await?;
    Ok(respond(state.gateway.respond(&RESPONSES, call).await?))
}
