//! Answers in the shape of the API that was called: Anthropic's clients read errors of a form of their own.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::Value;

use crate::dialect::messages::{ERROR, error};

/// Where Anthropic's clients look for a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The most of an error's body that is read, in bytes: those of upstreams are cut to less.
const MAX_ERROR: usize = 1 << 20;

/// Whether a path is of Anthropic's API.
pub(super) fn is_anthropic(path: &str) -> bool {
    path.strip_prefix("/v1/messages").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An answer as Anthropic's clients expect it. An error that is of their form already keeps its words.
pub(super) async fn anthropic(response: Response, id: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    if !parts.headers.contains_key(REQUEST_ID)
        && let Ok(id) = HeaderValue::from_str(id)
    {
        parts.headers.insert(REQUEST_ID, id);
    }
    if !parts.status.is_client_error() && !parts.status.is_server_error() {
        return Response::from_parts(parts, body);
    }
    // An error's body is in memory already.
    let body = to_bytes(body, MAX_ERROR).await.unwrap_or_default();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    if json["type"] == ERROR {
        return Response::from_parts(parts, body.into());
    }
    let message = json["error"]["message"].as_str().map_or_else(|| parts.status.to_string(), str::to_owned);
    let overloaded = json["error"]["code"] == "overloaded";
    let error = error(kind(parts.status, overloaded), &message, Some(id));
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The router has counted the other body.
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(error.to_string()))
}

/// Anthropic's name for an error. Its own status for overload, 529, is no standard one: 503 stays, which clients try
/// again just as well.
fn kind(status: StatusCode, overloaded: bool) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::GATEWAY_TIMEOUT => "timeout_error",
        _ if overloaded => "overloaded_error",
        status if status.is_server_error() => "api_error",
        _ => "invalid_request_error",
    }
}
