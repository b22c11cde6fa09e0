//! `POST /v1/moderations`: OpenAI's moderation, by our own guard.

use axum::{
    Json,
    extract::{Request, State as Extract},
    response::{IntoResponse, Response},
};

use super::{State, error::ApiError, layers};
use crate::dialect::error::ErrorBody;

/// Judge texts in OpenAI's categories.
///
/// OpenAI's moderation request and answer: `input` is a text, a list of texts, or a list of text parts. `flagged` says
/// that a rule of the caller's policy matched, the scores are the guard model's; hazards that OpenAI has no category for
/// flag without one. Images are turned away with 400.
#[utoipa::path(
    post,
    path = "/v1/moderations",
    tag = "guard",
    request_body(content = Object, description = "OpenAI's CreateModerationRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "OpenAI's CreateModerationResponse", body = Object),
        (status = 400, description = "The body is no such request, or holds an image", body = ErrorBody),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
        (status = 503, description = "A detector did not judge", body = ErrorBody),
    )
)]
pub(super) async fn moderations(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    let call = layers::call(&state, request).await?;
    let (headers, body) = state.gateway.moderate(&call).await?;
    Ok((headers, Json(body)).into_response())
}
