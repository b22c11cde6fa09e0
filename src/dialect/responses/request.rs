//! The request: what is checked, and which texts reach the model.
//!
//! With `previous_response_id` or `conversation` the upstream adds the turns before. They were judged when they came,
//! through this gateway, and aren't here to be judged again. An answer that was refused stays in the upstream's memory of
//! the conversation: the client has never seen it, and what the model makes of it next is judged as any answer.

use serde_json::Value;

use super::{
    super::{
        Asked, BadBody, Lens,
        request::{flag, model, wants_moderation, wrong_type},
        role,
    },
    items,
};
use crate::message::{Place, Role};

/// Members that are looked at by name, and those that hold no text that the model reads: ids and settings.
const KNOWN: [&str; 26] = [
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "prompt",
    "metadata",
    "model",
    "moderation",
    "include",
    "reasoning",
    "conversation",
    "previous_response_id",
    "background_options",
    "context_management",
    "access_programs",
    "completion_window",
    "service_tier",
    "truncation",
    "stream_options",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "user",
    "image",
];

/// What may stand in for `input`.
const OTHER_INPUTS: [&str; 3] = ["prompt", "previous_response_id", "conversation"];

pub(super) fn read(body: &Value) -> Result<Asked, BadBody> {
    let field = |name: &str| body.get(name).filter(|value| !value.is_null());
    let model = model(body)?;
    let stream = flag(field("stream"), "stream")?;
    if flag(field("background"), "background")? {
        // The answer would be fetched later, from the upstream, and nobody would have judged it.
        let message =
            "`background` is true; expected false, as an answer that is fetched later can't be guarded";
        return Err(BadBody::at("background", message));
    }
    if let Some(other) = field("instructions").filter(|instructions| !instructions.is_string()) {
        return Err(wrong_type("instructions", "a string", other));
    }
    match field("input") {
        None if OTHER_INPUTS.iter().any(|name| field(name).is_some()) => {}
        None => return Err(BadBody::at("input", "missing required parameter: `input`")),
        Some(Value::String(_)) => {}
        Some(Value::Array(items)) => {
            items.iter().enumerate().try_for_each(|(i, item)| check_item(&format!("input[{i}]"), item))?;
        }
        Some(other) => return Err(wrong_type("input", "a string or an array of items", other)),
    }
    let wants_moderation = wants_moderation(body)?;
    Ok(Asked { model, stream, include_usage: true, n: 1, wants_moderation })
}

/// Every text of the body that the model reads.
pub(super) fn texts(body: &Value, lens: &mut Lens) {
    lens.member(body, "instructions", "", Role::System, Place::Content);
    if let Some(variables) = body.get("prompt").and_then(|prompt| prompt.get("variables")) {
        for (key, value) in variables.as_object().into_iter().flatten() {
            let at = format!("/prompt/variables/{}", super::super::lens::escape(key));
            items::walk(value, &at, Role::User, Place::Content, lens);
        }
    }
    match &body["input"] {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                items::texts_of_turn(item, &format!("/input/{i}"), lens);
            }
        }
        input => lens.text(input, "/input".to_owned(), Role::User, Place::Content),
    }
    for key in ["tools", "tool_choice"] {
        // A choice that is a string is one of three words.
        if let Some(tools) = body.get(key).filter(|tools| !tools.is_string()) {
            items::walk(tools, &format!("/{key}"), Role::Developer, Place::ToolDefinition, lens);
        }
    }
    if let Some(format) = body.get("text").and_then(|text| text.get("format")) {
        lens.everything(format, "/text/format", Role::Developer, Place::Other);
    }
    if let Some(metadata) = body.get("metadata") {
        lens.everything(metadata, "/metadata", Role::Developer, Place::Other);
    }
    // What an upstream takes beside OpenAI's own members may reach its model.
    for (key, value) in body.as_object().into_iter().flatten() {
        if !KNOWN.contains(&key.as_str()) {
            let at = format!("/{}", super::super::lens::escape(key));
            lens.everything(value, &at, Role::Developer, Place::Other);
        }
    }
}

/// Guidance stands behind the operator's own instructions.
pub(super) fn guide(body: &mut Value, text: &str) {
    let guided = match body["instructions"].as_str().filter(|own| !own.is_empty()) {
        Some(own) => format!("{own}\n\n{text}"),
        None => text.to_owned(),
    };
    body["instructions"] = guided.into();
}

fn check_item(at: &str, item: &Value) -> Result<(), BadBody> {
    if !item.is_object() {
        return Err(wrong_type(at, "an object", item));
    }
    if let Some(other) = item.get("type").filter(|kind| !kind.is_null() && !kind.is_string()) {
        return Err(wrong_type(&format!("{at}.type"), "a string", other));
    }
    if items::kind(item) == "message" { check_message(at, item) } else { Ok(()) }
}

fn check_message(at: &str, message: &Value) -> Result<(), BadBody> {
    let role_at = format!("{at}.role");
    match &message["role"] {
        Value::String(name) if role(name).is_some() => {}
        Value::String(_) => {
            let message =
                format!("unknown role in `{role_at}`; expected user, assistant, system or developer");
            return Err(BadBody::at(role_at, message));
        }
        other => return Err(wrong_type(&role_at, "a role's name", other)),
    }
    let content_at = format!("{at}.content");
    match &message["content"] {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(parts) => parts.iter().enumerate().try_for_each(|(i, part)| {
            let part_at = format!("{content_at}[{i}]");
            match part {
                Value::Object(part) if part.get("type").is_some_and(Value::is_string) => {
                    match part.get("text") {
                        None | Some(Value::String(_)) => Ok(()),
                        Some(other) => Err(wrong_type(&format!("{part_at}.text"), "a string", other)),
                    }
                }
                Value::Object(_) => Err(BadBody::at(&*part_at, format!("`{part_at}` has no `type`"))),
                other => Err(wrong_type(&part_at, "an object with a `type`", other)),
            }
        }),
        other => Err(wrong_type(&content_at, "a string or an array of parts", other)),
    }
}
