//! Anthropic's Messages API, as the scripted model speaks it.

use axum::body::Bytes;
use serde_json::{Value, json};

/// A whole message of Anthropic's with this text.
pub(crate) fn message(text: &str) -> Value {
    json!({
        "id": "msg_scripted", "type": "message", "role": "assistant", "model": "scripted",
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 3, "output_tokens": 4},
    })
}

/// The same as a stream, a word at a time.
pub(crate) fn message_events(text: &str) -> Vec<Bytes> {
    let delta = |word| text_delta(0, word);
    let mut events = vec![message_start(), block_start(0, &json!({"type": "text", "text": ""}))];
    events.extend(text.split_inclusive(' ').map(delta));
    events.push(typed(&json!({"type": "content_block_stop", "index": 0})));
    events.extend(message_end("end_turn"));
    events
}

/// An event that names its type.
pub(crate) fn typed(data: &Value) -> Bytes {
    Bytes::from(format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()))
}

/// The beginning of a message.
pub(crate) fn message_start() -> Bytes {
    let mut begun = message("");
    begun["content"] = json!([]);
    begun["stop_reason"] = Value::Null;
    typed(&json!({"type": "message_start", "message": begun}))
}

/// The beginning of a block.
pub(crate) fn block_start(index: usize, block: &Value) -> Bytes {
    typed(&json!({"type": "content_block_start", "index": index, "content_block": block}))
}

/// A piece of a block.
pub(crate) fn block_delta(index: usize, delta: &Value) -> Bytes {
    typed(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

/// A piece of a block of text.
pub(crate) fn text_delta(index: usize, text: &str) -> Bytes {
    block_delta(index, &json!({"type": "text_delta", "text": text}))
}

/// The end of a message.
pub(crate) fn message_end(reason: &str) -> [Bytes; 2] {
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    [
        typed(&json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 4}})),
        typed(&json!({"type": "message_stop"})),
    ]
}
