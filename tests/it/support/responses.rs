//! OpenAI's Responses API, as the scripted model speaks it.

use axum::body::Bytes;
use serde_json::{Value, json};

/// A whole response of the Responses API with this text.
pub(crate) fn response(text: &str) -> Value {
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    json!({
        "id": "resp_scripted", "object": "response", "created_at": 1, "status": "completed", "model": "scripted",
        "error": null, "incomplete_details": null,
        "output": [{"id": "msg_scripted", "type": "message", "status": "completed", "role": "assistant", "content": [part]}],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    })
}

/// The same as a stream, a word at a time.
pub(crate) fn response_events(text: &str) -> Vec<Bytes> {
    let whole = response(text);
    let mut begun = whole.clone();
    begun["status"] = "in_progress".into();
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    let item = whole["output"][0].clone();
    let mut empty = item.clone();
    empty["content"] = json!([]);
    let part = item["content"][0].clone();
    let mut unsaid = part.clone();
    unsaid["text"] = "".into();
    let about = |kind: &str, key: &str, value: Value| json!({"type": kind, "item_id": "msg_scripted", "output_index": 0, "content_index": 0, key: value});
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": empty}),
        about("response.content_part.added", "part", unsaid),
    ];
    events.extend(
        text.split_inclusive(' ').map(|word| about("response.output_text.delta", "delta", word.into())),
    );
    events.extend([
        about("response.output_text.done", "text", text.into()),
        about("response.content_part.done", "part", part),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": whole}),
    ]);
    let numbered = events.into_iter().enumerate().map(|(i, mut event)| {
        event["sequence_number"] = i.into();
        Bytes::from(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
    });
    numbered.collect()
}
