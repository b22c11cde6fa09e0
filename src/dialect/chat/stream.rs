//! Chat completion chunks, event by event.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    super::{
        Asked,
        error::ErrorBody,
        lens::every_string_below,
        sse::{self, Event},
        stream::{Piece, Reader, Said, Track, index},
    },
    answer,
};
use crate::message::Place;

/// Members of a delta whose strings are texts, piece by piece.
const TEXTS: [(&str, Place); 4] = [
    ("content", Place::Content),
    ("refusal", Place::Refusal),
    ("reasoning_content", Place::Reasoning),
    ("reasoning", Place::Reasoning),
];

/// A stream of chunks.
pub(super) struct Chunks {
    /// Members that every chunk carries: id, model and the like.
    base: Map<String, Value>,
    tracks: Vec<Track>,
    /// The choice of each track, and the delta that adds to it: a JSON pointer below `delta`.
    places: Vec<(usize, String)>,
    known: HashMap<(usize, String), usize>,
    choices: Vec<Choice>,
    asked: usize,
    include_usage: bool,
    usage: Option<Value>,
    /// Chunks with a text: about as many tokens.
    tokens: u64,
    seen: bool,
    done: bool,
    declined: bool,
}

#[derive(Clone, Default)]
struct Choice {
    finished: bool,
    shown: bool,
    worded: bool,
    shown_finished: bool,
}

impl Chunks {
    pub(super) fn new(asked: &Asked) -> Self {
        let base = json!({"id": "chatcmpl-demur", "object": "chat.completion.chunk", "created": 0, "model": asked.model});
        let Value::Object(base) = base else { unreachable!("an object was written") };
        Self {
            base,
            tracks: Vec::new(),
            places: Vec::new(),
            known: HashMap::new(),
            choices: vec![Choice::default()],
            asked: asked.n,
            include_usage: asked.include_usage,
            usage: None,
            tokens: 0,
            seen: false,
            done: false,
            declined: false,
        }
    }

    /// The track at this place of a choice's delta.
    fn track(&mut self, choice: usize, at: &str, place: Place) -> usize {
        let next = self.tracks.len();
        let track = *self.known.entry((choice, at.to_owned())).or_insert(next);
        if track == next {
            let pointer = format!("/choices/{choice}/message{at}");
            self.tracks.push(Track { place, pointer, visible: at == "/content" });
            self.places.push((choice, at.to_owned()));
        }
        track
    }

    fn choice(&mut self, choice: &Value) -> Result<usize, String> {
        let index = index(choice, "index")?;
        if self.choices.len() <= index {
            self.choices.resize(index + 1, Choice::default());
        }
        Ok(index)
    }

    fn read_choice(&mut self, choice: &Value, at: &str, said: &mut Said) -> Result<(), String> {
        let i = self.choice(choice)?;
        let delta = &choice["delta"];
        let mut words = String::new();
        for (key, place) in TEXTS {
            match &delta[key] {
                Value::String(text) if !text.is_empty() => {
                    if matches!(place, Place::Content | Place::Refusal) {
                        words.push_str(text);
                    }
                    self.declined |= place == Place::Refusal;
                    self.piece(i, &format!("/{key}"), place, at, text, said);
                }
                Value::Array(_) | Value::Object(_) => {
                    self.pieces(i, &format!("/{key}"), place, at, &delta[key], said)
                }
                _ => {}
            }
        }
        for (n, call) in delta["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let whole = index(call, "index")?;
            for (kind, text) in [("function", "arguments"), ("custom", "input")] {
                for key in ["name", text] {
                    if let Some(text) = call[kind][key].as_str().filter(|text| !text.is_empty()) {
                        let track =
                            self.track(i, &format!("/tool_calls/{whole}/{kind}/{key}"), Place::ToolCall);
                        let pointer = format!("{at}/delta/tool_calls/{n}/{kind}/{key}");
                        said.pieces.push(Piece { track, pointer, text: text.to_owned(), whole: false });
                    }
                }
            }
        }
        for (key, place) in [("function_call", Place::ToolCall), ("annotations", Place::Other)] {
            self.pieces(i, &format!("/{key}"), place, at, &delta[key], said);
        }
        if let Some(text) = delta["audio"]["transcript"].as_str().filter(|text| !text.is_empty()) {
            self.piece(i, "/audio/transcript", Place::Content, at, text, said);
        }
        for (key, value) in answer::unknown_of_message(delta) {
            self.pieces(i, &format!("/{key}"), Place::Other, at, value, said);
        }
        let spelled = answer::spelled(&choice["logprobs"], &words);
        if !spelled.is_empty() {
            let track = self.track(i, "/logprobs", Place::Other);
            let pointer = format!("{at}/logprobs");
            // Alternatives to a token are no running text.
            said.pieces.push(Piece { track, pointer, text: spelled + " ", whole: false });
        }
        if !choice["logprobs"].is_null() {
            said.spelled.push(format!("{at}/logprobs"));
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.declined |= reason == "content_filter";
            self.choices[i].finished = true;
            said.ends.extend((0..self.places.len()).filter(|&track| self.places[track].0 == i));
        }
        Ok(())
    }

    fn piece(&mut self, choice: usize, key: &str, place: Place, at: &str, text: &str, said: &mut Said) {
        let track = self.track(choice, key, place);
        said.pieces.push(Piece {
            track,
            pointer: format!("{at}/delta{key}"),
            text: text.to_owned(),
            whole: false,
        });
    }

    /// Every string below a member.
    fn pieces(&mut self, choice: usize, key: &str, place: Place, at: &str, value: &Value, said: &mut Said) {
        for (below, text) in every_string_below(value) {
            self.piece(choice, &format!("{key}{below}"), place, at, text, said);
        }
    }

    fn chunk(&self, choices: Value) -> Map<String, Value> {
        let mut chunk = self.base.clone();
        chunk.insert("choices".to_owned(), choices);
        chunk
    }

    fn of_choice(&self, index: usize, delta: Value, finish_reason: Value) -> Bytes {
        let choice =
            json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        written(self.chunk(json!([choice])))
    }

    fn usage(&self) -> Value {
        let counted =
            json!({"prompt_tokens": 0, "completion_tokens": self.tokens, "total_tokens": self.tokens});
        self.usage.clone().unwrap_or(counted)
    }
}

impl Reader for Chunks {
    fn read(&mut self, event: &Event, json: Option<&Value>) -> Result<Said, String> {
        let mut said = Said::default();
        if self.done || event.data.is_none() {
            return Ok(said);
        }
        if event.data.as_deref().is_some_and(|data| data.trim() == sse::DONE) {
            self.done = true;
            said.last = true;
            return Ok(said);
        }
        let chunk = json.ok_or("an event that is not JSON")?;
        let Value::Object(members) = chunk else { return Err("an event that is not an object".to_owned()) };
        if members.get("error").is_some_and(|error| !error.is_null()) {
            return Err("an error event in its stream".to_owned());
        }
        for key in ["id", "created", "model", "system_fingerprint", "service_tier"] {
            if let Some(value) = members.get(key).filter(|value| !value.is_null()) {
                self.base.insert(key.to_owned(), value.clone());
            }
        }
        if let Some(usage) = members.get("usage").filter(|usage| !usage.is_null()) {
            self.usage = Some(usage.clone());
        }
        for (n, choice) in chunk["choices"].as_array().into_iter().flatten().enumerate() {
            self.read_choice(choice, &format!("/choices/{n}"), &mut said)?;
        }
        for (key, value) in answer::unknown(chunk) {
            for (below, text) in every_string_below(value) {
                let at = format!("/{key}{below}");
                let track = self.track(0, &format!("/..{at}"), Place::Other);
                said.pieces.push(Piece { track, pointer: at, text: text.to_owned(), whole: false });
            }
        }
        self.seen = true;
        self.tokens += u64::from(!said.pieces.is_empty());
        Ok(said)
    }

    fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn shown(&mut self, json: &Value) {
        for choice in json["choices"].as_array().into_iter().flatten() {
            let Some(state) = index(choice, "index").ok().and_then(|i| self.choices.get_mut(i)) else {
                continue;
            };
            state.shown = true;
            state.worded |= choice["delta"]["content"].as_str().is_some_and(|text| !text.is_empty());
            state.shown_finished |= choice["finish_reason"].is_string();
        }
    }

    fn append(&mut self, track: usize, text: &str) -> Bytes {
        let (choice, at) = self.places[track].clone();
        let mut delta = json!({});
        let keys: Vec<&str> = at.split('/').skip(1).collect();
        match keys[..] {
            ["tool_calls", call, kind, key] => {
                let call: usize = call.parse().unwrap_or_default();
                delta = json!({"tool_calls": [{"index": call, kind: {key: text}}]});
            }
            [outer, inner] => delta[outer] = json!({inner: text}),
            _ => delta[keys[0]] = text.into(),
        }
        if at == "/content"
            && let Some(state) = self.choices.get_mut(choice)
        {
            state.worded = true;
        }
        self.of_choice(choice, delta, Value::Null)
    }

    fn attach(&mut self, members: &Map<String, Value>) -> Option<Bytes> {
        let mut chunk = self.chunk(json!([]));
        chunk.extend(members.clone());
        Some(written(chunk))
    }

    fn refuse(&mut self, text: &str, _hazard: Option<&'static str>) -> Vec<Bytes> {
        let mut events = Vec::new();
        let n = self.choices.len().max(self.asked);
        self.choices.resize(n, Choice::default());
        for (i, choice) in self.choices.iter().enumerate().filter(|(_, choice)| !choice.shown_finished) {
            let line = if choice.worded { "\n\n" } else { "" };
            let mut delta = json!({"content": format!("{line}{text}"), "refusal": text});
            if !choice.shown {
                delta["role"] = "assistant".into();
            }
            events.push(self.of_choice(i, delta, Value::Null));
            events.push(self.of_choice(i, json!({}), "content_filter".into()));
        }
        if self.include_usage {
            let mut chunk = self.chunk(json!([]));
            chunk.insert("usage".to_owned(), self.usage());
            events.push(written(chunk));
        }
        events.push(sse::event(sse::DONE));
        events
    }

    fn broken(&mut self, message: &str) -> Vec<Bytes> {
        let error = ErrorBody::new("upstream_error", Some("upstream_broken"), message);
        vec![sse::event(&String::from_utf8_lossy(&error.to_bytes()))]
    }

    fn end(&mut self) -> Result<Vec<Bytes>, String> {
        if self.done {
            return Ok(Vec::new());
        }
        if !self.seen {
            return Err("a stream without a chunk".to_owned());
        }
        if self.choices.iter().all(|choice| choice.finished) {
            return Ok(vec![sse::event(sse::DONE)]);
        }
        Err("a stream that broke off before its end".to_owned())
    }

    fn declined(&self) -> bool {
        self.declined
    }
}

fn written(chunk: Map<String, Value>) -> Bytes {
    sse::event(&Value::Object(chunk).to_string())
}
