//! Every error a client can get: status and wording live together here, in OpenAI's error shape.

use std::time::Duration;

use axum::{
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::{
    dialect::{BadBody, error::ErrorBody},
    gateway::GatewayError,
    upstream::UpstreamError,
};

/// An error on its way to the client.
pub(super) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    retry_after: Option<Duration>,
    /// Why a request was turned away before the gateway saw it, for `demur_rejected_total`.
    reason: Option<&'static str>,
}

/// Rides on the response, for the layer that counts.
#[derive(Clone, Copy)]
pub(super) struct Rejected(pub(super) &'static str);

impl ApiError {
    fn new(
        status: StatusCode,
        kind: &'static str,
        code: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, body: ErrorBody::new(kind, code, message), retry_after: None, reason: None }
    }

    fn rejected(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (self.status, headers, self.body.to_bytes()).into_response();
        if let Some(after) = self.retry_after {
            // Whole seconds (RFC 9110, section 10.2.3), never zero.
            let seconds = after.as_secs_f64().ceil().max(1.0) as u64;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(Rejected(reason));
        }
        response
    }
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

impl From<BadBody> for ApiError {
    fn from(bad: BadBody) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, INVALID, None, bad.message).rejected("malformed");
        error.body = error.body.with_param(bad.param);
        error
    }
}

impl From<GatewayError> for ApiError {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::BadBody(bad) => bad.into(),
            GatewayError::Upstream(error) => error.into(),
            GatewayError::UnknownPolicy(..) => {
                let mut unknown =
                    Self::new(StatusCode::BAD_REQUEST, INVALID, Some("policy_not_found"), error.to_string());
                unknown.body = unknown.body.with_param(Some("policy".to_owned()));
                unknown
            }
            GatewayError::Unjudged(_) => {
                let code = Some("content_filter_error");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, code, error.to_string())
                    .retry_after(Duration::from_secs(1))
            }
        }
    }
}

impl From<UpstreamError> for ApiError {
    fn from(error: UpstreamError) -> Self {
        let message = error.to_string();
        match error {
            UpstreamError::UnknownModel { .. } => {
                let mut unknown = Self::new(StatusCode::NOT_FOUND, INVALID, Some("model_not_found"), message);
                unknown.body = unknown.body.with_param(Some("model".to_owned()));
                unknown
            }
            UpstreamError::Invalid { param, .. } => {
                let mut invalid = Self::new(StatusCode::BAD_REQUEST, INVALID, None, message);
                invalid.body = invalid.body.with_param(param);
                invalid
            }
            UpstreamError::Overloaded { retry_after, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, Some("overloaded"), message)
                    .retry_after(retry_after)
                    .rejected("overload")
            }
            UpstreamError::Unavailable { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, Some("upstream_unavailable"), message)
                    .retry_after(Duration::from_secs(1))
            }
            UpstreamError::Timeout { .. } => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, SERVER, Some("upstream_timeout"), message)
            }
            UpstreamError::Broken { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, SERVER, Some("upstream_broken"), message)
            }
        }
    }
}

pub(super) fn unauthorised(found: bool) -> ApiError {
    let message = if found {
        "incorrect API key provided; send a key of this gateway as `Authorization: Bearer KEY`"
    } else {
        "you didn't provide an API key; send one as `Authorization: Bearer KEY`"
    };
    ApiError::new(StatusCode::UNAUTHORIZED, INVALID, Some("invalid_api_key"), message).rejected("auth")
}

pub(super) fn rate_limited(wait: Duration) -> ApiError {
    let message = format!("rate limit reached; try again in {:.1} s", wait.as_secs_f64());
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("rate_limit_exceeded"), message)
        .retry_after(wait)
        .rejected("rate_limit")
}

pub(super) fn overloaded() -> ApiError {
    let message = "the gateway is at its limit of requests in flight; try again shortly";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, Some("overloaded"), message)
        .retry_after(Duration::from_secs(1))
        .rejected("overload")
}

pub(super) fn timed_out(limit: Duration) -> ApiError {
    let message = format!("no answer within {} s", limit.as_secs());
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, SERVER, Some("timeout"), message).rejected("timeout")
}

pub(super) fn body_too_large(limit: usize) -> ApiError {
    let message = format!("the request body is larger than {limit} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID, Some("request_too_large"), message)
        .rejected("body_size")
}

pub(super) fn body_too_slow(limit: Duration) -> ApiError {
    let message = format!("the request body did not arrive within {} s", limit.as_secs());
    ApiError::new(StatusCode::REQUEST_TIMEOUT, INVALID, Some("request_timeout"), message).rejected("timeout")
}

pub(super) fn body_broken() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, INVALID, None, "the request body broke off").rejected("malformed")
}

pub(super) fn unfit_mode(setting: &str, found: &str) -> ApiError {
    let message = format!(
        "Envoy's `{setting}` is {found}; expected FULL_DUPLEX_STREAMED, BUFFERED or STREAMED: what is not sent here \
         can't be judged"
    );
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, SERVER, Some("ext_proc_mode"), message)
}

pub(super) fn encoded_question() -> ApiError {
    let message = "the request body has a `content-encoding`; send it without one, so that it can be judged";
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID, None, message).rejected("malformed")
}

pub(super) fn encoded_answer() -> ApiError {
    let message = "the model's answer has a `content-encoding`, in which it can't be judged";
    ApiError::new(StatusCode::BAD_GATEWAY, SERVER, Some("upstream_broken"), message)
}

pub(super) fn answered_too_early() -> ApiError {
    let message = "the model answered before it had the whole question, so that nothing could be judged";
    ApiError::new(StatusCode::BAD_GATEWAY, SERVER, Some("upstream_broken"), message)
}

pub(super) fn trailers_in_pieces() -> ApiError {
    let message = "the request has trailers, which a streamed body can't end with; send it without them";
    ApiError::new(StatusCode::BAD_REQUEST, INVALID, None, message).rejected("malformed")
}

pub(super) async fn no_route(uri: Uri) -> ApiError {
    let message = format!("no such route: `{}`; GET /openapi.json lists them", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, INVALID, Some("unknown_url"), message)
}

pub(super) async fn no_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("`{}` does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, INVALID, Some("method_not_allowed"), message)
}

/// A bug of ours: the panic's own message may quote text, so it goes nowhere.
pub(super) fn panicked() -> Response {
    tracing::error!("a request handler panicked");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, SERVER, None, "internal error").into_response()
}
