//! Chunks of completions, event by event. What tells the two kinds apart is a [`Form`].

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
    unknown,
};
use crate::message::Place;

/// Where the texts of a kind of completion stand in the choices of its chunks.
pub(in super::super) trait Form: Send + Sync {
    /// The `object` of a chunk.
    fn object(&self) -> &'static str;

    /// An id for a stream that has none.
    fn id(&self) -> &'static str;

    /// Where the words that a person reads stand in a choice of a whole answer.
    fn words(&self) -> &'static str;

    /// The pieces of texts in a choice of a chunk.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read(&self, choice: &Value, pieces: &mut Pieces<'_>) -> Result<(), String>;

    /// Whether a choice of a chunk carries words.
    fn is_worded(&self, choice: &Value) -> bool;

    /// The members of a choice that adds a text to the one which stands at this place of a whole answer's; without a
    /// text those of the last one.
    fn add(&self, text: Option<(&str, &str)>) -> Value;

    /// The members of a choice that declines behind `line`; `first` when nothing of the choice was shown.
    fn refuse(&self, text: &str, line: &str, first: bool) -> Value;
}

/// A stream of chunks.
pub(in super::super) struct Chunks {
    form: &'static dyn Form,
    /// Members that every chunk carries: id, model and the like.
    base: Map<String, Value>,
    texts: Texts,
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

/// The texts met so far.
#[derive(Default)]
struct Texts {
    tracks: Vec<Track>,
    /// The choice of each track, where it is of one, and where it stands there in a whole answer.
    places: Vec<(Option<usize>, String)>,
    known: HashMap<(Option<usize>, String), usize>,
}

#[derive(Clone, Default)]
struct Choice {
    finished: bool,
    shown: bool,
    worded: bool,
    shown_finished: bool,
}

/// The pieces of texts in a choice of a chunk.
pub(in super::super) struct Pieces<'a> {
    texts: &'a mut Texts,
    words: &'static str,
    choice: usize,
    /// Where the choice stands in the event.
    at: &'a str,
    said: &'a mut Said,
    declined: &'a mut bool,
}

impl Pieces<'_> {
    /// A piece of the text that stands at `whole` in a choice of a whole answer, and at `here` in this one.
    pub(in super::super) fn text(&mut self, whole: &str, here: &str, place: Place, text: &str) {
        if !text.is_empty() {
            let visible = whole == self.words;
            let track = self.texts.track(Some(self.choice), whole, place, visible);
            let pointer = format!("{}{here}", self.at);
            self.said.pieces.push(Piece { track, pointer, text: text.to_owned(), whole: false });
        }
    }

    /// Every string below a member.
    pub(in super::super) fn every_string(&mut self, whole: &str, here: &str, place: Place, value: &Value) {
        for (below, text) in every_string_below(value) {
            self.text(&format!("{whole}{below}"), &format!("{here}{below}"), place, text);
        }
    }

    /// Token log-probabilities, and what they spell beside the text of the chunk.
    pub(in super::super) fn spelled(&mut self, logprobs: &Value, spelled: String) {
        if !spelled.is_empty() {
            // Alternatives to a token are no running text.
            self.text("/logprobs", "/logprobs", Place::Other, &(spelled + " "));
        }
        if !logprobs.is_null() {
            self.said.spelled.push(format!("{}/logprobs", self.at));
        }
    }

    /// Takes note that the model itself declined.
    pub(in super::super) fn declined(&mut self) {
        *self.declined = true;
    }
}

impl Texts {
    fn track(&mut self, choice: Option<usize>, at: &str, place: Place, visible: bool) -> usize {
        let next = self.tracks.len();
        let track = *self.known.entry((choice, at.to_owned())).or_insert(next);
        if track == next {
            let pointer = choice.map_or_else(|| at.to_owned(), |choice| format!("/choices/{choice}{at}"));
            self.tracks.push(Track { place, pointer, visible });
            self.places.push((choice, at.to_owned()));
        }
        track
    }

    fn of_choice(&self, choice: usize) -> impl Iterator<Item = usize> {
        (0..self.places.len()).filter(move |&track| self.places[track].0 == Some(choice))
    }
}

impl Chunks {
    pub(in super::super) fn new(form: &'static dyn Form, asked: &Asked) -> Self {
        let base = json!({"id": form.id(), "object": form.object(), "created": 0, "model": asked.model});
        let Value::Object(base) = base else { unreachable!("an object was written") };
        Self {
            form,
            base,
            texts: Texts::default(),
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

    fn read_choice(&mut self, choice: &Value, at: &str, said: &mut Said) -> Result<(), String> {
        let i = index(choice, "index")?;
        if self.choices.len() <= i {
            self.choices.resize(i + 1, Choice::default());
        }
        let (form, texts, declined) = (self.form, &mut self.texts, &mut self.declined);
        form.read(choice, &mut Pieces { texts, words: form.words(), choice: i, at, said, declined })?;
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.declined |= reason == "content_filter";
            self.choices[i].finished = true;
            said.ends.extend(self.texts.of_choice(i));
        }
        Ok(())
    }

    fn chunk(&self, choices: Value) -> Map<String, Value> {
        let mut chunk = self.base.clone();
        chunk.insert("choices".to_owned(), choices);
        chunk
    }

    fn of_choice(&self, index: usize, members: &Value, finish_reason: Value) -> Bytes {
        let mut choice = json!({"index": index});
        for (key, value) in members.as_object().into_iter().flatten() {
            choice[key] = value.clone();
        }
        choice["logprobs"] = Value::Null;
        choice["finish_reason"] = finish_reason;
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
        for (key, value) in unknown(chunk) {
            for (below, text) in every_string_below(value) {
                let pointer = format!("/{key}{below}");
                let track = self.texts.track(None, &pointer, Place::Other, false);
                said.pieces.push(Piece { track, pointer, text: text.to_owned(), whole: false });
            }
        }
        self.seen = true;
        self.tokens += u64::from(!said.pieces.is_empty());
        Ok(said)
    }

    fn tracks(&self) -> &[Track] {
        &self.texts.tracks
    }

    fn shown(&mut self, json: &Value) {
        for choice in json["choices"].as_array().into_iter().flatten() {
            let Some(state) = index(choice, "index").ok().and_then(|i| self.choices.get_mut(i)) else {
                continue;
            };
            state.shown = true;
            state.worded |= self.form.is_worded(choice);
            state.shown_finished |= choice["finish_reason"].is_string();
        }
    }

    fn append(&mut self, track: usize, text: &str) -> Bytes {
        let (choice, at) = self.texts.places[track].clone();
        let Some(choice) = choice else {
            let mut chunk = self.chunk(json!([]));
            if let Value::Object(members) = nested(&at, text) {
                chunk.extend(members);
            }
            return written(chunk);
        };
        if at == self.form.words()
            && let Some(state) = self.choices.get_mut(choice)
        {
            state.worded = true;
        }
        self.of_choice(choice, &self.form.add(Some((&at, text))), Value::Null)
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
            events.push(self.of_choice(i, &self.form.refuse(text, line, !choice.shown), Value::Null));
            events.push(self.of_choice(i, &self.form.add(None), "content_filter".into()));
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

/// A text at its place in objects around it.
pub(in super::super) fn nested(at: &str, text: &str) -> Value {
    at.rsplit('/').filter(|key| !key.is_empty()).fold(text.into(), |inner, key| json!({ key: inner }))
}
