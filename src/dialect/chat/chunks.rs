//! Chat completion chunks: a stream put together into one completion, and a completion cut into a stream.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::super::sse;

/// Members of a delta whose strings are appended, piece by piece.
const APPENDED: [&str; 4] = ["content", "refusal", "reasoning_content", "reasoning"];

/// The most choices and tool calls that a stream may open, so that an index can't claim memory.
const MAX_INDEX: usize = 256;

/// Puts the chunks of a complete stream together into one `chat.completion`.
pub(super) fn assemble(events: &[Bytes]) -> Result<Value, String> {
    let mut completion = json!({"object": "chat.completion", "choices": []});
    let mut seen = false;
    let mut done = false;
    for data in sse::read_all(events)? {
        if data.trim() == sse::DONE {
            done = true;
            break;
        }
        let chunk: Value =
            serde_json::from_str(&data).map_err(|error| format!("an event that is not JSON: {error}"))?;
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err("an error event in its stream".to_owned());
        }
        add_chunk(&mut completion, &chunk)?;
        seen = true;
    }
    if !seen {
        return Err("a stream without a chunk".to_owned());
    }
    let ended = |choice: &Value| !choice["finish_reason"].is_null();
    if !done && !completion["choices"].as_array().is_some_and(|choices| choices.iter().all(ended)) {
        return Err("a stream that broke off before its end".to_owned());
    }
    Ok(completion)
}

fn add_chunk(completion: &mut Value, chunk: &Value) -> Result<(), String> {
    let Value::Object(members) = chunk else { return Err("an event that is not an object".to_owned()) };
    for (key, value) in members {
        match key.as_str() {
            "choices" | "object" => {}
            // The usage of the last chunk counts; earlier ones are null.
            _ if value.is_null() => {}
            _ => completion[key] = value.clone(),
        }
    }
    for choice in chunk["choices"].as_array().into_iter().flatten() {
        let index = choice["index"].as_u64().and_then(|i| usize::try_from(i).ok()).unwrap_or(0);
        let whole = slot(
            &mut completion["choices"],
            index,
            |i| json!({"index": i, "message": {"role": "assistant", "content": null}, "logprobs": null, "finish_reason": null}),
        )?;
        add_choice(whole, choice)?;
    }
    Ok(())
}

fn add_choice(whole: &mut Value, choice: &Value) -> Result<(), String> {
    for (key, value) in choice.as_object().into_iter().flatten() {
        match key.as_str() {
            "index" => {}
            "delta" => add_delta(&mut whole["message"], value)?,
            "logprobs" => add_logprobs(&mut whole["logprobs"], value),
            _ if value.is_null() => {}
            _ => whole[key] = value.clone(),
        }
    }
    Ok(())
}

fn add_delta(message: &mut Value, delta: &Value) -> Result<(), String> {
    for (key, value) in delta.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            (key, Value::String(text)) if APPENDED.contains(&key) => append(&mut message[key], text),
            ("tool_calls", Value::Array(calls)) => {
                if !message["tool_calls"].is_array() {
                    message["tool_calls"] = json!([]);
                }
                for call in calls {
                    let index = call["index"].as_u64().and_then(|i| usize::try_from(i).ok()).unwrap_or(0);
                    merge(slot(&mut message["tool_calls"], index, |_| json!({}))?, call);
                }
            }
            ("function_call" | "audio", value) => {
                if !message[key].is_object() {
                    message[key] = json!({});
                }
                merge(&mut message[key], value);
            }
            (key, value) => message[key] = value.clone(),
        }
    }
    Ok(())
}

/// Merges a piece of a tool call: arguments and transcripts grow, names and ids are said once.
fn merge(whole: &mut Value, piece: &Value) {
    for (key, value) in piece.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("index", _) | (_, Value::Null) => {}
            ("arguments" | "input" | "transcript", Value::String(text)) => append(&mut whole[key], text),
            (key, Value::Object(_)) => {
                if !whole[key].is_object() {
                    whole[key] = json!({});
                }
                merge(&mut whole[key], value);
            }
            (key, value) => whole[key] = value.clone(),
        }
    }
}

fn add_logprobs(whole: &mut Value, piece: &Value) {
    for (key, value) in piece.as_object().into_iter().flatten() {
        match (&mut whole[key], value) {
            (Value::Array(all), Value::Array(more)) => all.extend(more.iter().cloned()),
            (all, value) => *all = value.clone(),
        }
    }
}

fn append(whole: &mut Value, text: &str) {
    match whole {
        Value::String(whole) => whole.push_str(text),
        other => *other = Value::String(text.to_owned()),
    }
}

/// The element at `index`, making room for it.
fn slot(array: &mut Value, index: usize, empty: impl Fn(usize) -> Value) -> Result<&mut Value, String> {
    if index > MAX_INDEX {
        return Err(format!("an index of {index}, more than {MAX_INDEX}"));
    }
    let Value::Array(items) = array else { return Err("a list that is none".to_owned()) };
    while items.len() <= index {
        items.push(empty(items.len()));
    }
    Ok(&mut items[index])
}

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
            "moderation" | "demur" => drop(extras.insert(key.clone(), value.clone())),
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
