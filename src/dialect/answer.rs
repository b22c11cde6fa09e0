//! A whole answer of any dialect: its texts, changes to them, and answers of our own.

use std::{fmt, sync::OnceLock};

use bytes::Bytes;
use serde_json::Value;

use super::{Asked, Dialect, Refusal, json, lens};
use crate::message::{Direction, Segment};

/// A whole answer: what an upstream said, or a refusal of ours.
pub struct Answer {
    dialect: &'static dyn Dialect,
    /// The upstream's own bytes, handed on when nothing changes.
    raw: Bytes,
    /// A plain answer is read as a tree only when it has to be changed: its segments, and whether the model declined.
    plain: Option<(Vec<Segment>, bool)>,
    tree: OnceLock<Value>,
    changed: bool,
}

impl Answer {
    /// Reads a whole JSON answer.
    ///
    /// # Errors
    /// What is missing for it to be one.
    pub fn read(dialect: &'static dyn Dialect, body: Bytes) -> Result<Self, String> {
        let plain = dialect.plain(&body);
        if plain.is_some() {
            return Ok(Self { dialect, raw: body, plain, tree: OnceLock::new(), changed: false });
        }
        let json = json::read(&body).map_err(|error| format!("not JSON: {error}"))?;
        dialect.check(&json)?;
        Ok(Self { dialect, raw: body, plain: None, tree: json.into(), changed: false })
    }

    /// A refusal in our own words.
    pub fn refusal(dialect: &'static dyn Dialect, refusal: &Refusal<'_>) -> Self {
        let tree = dialect.refusal(refusal).into();
        Self { dialect, raw: Bytes::new(), plain: None, tree, changed: true }
    }

    /// The answer as JSON.
    pub fn json(&self) -> &Value {
        let read = || serde_json::from_slice(&self.raw).expect("a plain answer can be read as a tree");
        self.tree.get_or_init(read)
    }

    /// The answer to be changed.
    fn json_mut(&mut self) -> &mut Value {
        self.json();
        self.plain = None;
        self.changed = true;
        self.tree.get_mut().expect("it was just read")
    }

    /// Every text of the answer that the client sees.
    pub fn segments(&self) -> Vec<Segment> {
        if let Some((segments, _)) = &self.plain {
            return segments.clone();
        }
        let mut lens = lens::Lens::new(Direction::Output);
        self.dialect.answer(self.json(), &mut lens);
        lens.finish()
    }

    /// Replaces the text of one segment.
    pub fn replace(&mut self, pointer: &str, text: String) {
        let dialect = self.dialect;
        let json = self.json_mut();
        lens::write(json, pointer, text);
        dialect.changed(json, pointer);
    }

    /// Replaces the text of one segment by what is left of it. A text in which originals are put back keeps its
    /// signature: they are taken out again when the client sends it back.
    pub fn take_out(&mut self, pointer: &str, text: String) {
        self.replace(pointer, text);
        let dialect = self.dialect;
        dialect.unsign(self.json_mut(), pointer);
    }

    /// Changes the words of every choice that a person reads.
    pub fn map_visible(&mut self, change: impl Fn(&str) -> String) {
        for pointer in self.dialect.visible(self.json()) {
            let text = self.json().pointer(&pointer).and_then(Value::as_str).map(&change);
            if let Some(text) = text {
                lens::write(self.json_mut(), &pointer, text);
            }
        }
    }

    /// Adds a member of [`super::OURS`].
    pub fn attach(&mut self, key: &str, value: Value) {
        let value = self.dialect.ours(key, value);
        self.json_mut()[key] = value;
    }

    /// Whether the model itself declined, or a filter of the upstream's own.
    pub fn declined(&self) -> bool {
        match &self.plain {
            Some((_, declined)) => *declined,
            None => self.dialect.declined(self.json()),
        }
    }

    /// The answer as one JSON body: the upstream's own bytes unless something changed.
    pub fn into_whole(self) -> Bytes {
        if self.changed {
            return serde_json::to_vec(self.json()).expect("JSON values serialise").into();
        }
        self.raw
    }

    /// The answer as a stream of events.
    pub fn into_events(self, asked: &Asked) -> Vec<Bytes> {
        self.dialect.events(self.json(), asked)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("bytes", &self.raw.len()).field("changed", &self.changed).finish()
    }
}
