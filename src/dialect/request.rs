//! A request of any dialect: the client's bytes, and the same as JSON.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use super::{BadBody, Dialect, kind, lens, media::Media};
use crate::message::{Direction, Segment};

/// What the gateway has to know of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The model that the client named.
    pub model: String,
    /// Whether the client asked for a stream of events.
    pub stream: bool,
    /// Whether the stream shall end with what it cost, where that has to be asked for.
    pub include_usage: bool,
    /// How many choices are asked for.
    pub n: usize,
    /// Whether the answer shall carry OpenAI's `moderation` block.
    pub wants_moderation: bool,
}

/// A request that was read and checked.
#[derive(Clone)]
pub struct Request {
    dialect: &'static dyn Dialect,
    bytes: Bytes,
    json: Value,
    changed: bool,
    asked: Asked,
}

impl Request {
    /// Reads and checks a body.
    ///
    /// # Errors
    /// Which field is wrong, what was found and what was expected.
    pub fn parse(dialect: &'static dyn Dialect, bytes: Bytes) -> Result<Self, BadBody> {
        let json = parse_json(&bytes)?;
        if !json.is_object() {
            let message = format!("the body must be a JSON object, found {}", kind(&json));
            return Err(BadBody { param: None, message });
        }
        let asked = dialect.read(&json)?;
        let mut request = Self { dialect, bytes, json, changed: false, asked };
        if request.asked.wants_moderation {
            // Ours to answer; an upstream that knows the field would moderate a second time.
            request.remove("moderation");
        }
        Ok(request)
    }

    /// Its wire format.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }

    /// What the gateway has to know of it.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Every text of the body that the model reads.
    pub fn segments(&self) -> Vec<Segment> {
        let mut lens = lens::Lens::new(Direction::Input);
        self.dialect.question(&self.json, &mut lens);
        lens.finish()
    }

    /// Images, audio and files, which hold no text to judge.
    pub fn media(&self) -> Vec<Media> {
        self.dialect.media(&self.json)
    }

    /// Puts a text where media stand.
    pub fn strip(&mut self, media: &[Media]) {
        for Media { pointer, kind } in media {
            if let Some(part) = self.json.pointer_mut(pointer) {
                *part = self.dialect.text_part(&format!("[{} removed]", kind.as_str()));
                self.changed = true;
            }
        }
    }

    /// Replaces the text of one segment.
    pub fn replace(&mut self, pointer: &str, text: String) {
        lens::write(&mut self.json, pointer, text);
        self.changed = true;
    }

    /// Adds guidance for the model.
    pub fn add_guidance(&mut self, text: &str) {
        self.dialect.guide(&mut self.json, text);
        self.changed = true;
    }

    /// The body to hand on: the client's own bytes unless something changed.
    pub fn to_bytes(&self) -> Bytes {
        if self.changed {
            serde_json::to_vec(&self.json).expect("JSON values serialise").into()
        } else {
            self.bytes.clone()
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some(body) = self.json.as_object_mut() {
            // Keep the order of what remains.
            body.shift_remove(key);
            self.changed = true;
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("asked", &self.asked).finish_non_exhaustive()
    }
}

fn parse_json(bytes: &[u8]) -> Result<Value, BadBody> {
    let text = std::str::from_utf8(bytes).map_err(|error| BadBody {
        param: None,
        message: format!("the body is not valid UTF-8: first bad byte at offset {}", error.valid_up_to()),
    })?;
    if text.trim().is_empty() {
        return Err(BadBody { param: None, message: "the body is empty; expected a JSON object".to_owned() });
    }
    // The error of a syntax error names line and column and quotes nothing; nesting is limited to 128 levels.
    serde_json::from_str(text)
        .map_err(|error| BadBody { param: None, message: format!("the body is not valid JSON: {error}") })
}

/// A member that must be a model's name.
pub(super) fn model(body: &Value) -> Result<String, BadBody> {
    match body.get("model") {
        None | Some(Value::Null) => Err(BadBody::at("model", "you must provide a model parameter")),
        Some(Value::String(model)) if !model.is_empty() => Ok(model.clone()),
        Some(other) => Err(wrong_type("model", "a model's name", other)),
    }
}

/// A member that is a boolean, or absent for `false`.
pub(super) fn flag(value: Option<&Value>, name: &str) -> Result<bool, BadBody> {
    match value {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(wrong_type(name, "a boolean", other)),
    }
}

/// Whether the answer shall carry OpenAI's `moderation` block.
pub(super) fn wants_moderation(body: &Value) -> Result<bool, BadBody> {
    match &body["moderation"] {
        Value::Null => Ok(false),
        Value::Object(_) => Ok(true),
        other => Err(wrong_type("moderation", "an object", other)),
    }
}

/// A field of the wrong type.
pub(super) fn wrong_type(at: &str, expected: &str, found: &Value) -> BadBody {
    BadBody::at(at, format!("wrong type for `{at}`: expected {expected}, found {}", kind(found)))
}

/// A member that is a text or a list of texts; how many there are. Tokens stand for a text that nobody here can read.
pub(super) fn texts(name: &str, value: &Value) -> Result<usize, BadBody> {
    match value {
        Value::String(_) => Ok(1),
        Value::Array(texts) if texts.is_empty() => {
            Err(BadBody::at(name, format!("`{name}` is empty; expected at least one text")))
        }
        Value::Array(texts) => match texts.iter().enumerate().find(|(_, text)| !text.is_string()) {
            None => Ok(texts.len()),
            Some((_, Value::Number(_) | Value::Array(_))) => Err(unreadable(name, "tokens")),
            Some((i, other)) => Err(wrong_type(&format!("{name}[{i}]"), "a string", other)),
        },
        other => Err(wrong_type(name, "a string or an array of strings", other)),
    }
}

/// A field that stands for a text and can't be judged.
pub(super) fn unreadable(name: &str, found: &str) -> BadBody {
    let message =
        format!("`{name}` holds {found}, which can't be judged; expected a string or an array of strings");
    BadBody::at(name, message)
}
