//! Anthropic's error object: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

use serde_json::{Value, json};

/// The `type` of an error's body, and the name of the event that ends a stream with one.
pub const ERROR: &str = "error";

/// The body of an error answer.
pub fn error(kind: &str, message: &str, request_id: Option<&str>) -> Value {
    let mut body = json!({"type": ERROR, "error": {"type": kind, "message": message}});
    if let Some(id) = request_id {
        body["request_id"] = id.into();
    }
    body
}
