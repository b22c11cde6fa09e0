//! The chunks of a stream: each choice carries the next piece of its text.

use serde_json::{Value, json};

use super::{
    super::choices::{
        spelled,
        stream::{Form, Pieces, nested},
    },
    OBJECT, answer,
};
use crate::message::Place;

/// Pieces of text: what they add up to is a choice's `text`.
pub(super) struct Texts;

impl Form for Texts {
    fn object(&self) -> &'static str {
        OBJECT
    }

    fn id(&self) -> &'static str {
        "cmpl-demur"
    }

    fn words(&self) -> &'static str {
        "/text"
    }

    fn read(&self, choice: &Value, pieces: &mut Pieces<'_>) -> Result<(), String> {
        let text = choice["text"].as_str().unwrap_or_default();
        pieces.text("/text", "/text", Place::Content, text);
        for (key, value) in answer::unknown(choice) {
            pieces.every_string(&format!("/{key}"), &format!("/{key}"), Place::Other, value);
        }
        pieces.spelled(&choice["logprobs"], spelled(&choice["logprobs"], text));
        Ok(())
    }

    fn is_worded(&self, choice: &Value) -> bool {
        choice["text"].as_str().is_some_and(|text| !text.is_empty())
    }

    fn add(&self, text: Option<(&str, &str)>) -> Value {
        match text {
            Some((at, text)) => {
                let mut members = nested(at, text);
                // Clients read `text` of every chunk.
                if members.get("text").is_none() {
                    members["text"] = "".into();
                }
                members
            }
            None => json!({"text": ""}),
        }
    }

    fn refuse(&self, text: &str, line: &str, _first: bool) -> Value {
        json!({"text": format!("{line}{text}")})
    }
}

/// The two chunks of a choice: its text, then how it ended.
pub(super) fn cut(choice: &Value) -> [Value; 2] {
    let mut text = choice.clone();
    text["finish_reason"] = Value::Null;
    let end = json!({
        "text": "",
        "index": choice["index"],
        "logprobs": null,
        "finish_reason": choice["finish_reason"],
    });
    [text, end]
}
