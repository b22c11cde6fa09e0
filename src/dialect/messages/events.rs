//! The events of a stream, and a whole message cut into them.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    super::{OURS, sse},
    blocks,
};

/// An event; its name on the wire is its type.
pub(super) fn event(json: &Value) -> Bytes {
    sse::named(blocks::kind(json), &json.to_string())
}

/// The beginning of a block.
pub(super) fn start(index: usize, block: &Value) -> Bytes {
    event(&json!({"type": "content_block_start", "index": index, "content_block": block}))
}

/// A piece of a block: a delta of this type, with a text in this member.
pub(super) fn delta(index: usize, kind: &str, key: &str, piece: impl Into<Value>) -> Bytes {
    event(&json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, key: piece.into()}}))
}

/// The end of a block.
pub(super) fn stop(index: usize) -> Bytes {
    event(&json!({"type": "content_block_stop", "index": index}))
}

/// A block of text, from its beginning to its end.
pub(super) fn text_block(index: usize, text: &str) -> [Bytes; 3] {
    let empty = json!({"type": "text", "text": ""});
    [start(index, &empty), delta(index, "text_delta", "text", text), stop(index)]
}

/// Members of Demur's own. Anthropic's events have no place for them, but a client takes a ping at any time and looks
/// at nothing in it.
pub(super) fn ping(members: &Map<String, Value>) -> Bytes {
    let mut ping = json!({"type": "ping"});
    for (key, value) in members {
        ping[key] = value.clone();
    }
    event(&ping)
}

/// The end of a message.
pub(super) fn message_stop() -> Bytes {
    event(&json!({"type": "message_stop"}))
}

/// Cuts a message into the events of a stream: its head, each block with its text in one piece, how it stopped.
pub(super) fn write(answer: &Value) -> Vec<Bytes> {
    let mut message = answer.clone();
    let mut ours = Map::new();
    let mut end = json!({"stop_reason": null, "stop_sequence": null});
    if let Some(members) = message.as_object_mut() {
        for key in OURS {
            ours.extend(members.shift_remove(key).map(|value| (key.to_owned(), value)));
        }
        for key in ["stop_reason", "stop_sequence", "stop_details"] {
            if let Some(value) = members.get_mut(key) {
                end[key] = value.take();
            }
        }
        members.insert("content".to_owned(), json!([]));
    }
    let mut events = vec![event(&json!({"type": "message_start", "message": message}))];
    for (i, block) in answer["content"].as_array().into_iter().flatten().enumerate() {
        write_block(i, block, &mut events);
    }
    events.push(event(&json!({"type": "message_delta", "delta": end, "usage": answer["usage"]})));
    if !ours.is_empty() {
        events.push(ping(&ours));
    }
    events.push(message_stop());
    events
}

/// A block: what clients expect in pieces is taken out of its beginning and comes behind it.
fn write_block(index: usize, block: &Value, events: &mut Vec<Bytes>) {
    let mut head = block.clone();
    let mut pieces = Vec::new();
    let mut take = |key: &str, empty: Value, kind: &str, name: &str| {
        let Some(value) = head.get_mut(key).filter(|value| !value.is_null() && **value != empty) else {
            return;
        };
        let piece = match std::mem::replace(value, empty) {
            input @ Value::Object(_) => input.to_string().into(),
            text => text,
        };
        pieces.push(delta(index, kind, name, piece));
    };
    match blocks::kind(block) {
        "text" => take("text", "".into(), "text_delta", "text"),
        "thinking" => {
            take("thinking", "".into(), "thinking_delta", "thinking");
            take("signature", "".into(), "signature_delta", "signature");
        }
        kind if blocks::is_call(kind) && block["input"].is_object() => {
            take("input", json!({}), "input_json_delta", "partial_json");
        }
        _ => {}
    }
    if blocks::kind(block) == "text"
        && let Some(citations) = head.get_mut("citations").and_then(Value::as_array_mut)
    {
        let citations = std::mem::take(citations);
        pieces.extend(
            citations.into_iter().map(|citation| delta(index, "citations_delta", "citation", citation)),
        );
    }
    events.push(start(index, &head));
    events.append(&mut pieces);
    events.push(stop(index));
}
