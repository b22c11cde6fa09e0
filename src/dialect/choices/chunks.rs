//! A completion cut into the chunks of a stream.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::super::{OURS, sse};

/// Cuts a completion into the events of a stream: per choice what `cut` makes of it, then how it ended; then usage
/// when it was asked for, then `[DONE]`. Members beside `choices` go with the last chunk.
pub(in super::super) fn write(
    completion: &Value,
    include_usage: bool,
    object: &str,
    cut: impl Fn(&Value) -> [Value; 2],
) -> Vec<Bytes> {
    let mut events = Vec::new();
    let mut base = Map::new();
    let mut extras = Map::new();
    for (key, value) in completion.as_object().into_iter().flatten() {
        match key.as_str() {
            "choices" | "usage" => {}
            "object" => drop(base.insert(key.clone(), json!(object))),
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
        for chunk in cut(choice) {
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
