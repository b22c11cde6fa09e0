//! `POST /v1/guard/check`: the guard's verdict on a text or a conversation, without asking a model.

use axum::{
    Json,
    extract::{Request, State as Extract},
    response::{IntoResponse, Response},
};

use super::{State, error::ApiError, layers};
use crate::dialect::{
    error::ErrorBody,
    native::{self, CheckRequest, CheckResponse},
};

/// Judge a text or a conversation.
///
/// Gives the verdict that the gateway would act on, and for `refuse`, `redact` and `warn` what a user would
/// see. The same verdict headers as on a guarded answer.
#[utoipa::path(
    post,
    path = "/v1/guard/check",
    tag = "guard",
    request_body = CheckRequest,
    responses(
        (status = 200, description = "The verdict", body = CheckResponse),
        (status = 400, description = "The body is no such request, or the policy is unknown", body = ErrorBody),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
    )
)]
pub(super) async fn check(Extract(state): Extract<State>, request: Request) -> Result<Response, ApiError> {
    let call = layers::call(&state, request).await?;
    let checked = state.gateway.check(&call).await?;
    let headers = native::headers(&[&checked.judged.verdict], checked.judged.took);
    Ok((headers, Json(checked.into_response())).into_response())
}
