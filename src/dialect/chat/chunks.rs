//! A completion cut into the chunks of a stream.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::super::{OURS, sse};

/// Cuts a completion into the events of a stream: per choice the role with the text, then how it ended;
/// then usage when it was asked for, then `[DONE]`. Members beside `choices` go with the last chunk.
pub(super) fn write(completion: &Value, include_usage: bool) -> Vec<Bytes> {
    let mut events = Vec::new();
    let mut base = Map::new();
    let mut extras = Map::new();
    for (key, value) in completion.as_object().into_iter().flatten() {
        match key.as_str() {
            "choices" | "usage" => {}
            "object" => drop(base.insert(key.clone(), json!("chat.completion.chunk"))),
            _ if OURS.contains(&key.as_str()) => drop(extras.insert(key.clone(), value.clone())),
            _ => drop(base.insert(key.clone(), value.clone())),
        }
    }
    let mut push = |choices: Value, more: &Map<String, Value>| {
        let mut chunk = base.clone();
        chunk.insert("choices".to_owned(), choices);
        chunk.extend(more.clone());
        events.push(sse::event(&Value::Object(chunk).to_string()));
    };
    for choice in completion["choices"].as_array().into_iter().flatten() {
        for (delta, finish_reason) in deltas(choice) {
            let logprobs = if finish_reason.is_null() { &choice["logprobs"] } else { &Value::Null };
            let chunk = json!({"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason});
            push(json!([chunk]), &Map::new());
        }
    }
    if !extras.is_empty() {
        push(json!([]), &extras);
    }
    if let Some(usage) = completion.get("usage").filter(|_| include_usage) {
        push(json!([]), &Map::from_iter([("usage".to_owned(), usage.clone())]));
    }
    events.push(sse::event(sse::DONE));
    events
}

/// The deltas of one choice: all of its message, then an empty one with the finish reason.
fn deltas(choice: &Value) -> [(Value, Value); 2] {
    let mut message = choice["message"].clone();
    for (i, call) in message["tool_calls"].as_array_mut().into_iter().flatten().enumerate() {
        call["index"] = json!(i);
    }
    if let Some(message) = message.as_object_mut() {
        message.retain(|key, value| !value.is_null() || key == "content");
    }
    [(message, Value::Null), (json!({}), choice["finish_reason"].clone())]
}
