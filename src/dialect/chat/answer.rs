//! The answer: its texts, changes to them, and answers of our own.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::lens,
    chunks,
    plain::{Choice, Plain},
};
use crate::message::{Direction, Place, Role, Segment};

/// A whole chat completion: what an upstream said, or a refusal of ours.
#[derive(Debug)]
pub struct ChatAnswer {
    /// The upstream's own bytes, handed on when nothing changes.
    raw: Vec<Bytes>,
    /// A plain answer is read as a tree only when it has to be changed.
    plain: Option<Plain>,
    tree: OnceLock<Value>,
    changed: bool,
    streamed: bool,
}

impl ChatAnswer {
    /// Reads a whole JSON answer.
    ///
    /// # Errors
    /// What is missing for it to be a chat completion.
    pub fn from_whole(body: Bytes) -> Result<Self, String> {
        let plain = Plain::read(&body);
        if plain.is_some() {
            return Ok(Self {
                raw: vec![body],
                plain,
                tree: OnceLock::new(),
                changed: false,
                streamed: false,
            });
        }
        let json: Value = serde_json::from_slice(&body).map_err(|error| format!("not JSON: {error}"))?;
        if !json["choices"].is_array() {
            return Err("a JSON answer without `choices`".to_owned());
        }
        Ok(Self::new(vec![body], json, false, false))
    }

    /// Puts a complete stream of events together.
    ///
    /// # Errors
    /// What is wrong with the stream; an error event of the upstream is reported as such.
    pub fn from_events(events: Vec<Bytes>) -> Result<Self, String> {
        let json = chunks::assemble(&events)?;
        Ok(Self::new(events, json, false, true))
    }

    /// A refusal in our own words: HTTP 200, the text in `content` and in `refusal`,
    /// `finish_reason: "content_filter"` for each of the choices that were asked for.
    pub fn refusal(id: &str, created: u64, model: &str, text: &str, n: usize, streamed: bool) -> Self {
        let choice = |index: usize| {
            json!({
                "index": index,
                "message": {"role": "assistant", "content": text, "refusal": text},
                "logprobs": null,
                "finish_reason": "content_filter",
            })
        };
        let json = json!({
            "id": id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": (0..n).map(choice).collect::<Vec<_>>(),
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        });
        Self::new(Vec::new(), json, true, streamed)
    }

    fn new(raw: Vec<Bytes>, json: Value, changed: bool, streamed: bool) -> Self {
        Self { raw, plain: None, tree: json.into(), changed, streamed }
    }

    fn json(&self) -> &Value {
        let read = || serde_json::from_slice(&self.raw[0]).expect("a plain answer can be read as a tree");
        self.tree.get_or_init(read)
    }

    /// The answer to be changed.
    fn json_mut(&mut self) -> &mut Value {
        self.json();
        self.plain = None;
        self.changed = true;
        self.tree.get_mut().expect("it was just read")
    }

    /// The same refusal in place of an answer that was made: its id and what it cost stay known.
    #[must_use]
    pub fn refused(&self, id: &str, created: u64, model: &str, text: &str) -> Self {
        let n = self.json()["choices"].as_array().map_or(1, Vec::len).max(1);
        let mut refusal = Self::refusal(id, created, model, text, n, self.streamed);
        for key in ["id", "created", "model", "usage"] {
            if let Some(value) = self.json().get(key).filter(|value| !value.is_null()) {
                refusal.json_mut()[key] = value.clone();
            }
        }
        refusal
    }

    /// Every text of the answer that the client sees, in all choices.
    pub fn segments(&self) -> Vec<Segment> {
        if let Some(plain) = &self.plain {
            return plain.segments();
        }
        let mut lens = lens::Lens::new(Direction::Output);
        let choices = self.json()["choices"].as_array().into_iter().flatten();
        for (i, choice) in choices.enumerate() {
            let message = &choice["message"];
            let at = format!("/choices/{i}/message");
            lens.content(&message["content"], &format!("{at}/content"), Role::Assistant, Place::Content);
            lens.member(message, "refusal", &at, Role::Assistant, Place::Refusal);
            for key in ["reasoning_content", "reasoning"] {
                lens.member(message, key, &at, Role::Assistant, Place::Reasoning);
            }
            if let Some(audio) = message.get("audio") {
                lens.member(audio, "transcript", &format!("{at}/audio"), Role::Assistant, Place::Content);
            }
            if let Some(annotations) = message.get("annotations") {
                lens.every_string(annotations, &format!("{at}/annotations"), Role::Assistant, Place::Other);
            }
            lens.tool_calls(message, &at, Role::Assistant);
        }
        lens.finish()
    }

    /// Replaces the text of one segment. The token log-probabilities of that choice would still spell the old
    /// text, so they go.
    pub fn replace(&mut self, pointer: &str, text: String) {
        let json = self.json_mut();
        lens::write(json, pointer, text);
        let choice = pointer.split('/').nth(2).and_then(|i| json.pointer_mut(&format!("/choices/{i}")));
        if let Some(logprobs) = choice.and_then(|choice| choice.get_mut("logprobs")) {
            *logprobs = Value::Null;
        }
    }

    /// Changes the visible text of every choice: its string content.
    pub fn map_content(&mut self, change: impl Fn(&str) -> String) {
        for choice in self.json_mut()["choices"].as_array_mut().into_iter().flatten() {
            let content = &mut choice["message"]["content"];
            if let Some(text) = content.as_str() {
                *content = Value::String(change(text));
            }
        }
    }

    /// Adds a member beside `choices`, such as `moderation`.
    pub fn attach(&mut self, key: &str, value: Value) {
        self.json_mut()[key] = value;
    }

    /// Whether the model itself declined: a `refusal`, or a filter of the upstream's own.
    pub fn model_declined(&self) -> bool {
        if let Some(plain) = &self.plain {
            return plain.choices.iter().any(Choice::is_declined);
        }
        self.json()["choices"].as_array().into_iter().flatten().any(|choice| {
            choice["message"]["refusal"].as_str().is_some_and(|text| !text.is_empty())
                || choice["finish_reason"] == "content_filter"
        })
    }

    /// The answer as one JSON body.
    pub fn into_whole(self) -> Bytes {
        if self.changed || self.streamed {
            return serde_json::to_vec(self.json()).expect("JSON values serialise").into();
        }
        self.raw.into_iter().next().unwrap_or_default()
    }

    /// The answer as a stream of events: the upstream's own bytes unless something changed.
    pub fn into_events(self, include_usage: bool) -> Vec<Bytes> {
        if self.changed || !self.streamed { chunks::write(self.json(), include_usage) } else { self.raw }
    }
}
