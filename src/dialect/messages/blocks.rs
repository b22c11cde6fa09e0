//! The texts of content blocks. Every string is one, in blocks of known and of unknown types, except for a closed list
//! of members that hold none.

use std::borrow::Cow;

use serde_json::Value;

use super::super::{
    Lens,
    lens::{escape, every_string_below, names_below},
};
use crate::message::{Place, Role};

/// Members whose strings are no text: names of kinds, ids, and what is encrypted or signed.
const NO_TEXT: [&str; 15] = [
    "type",
    "id",
    "tool_use_id",
    "tool_id",
    "file_id",
    "skill_id",
    "download_id",
    "tab_id",
    "model",
    "media_type",
    "signature",
    "encrypted_content",
    "encrypted_index",
    "encrypted_stdout",
    "authorization_token",
];

/// Members whose keys are anybody's words: they are read as their JSON, as a tool's input is streamed, and a `type` or an
/// `id` in there is a text like any other.
const FREE: [&str; 4] = ["input", "input_examples", "configs", "trigger"];

/// Members that are a JSON Schema: its strings are texts, whatever their keys, and the names in it are one.
const SCHEMAS: [&str; 2] = ["input_schema", "schema"];

/// Who speaks in a value, and what kind of field it is, unless a block in it says otherwise.
#[derive(Clone, Copy)]
pub(super) struct Voice {
    pub(super) role: Role,
    pub(super) place: Place,
}

/// A text somewhere in a block.
pub(super) struct Found<'a> {
    /// Where it stands: a JSON pointer. What has free keys is an object and stands as its JSON.
    pub(super) at: String,
    pub(super) text: Cow<'a, str>,
    pub(super) voice: Voice,
}

/// Every text of a value that holds content: a string, blocks, or what stands in a block.
pub(super) fn texts<'a>(value: &'a Value, at: &str, voice: Voice) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    walk(value, at.to_owned(), voice, &mut found);
    found
}

/// The same as segments.
pub(super) fn list(value: &Value, at: &str, voice: Voice, lens: &mut Lens) {
    for Found { at, text, voice } in texts(value, at, voice) {
        lens.push(&text, at, voice.role, voice.place);
    }
}

/// The type of a block.
pub(super) fn kind(block: &Value) -> &str {
    block["type"].as_str().unwrap_or_default()
}

/// Whether a block of this type calls a tool: its `input` is the tool's.
pub(super) fn is_call(kind: &str) -> bool {
    matches!(kind, "tool_use" | "server_tool_use" | "mcp_tool_use")
}

/// A body is parsed with a limit to its nesting, so this may call itself.
fn walk<'a>(value: &'a Value, at: String, voice: Voice, found: &mut Vec<Found<'a>>) {
    match value {
        Value::String(text) if !text.is_empty() => found.push(Found { at, text: text.into(), voice }),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                walk(item, format!("{at}/{i}"), voice, found);
            }
        }
        Value::Object(members) => {
            let kind = kind(value);
            let voice = in_block(kind, voice);
            for (key, member) in members {
                if member.is_string() && is_opaque(kind, key) {
                    continue;
                }
                let at = format!("{at}/{}", escape(key));
                match key.as_str() {
                    "citations" => walk(member, at, Voice { place: Place::Other, ..voice }, found),
                    "definition" => walk(member, at, Voice { place: Place::ToolDefinition, ..voice }, found),
                    key if FREE.contains(&key) => free(member, at, voice, found),
                    key if SCHEMAS.contains(&key) => schema(member, &at, voice, found),
                    _ => walk(member, at, voice, found),
                }
            }
        }
        _ => {}
    }
}

/// A schema's strings and names. There is no place for the names alone: they can be refused, not taken out.
fn schema<'a>(value: &'a Value, at: &str, voice: Voice, found: &mut Vec<Found<'a>>) {
    let strings = every_string_below(value).into_iter();
    found.extend(strings.map(|(below, text)| Found { at: format!("{at}{below}"), text: text.into(), voice }));
    let names = names_below(value);
    if !names.is_empty() {
        found.push(Found { at: format!("{at}/-"), text: names.into(), voice });
    }
}

/// An object or a list as its JSON.
fn free<'a>(value: &'a Value, at: String, voice: Voice, found: &mut Vec<Found<'a>>) {
    let is_empty = match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => return walk(value, at, voice, found),
    };
    if !is_empty {
        found.push(Found { at, text: value.to_string().into(), voice });
    }
}

/// Who speaks in a block of this type.
fn in_block(kind: &str, voice: Voice) -> Voice {
    // What an assistant's turn says that a tool answered was said by the tool, but what it answers itself is its own.
    let within_result = voice.place == Place::ToolResult;
    match kind {
        _ if within_result => voice,
        _ if kind == "tool_result" || kind.ends_with("_tool_result") => {
            Voice { role: Role::Tool, place: Place::ToolResult }
        }
        _ if is_call(kind) => Voice { place: Place::ToolCall, ..voice },
        "document" | "search_result" => Voice { place: Place::Document, ..voice },
        "thinking" => Voice { place: Place::Reasoning, ..voice },
        _ => voice,
    }
}

/// Whether a string member is no text. Media and addresses from which media are loaded are none.
fn is_opaque(kind: &str, key: &str) -> bool {
    NO_TEXT.contains(&key) || matches!((kind, key), ("base64" | "redacted_thinking", "data") | ("url", "url"))
}
