//! The guard behind other gateways' APIs: LiteLLM, agentgateway, the FMS orchestrator, Amazon Bedrock, NeMo Guardrails.

use std::sync::atomic::Ordering;

use axum::{
    Json,
    extract::{Path, Request, State as Extract},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    State,
    error::{ApiError, Rejected},
    layers,
};
use crate::dialect::{
    BadBody,
    error::ErrorBody,
    partner::{
        Answer, Partner, Problem,
        agentgateway::{Masking, Webhook},
        bedrock::ApplyGuardrail,
        fms::Detect,
        litellm::BasicGuardrail,
        nemo::{self, Check},
    },
};

/// AWS's name for an error.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Reads a request with `parse`, has it judged, and answers.
async fn judge<P: Partner>(
    state: &State,
    request: Request,
    parse: impl FnOnce(&[u8]) -> Result<P, BadBody>,
) -> Result<Response, ApiError> {
    let call = layers::call(state, request).await?;
    Ok(match parse(&call.body) {
        Ok(request) => {
            let (headers, answer) = state.gateway.judge_for(&call, &request).await;
            (headers, respond(answer)).into_response()
        }
        Err(bad) => {
            let mut response = respond(P::error(&Problem::Malformed(bad)));
            response.extensions_mut().insert(Rejected("malformed"));
            response
        }
    })
}

fn respond(answer: Answer) -> Response {
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type))];
    let mut response = (answer.status, content_type, answer.body).into_response();
    if let Some(kind) = answer.error_type {
        response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(kind));
    }
    response
}

/// Judge for LiteLLM.
///
/// LiteLLM's generic guardrail API. Every body is answered with 200 and an `action`: `NONE`, `GUARDRAIL_INTERVENED` with the
/// masked texts, or `BLOCKED` with the reply, also for a body that can't be read and for images.
#[utoipa::path(
    post,
    path = "/beta/litellm_basic_guardrail_api",
    tag = "partners",
    request_body(content = Object, description = "LiteLLM's GenericGuardrailAPIRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "What LiteLLM is to do", body = Object),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
    )
)]
pub(super) async fn litellm(Extract(state): Extract<State>, request: Request) -> Result<Response, ApiError> {
    judge(&state, request, BasicGuardrail::parse).await
}

/// Judge messages for agentgateway.
///
/// agentgateway's guardrail webhook for requests; also at `/request`, its default path. The action is a pass, a mask with as
/// many messages, or a rejection.
#[utoipa::path(
    post,
    path = "/agentgateway/request",
    tag = "partners",
    request_body(content = Object, description = "agentgateway's GuardrailsPromptRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "The action", body = Object),
        (status = 400, description = "The body is no such request", body = String),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
    )
)]
pub(super) async fn agentgateway_request(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    judge(&state, request, Webhook::request).await
}

/// Judge an answer for agentgateway.
///
/// agentgateway's guardrail webhook for responses; also at `/response`, its default path. On streams it ignores masks: point
/// them at `/agentgateway/response/stream`.
#[utoipa::path(
    post,
    path = "/agentgateway/response",
    tag = "partners",
    request_body(content = Object, description = "agentgateway's GuardrailsResponseRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "The action", body = Object),
        (status = 400, description = "The body is no such request", body = String),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
    )
)]
pub(super) async fn agentgateway_response(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    judge(&state, request, |body| Webhook::response(body, Masking::Applied)).await
}

/// Judge a piece of a streamed answer for agentgateway.
///
/// As `/agentgateway/response`, and what would be masked is rejected.
#[utoipa::path(
    post,
    path = "/agentgateway/response/stream",
    tag = "partners",
    request_body(content = Object, description = "agentgateway's GuardrailsResponseRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "The action", body = Object),
        (status = 400, description = "The body is no such request", body = String),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
    )
)]
pub(super) async fn agentgateway_stream(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    judge(&state, request, |body| Webhook::response(body, Masking::Ignored)).await
}

/// Find what the policy refuses or redacts in texts.
///
/// The FMS detector API. Each text is judged by itself, as a question, or as an answer where `detector_params.direction` is
/// `output`.
#[utoipa::path(
    post,
    path = "/api/v1/text/contents",
    tag = "partners",
    request_body(content = Object, description = "ContentAnalysisHttpRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "For each text its detections", body = Vec<Object>),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
        (status = 422, description = "The body is no such request", body = Object),
        (status = 503, description = "A detector did not judge, and the policy is closed", body = Object),
    )
)]
pub(super) async fn fms_contents(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    judge(&state, request, Detect::contents).await
}

/// Find what the policy refuses or redacts in a conversation.
///
/// The FMS detector API. When the model has the last word, that is judged as the answer to what comes before.
#[utoipa::path(
    post,
    path = "/api/v1/text/chat",
    tag = "partners",
    request_body(content = Object, description = "ChatAnalysisHttpRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "The detections", body = Vec<Object>),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
        (status = 422, description = "The body is no such request, or holds an image", body = Object),
        (status = 503, description = "A detector did not judge, and the policy is closed", body = Object),
    )
)]
pub(super) async fn fms_chat(Extract(state): Extract<State>, request: Request) -> Result<Response, ApiError> {
    judge(&state, request, Detect::chat).await
}

/// Find what the policy refuses or redacts in an answer.
///
/// The FMS detector API. The answer is judged beside its prompt.
#[utoipa::path(
    post,
    path = "/api/v1/text/generation",
    tag = "partners",
    request_body(content = Object, description = "GenerationAnalysisHttpRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "The detections", body = Vec<Object>),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
        (status = 422, description = "The body is no such request", body = Object),
        (status = 503, description = "A detector did not judge, and the policy is closed", body = Object),
    )
)]
pub(super) async fn fms_generation(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    judge(&state, request, Detect::generation).await
}

/// Find what the policy refuses or redacts in a text and its documents.
///
/// The FMS detector API. The documents are judged as what a model is given, the text as its answer. URLs are not fetched.
#[utoipa::path(
    post,
    path = "/api/v1/text/context/doc",
    tag = "partners",
    request_body(content = Object, description = "ContextAnalysisHttpRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "The detections", body = Vec<Object>),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
        (status = 422, description = "The body is no such request", body = Object),
        (status = 503, description = "A detector did not judge, and the policy is closed", body = Object),
    )
)]
pub(super) async fn fms_document(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    judge(&state, request, Detect::document).await
}

/// Judge a conversation in NeMo Guardrails' form.
///
/// `guardrails.config_id` is a policy's name, `guardrails.rail_types` says whether questions, answers or both are judged.
#[utoipa::path(
    post,
    path = "/v1/checks",
    tag = "partners",
    request_body(content = Object, description = "NeMo's GuardrailCheckRequest", content_type = "application/json"),
    responses(
        (status = 200, description = "`status` is `passed`, `modified` or `blocked`", body = Object),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
        (status = 422, description = "The body is no such request, holds an image, or names an unknown policy", body = Object),
    )
)]
pub(super) async fn nemo_checks(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, ApiError> {
    judge(&state, request, Check::parse).await
}

/// Judge texts as Amazon Bedrock's `ApplyGuardrail`.
///
/// The identifier, or the last part of an ARN, is a policy's name; any version will do.
#[utoipa::path(
    post,
    path = "/guardrail/{identifier}/version/{version}/apply",
    tag = "partners",
    params(("identifier" = String, Path, description = "A policy's name"), ("version" = String, Path)),
    request_body(content = Object, description = "AWS's ApplyGuardrail request", content_type = "application/json"),
    responses(
        (status = 200, description = "The action with its outputs and assessments", body = Object),
        (status = 400, description = "ValidationException: the body is no such request, or holds an image", body = Object),
        (status = 401, description = "No key, or none of this gateway", body = ErrorBody),
        (status = 404, description = "ResourceNotFoundException: no policy of that name is loaded", body = Object),
    )
)]
pub(super) async fn bedrock_apply(
    Extract(state): Extract<State>,
    Path(path): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    judge(&state, request, |body| ApplyGuardrail::parse(body, &path.0)).await
}

/// The policies that `POST /v1/checks` can name.
#[utoipa::path(
    get,
    path = "/v1/rails/configs",
    tag = "partners",
    responses((status = 200, description = "The policies that are loaded, as NeMo Guardrails lists configurations", body = Vec<Object>))
)]
pub(super) async fn nemo_configs(Extract(state): Extract<State>) -> Json<Value> {
    let rules = state.gateway.rules();
    Json(nemo::configs(rules.guards.all().map(|guard| &*guard.policy().id().name)))
}

/// Whether the gateway can be asked.
///
/// For orchestrators that look at their detectors on the port that they call; needs no key.
#[utoipa::path(
    get,
    path = "/health",
    tag = "partners",
    responses((status = 200, description = "It can", body = String), (status = 503, description = "It is draining", body = String))
)]
pub(super) async fn health(Extract(state): Extract<State>) -> (StatusCode, &'static str) {
    if state.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}
