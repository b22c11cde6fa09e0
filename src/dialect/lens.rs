//! Looks at texts inside a JSON value and writes them back by JSON pointer (RFC 6901).

use serde_json::Value;

use super::media;
use crate::message::{Direction, Place, Role, Segment};

/// Gathers segments from a JSON value.
#[derive(Debug)]
pub struct Lens {
    direction: Direction,
    segments: Vec<Segment>,
}

impl Lens {
    /// An empty one for texts of this direction.
    pub fn new(direction: Direction) -> Self {
        Self { direction, segments: Vec::new() }
    }

    /// Takes a string that holds text; anything else, and the empty string, is no segment.
    pub fn text(&mut self, value: &Value, pointer: String, role: Role, place: Place) {
        if let Some(text) = value.as_str() {
            self.push(text, pointer, role, place);
        }
    }

    /// Takes a text; the empty one is no segment.
    pub fn push(&mut self, text: &str, pointer: String, role: Role, place: Place) {
        if !text.is_empty() {
            let direction = self.direction;
            self.segments.push(Segment { pointer, place, role, direction, text: text.into() });
        }
    }

    /// Takes a member of an object, when it is there.
    pub fn member(&mut self, object: &Value, key: &str, pointer: &str, role: Role, place: Place) {
        if let Some(value) = object.get(key) {
            self.text(value, format!("{pointer}/{key}"), role, place);
        }
    }

    /// Takes message content: a string, or an array of parts with `text` (or `refusal`). Of media the words beside them
    /// are taken, of other parts every string.
    pub fn content(&mut self, content: &Value, pointer: &str, role: Role, place: Place) {
        // What is unknown is nobody's words; but a tool's result is one in all its parts.
        let other = if place == Place::Content { Place::Other } else { place };
        let parts = match content {
            Value::Array(parts) => parts,
            Value::String(text) => return self.push(text, pointer.to_owned(), role, place),
            unknown => return self.every_string(unknown, pointer, role, other),
        };
        for (i, part) in parts.iter().enumerate() {
            let at = format!("{pointer}/{i}");
            self.text(part, at.clone(), role, place);
            self.member(part, "text", &at, role, place);
            self.member(part, "refusal", &at, role, Place::Refusal);
            if media::Kind::of(part).is_some() {
                for (below, text) in media::words(part).filter(|(below, _)| !is_text(below)) {
                    self.push(text, format!("{at}{below}"), role, other);
                }
                continue;
            }
            for (key, value) in part.as_object().into_iter().flatten() {
                let known = key == "type" || value.is_string() && is_text(&format!("/{key}"));
                if !known {
                    self.every_string(value, &format!("{at}/{}", escape(key)), role, other);
                }
            }
        }
    }

    /// Takes the tool calls of an assistant's message: names and arguments.
    pub fn tool_calls(&mut self, message: &Value, pointer: &str, role: Role) {
        let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        for (i, call) in calls.enumerate() {
            for (kind, text) in [("function", "arguments"), ("custom", "input")] {
                if let Some(function) = call.get(kind) {
                    let at = format!("{pointer}/tool_calls/{i}/{kind}");
                    self.member(function, "name", &at, role, Place::ToolCall);
                    self.member(function, text, &at, role, Place::ToolCall);
                }
            }
        }
        if let Some(call) = message.get("function_call") {
            let at = format!("{pointer}/function_call");
            self.member(call, "name", &at, role, Place::ToolCall);
            self.member(call, "arguments", &at, role, Place::ToolCall);
        }
    }

    /// Takes every string below a value, whatever its key: for schemas and descriptions.
    pub fn every_string(&mut self, value: &Value, pointer: &str, role: Role, place: Place) {
        for (below, text) in every_string_below(value) {
            self.push(text, format!("{pointer}{below}"), role, place);
        }
    }

    /// What was gathered.
    pub fn finish(self) -> Vec<Segment> {
        self.segments
    }
}

/// Whether it is one of the members of a part that are looked at by name.
fn is_text(at: &str) -> bool {
    ["/text", "/refusal"].contains(&at)
}

/// Every string below a value with its pointer from there, in order; the empty ones are left out.
pub(super) fn every_string_below(value: &Value) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    // An explicit stack: a body may be nested as deeply as its parser allows.
    let mut open = vec![(value, String::new())];
    while let Some((value, at)) = open.pop() {
        match value {
            Value::String(text) if !text.is_empty() => found.push((at, text.as_str())),
            Value::Array(items) => {
                open.extend(items.iter().enumerate().rev().map(|(i, item)| (item, format!("{at}/{i}"))));
            }
            Value::Object(members) => {
                open.extend(members.iter().rev().map(|(key, item)| (item, format!("{at}/{}", escape(key)))));
            }
            _ => {}
        }
    }
    found
}

/// Writes a text back to where a segment came from. The pointer comes from [`Lens`], so it exists.
pub fn write(json: &mut Value, pointer: &str, text: String) {
    if let Some(place) = json.pointer_mut(pointer) {
        *place = Value::String(text);
    }
}

/// Makes the value at a pointer null, where there is one.
pub fn forget(json: &mut Value, pointer: &str) {
    if let Some(place) = json.pointer_mut(pointer) {
        *place = Value::Null;
    }
}

/// A key as a JSON pointer's token (RFC 6901, section 3).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
