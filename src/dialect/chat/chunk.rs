//! A choice of a chat completion cut into deltas.

use serde_json::{Value, json};

/// The `object` of a chunk.
pub(super) const OBJECT: &str = "chat.completion.chunk";

/// The two chunks of a choice: all of its message, then how it ended.
pub(super) fn cut(choice: &Value) -> [Value; 2] {
    let mut message = choice["message"].clone();
    for (i, call) in message["tool_calls"].as_array_mut().into_iter().flatten().enumerate() {
        call["index"] = json!(i);
    }
    if let Some(message) = message.as_object_mut() {
        message.retain(|key, value| !value.is_null() || key == "content");
    }
    let chunk = |delta: Value, logprobs: &Value, finish_reason: &Value| json!({"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason});
    [
        chunk(message, &choice["logprobs"], &Value::Null),
        chunk(json!({}), &Value::Null, &choice["finish_reason"]),
    ]
}
