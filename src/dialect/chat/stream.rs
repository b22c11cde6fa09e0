//! The deltas of chat completion chunks.

use serde_json::{Value, json};

use super::{
    super::{
        choices::{
            spelled,
            stream::{Form, Pieces, nested},
        },
        stream::index,
    },
    answer, chunk,
};
use crate::message::Place;

/// Members of a delta whose strings are texts, piece by piece.
const TEXTS: [(&str, Place); 4] = [
    ("content", Place::Content),
    ("refusal", Place::Refusal),
    ("reasoning_content", Place::Reasoning),
    ("reasoning", Place::Reasoning),
];

/// Deltas: what they add up to is a choice's `message`.
pub(super) struct Deltas;

impl Form for Deltas {
    fn object(&self) -> &'static str {
        chunk::OBJECT
    }

    fn id(&self) -> &'static str {
        "chatcmpl-demur"
    }

    fn words(&self) -> &'static str {
        "/message/content"
    }

    fn read(&self, choice: &Value, pieces: &mut Pieces<'_>) -> Result<(), String> {
        let delta = &choice["delta"];
        let mut words = String::new();
        for (key, place) in TEXTS {
            if let Some(text) = delta[key].as_str().filter(|text| !text.is_empty()) {
                if matches!(place, Place::Content | Place::Refusal) {
                    words.push_str(text);
                }
                if place == Place::Refusal {
                    pieces.declined();
                }
            }
            member(pieces, delta, key, place);
        }
        for (n, call) in delta["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let whole = index(call, "index")?;
            for (kind, text) in [("function", "arguments"), ("custom", "input")] {
                for key in ["name", text] {
                    let text = call[kind][key].as_str().unwrap_or_default();
                    let whole = format!("/message/tool_calls/{whole}/{kind}/{key}");
                    pieces.text(
                        &whole,
                        &format!("/delta/tool_calls/{n}/{kind}/{key}"),
                        Place::ToolCall,
                        text,
                    );
                }
            }
        }
        member(pieces, delta, "function_call", Place::ToolCall);
        member(pieces, delta, "annotations", Place::Other);
        let transcript = delta["audio"]["transcript"].as_str().unwrap_or_default();
        pieces.text("/message/audio/transcript", "/delta/audio/transcript", Place::Content, transcript);
        for (key, _) in answer::unknown_of_message(delta) {
            member(pieces, delta, key, Place::Other);
        }
        pieces.spelled(&choice["logprobs"], spelled(&choice["logprobs"], &words));
        Ok(())
    }

    fn is_worded(&self, choice: &Value) -> bool {
        choice["delta"]["content"].as_str().is_some_and(|text| !text.is_empty())
    }

    fn add(&self, text: Option<(&str, &str)>) -> Value {
        let Some((at, text)) = text else { return json!({"delta": {}}) };
        let at = at.strip_prefix("/message").unwrap_or(at);
        let keys: Vec<&str> = at.split('/').skip(1).collect();
        match keys[..] {
            ["tool_calls", call, kind, key] => {
                let call: usize = call.parse().unwrap_or_default();
                json!({"delta": {"tool_calls": [{"index": call, kind: {key: text}}]}})
            }
            _ => json!({"delta": nested(at, text)}),
        }
    }

    fn refuse(&self, text: &str, line: &str, first: bool) -> Value {
        let mut delta = json!({"content": format!("{line}{text}"), "refusal": text});
        if first {
            delta["role"] = "assistant".into();
        }
        json!({"delta": delta})
    }
}

/// Every string of a member of the delta.
fn member(pieces: &mut Pieces<'_>, delta: &Value, key: &str, place: Place) {
    if let Some(value) = delta.get(key) {
        pieces.every_string(&format!("/message/{key}"), &format!("/delta/{key}"), place, value);
    }
}
