//! Items: what a request holds of earlier turns, and what an answer consists of. The kinds are the same in both.
//!
//! Every string of an item is a text, whatever its kind and however deep it stands, save for a closed list of members
//! that hold ids, enumerations and media. So an item of a kind that is not known yet is judged like the others.

use serde_json::{Value, json};

use super::super::{Lens, choices::spelled, lens::escape, role};
use crate::message::{Direction, Place, Role, Segment};

/// Members whose string is no text: ids, enumerations, ciphers that only the vendor reads, and media.
const NO_TEXT: [&str; 25] = [
    "id",
    "type",
    "role",
    "status",
    "phase",
    "model",
    "call_id",
    "caller_id",
    "item_id",
    "file_id",
    "container_id",
    "approval_request_id",
    "created_by",
    "fingerprint",
    "encrypted_content",
    "detail",
    "image_url",
    "file_url",
    "file_data",
    "server_url",
    "authorization",
    "tunnel_id",
    "skill_id",
    "version",
    "size",
];

/// Members below which nothing is a text: what tools may reach, and with which secrets.
const OPAQUE: [&str; 5] = ["headers", "vector_store_ids", "file_ids", "allowed_domains", "domain_secrets"];

/// Members below which keys are anybody's own choice: everything there is a text.
const FREE: [&str; 10] = [
    "arguments",
    "parameters",
    "schema",
    "output_schema",
    "input_schema",
    "env",
    "attributes",
    "error",
    "input",
    "filters",
];

/// The kind of an item; those that name none are messages when they have a role.
pub(super) fn kind(item: &Value) -> &str {
    match item["type"].as_str() {
        Some(kind) => kind,
        None if item["role"].is_string() => "message",
        None => "",
    }
}

/// Every text of an item of an earlier turn.
pub(super) fn texts_of_turn(item: &Value, at: &str, lens: &mut Lens) {
    let named = item["role"].as_str().and_then(role);
    texts(item, at, lens, |place| {
        named.unwrap_or(match place {
            Place::ToolCall | Place::Reasoning => Role::Assistant,
            Place::ToolResult => Role::Tool,
            Place::ToolDefinition => Role::Developer,
            _ => Role::User,
        })
    });
}

/// Every text of an item of an answer.
pub(super) fn texts_of_answer(item: &Value, at: &str, lens: &mut Lens) {
    texts(item, at, lens, |_| Role::Assistant);
}

fn texts(item: &Value, at: &str, lens: &mut Lens, role: impl Fn(Place) -> Role) {
    if !item.is_object() {
        return walk(item, at, role(Place::Other), Place::Other, lens);
    }
    let kind = kind(item);
    for (key, value) in item.as_object().into_iter().flatten() {
        // A picture in base64.
        let picture = kind == "image_generation_call" && key == "result";
        if !picture {
            let place = place(kind, key);
            member(key, value, at, role(place), place, lens);
        }
    }
}

/// The texts of one content part, by their pointers below it.
pub(super) fn texts_of_part(part: &Value) -> Vec<Segment> {
    let place = match part["type"].as_str() {
        Some("reasoning_text" | "summary_text") => Place::Reasoning,
        _ => Place::Content,
    };
    let mut lens = Lens::new(Direction::Output);
    walk(part, "", Role::Assistant, place, &mut lens);
    lens.finish()
}

/// What a member of an item holds.
fn place(kind: &str, key: &str) -> Place {
    match (kind, key) {
        ("message", "content") => Place::Content,
        ("reasoning", _) => Place::Reasoning,
        (_, "tools") => Place::ToolDefinition,
        ("program" | "mcp_approval_request", _) => Place::ToolCall,
        (_, "output" | "outputs" | "result" | "results" | "error") => Place::ToolResult,
        (kind, _) if kind.ends_with("_output") => Place::ToolResult,
        (kind, _) if kind.ends_with("_call") => Place::ToolCall,
        _ => Place::Other,
    }
}

fn member(key: &str, value: &Value, at: &str, role: Role, place: Place, lens: &mut Lens) {
    if value.is_string() && NO_TEXT.contains(&key) || OPAQUE.contains(&key) {
        return;
    }
    let below = format!("{at}/{}", escape(key));
    match key {
        "logprobs" if value.is_array() => {}
        _ if FREE.contains(&key) => lens.everything(value, &below, role, place),
        "refusal" => walk(value, &below, role, Place::Refusal, lens),
        "annotations" if place == Place::ToolDefinition => lens.everything(value, &below, role, place),
        "annotations" => walk(value, &below, role, Place::Other, lens),
        "filename" if place == Place::Content => walk(value, &below, role, Place::Document, lens),
        _ => walk(value, &below, role, place, lens),
    }
}

/// Every text at or below a value. It is nested as deeply as its parser allows: 128 levels.
pub(super) fn walk(value: &Value, at: &str, role: Role, place: Place, lens: &mut Lens) {
    match value {
        Value::String(text) => lens.push(text, at.to_owned(), role, place),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, item)| walk(item, &format!("{at}/{i}"), role, place, lens));
        }
        Value::Object(members) => {
            let media = |key: &str| match key {
                "url" => value["type"] == "image",
                "data" | "format" => at.ends_with("/input_audio") || value["type"] == "base64",
                _ => false,
            };
            for (key, value) in members.iter().filter(|(key, _)| !media(key)) {
                member(key, value, at, role, place, lens);
            }
            let said = members.get("text").and_then(Value::as_str).unwrap_or_default();
            if let Some((below, text)) = members.get("logprobs").and_then(|listed| spelling(listed, said)) {
                lens.push(&text, format!("{at}/logprobs{below}"), role, Place::Other);
            }
        }
        _ => {}
    }
}

/// What the log-probabilities of a text spell beside it, and where that is noted: at their first token, for the whole
/// list goes when it changes. A space stands behind it, as alternatives to a token are no running text.
pub(super) fn spelling(listed: &Value, said: &str) -> Option<(&'static str, String)> {
    if listed.as_array().is_none_or(Vec::is_empty) {
        return None;
    }
    let text = spelled(&json!({"content": listed}), said);
    let at = if listed[0]["token"].is_string() { "/0/token" } else { "/0" };
    Some((at, text + " ")).filter(|(_, text)| text != " ")
}

/// Where lists of log-probabilities stand in an item or a part.
pub(super) fn spellings(value: &Value, at: &str) -> Vec<String> {
    let own = value["logprobs"].is_array().then(|| format!("{at}/logprobs"));
    let parts = value["content"].as_array().into_iter().flatten().enumerate();
    let below = parts
        .filter(|(_, part)| part["logprobs"].is_array())
        .map(|(i, _)| format!("{at}/content/{i}/logprobs"));
    own.into_iter().chain(below).collect()
}
