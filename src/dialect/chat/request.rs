//! The request: what is checked, and which texts reach the model.

use serde_json::{Value, json};

use super::super::{Asked, BadBody, Lens, choices, lens::escape, request::wrong_type, role};
use crate::message::{Place, Role};

pub(super) fn read(body: &Value) -> Result<Asked, BadBody> {
    let asked = choices::read(body)?;
    check_messages(body.get("messages"))?;
    Ok(asked)
}

/// Every text of the body that the model reads.
pub(super) fn texts(body: &Value, lens: &mut Lens) {
    let messages = body["messages"].as_array().into_iter().flatten();
    for (i, message) in messages.enumerate() {
        let at = format!("/messages/{i}");
        let role = message["role"].as_str().and_then(role).unwrap_or(Role::User);
        let place = if role == Role::Tool { Place::ToolResult } else { Place::Content };
        lens.content(&message["content"], &format!("{at}/content"), role, place);
        lens.member(message, "name", &at, role, Place::Name);
        lens.member(message, "refusal", &at, role, Place::Refusal);
        for key in ["reasoning_content", "reasoning"] {
            lens.member(message, key, &at, role, Place::Reasoning);
        }
        lens.tool_calls(message, &at, role);
        for (key, value) in members_but(message, &OF_MESSAGES) {
            lens.every_string(value, &format!("{at}/{key}"), role, Place::Other);
        }
    }
    for key in ["tools", "functions"] {
        if let Some(tools) = body.get(key) {
            lens.everything(tools, &format!("/{key}"), Role::Developer, Place::ToolDefinition);
        }
    }
    if let Some(documents) = body.get("documents") {
        lens.everything(documents, "/documents", Role::User, Place::Document);
    }
    if let Some(content) = body.get("prediction").and_then(|prediction| prediction.get("content")) {
        lens.content(content, "/prediction/content", Role::Developer, Place::Other);
    }
    for (key, value) in members_but(body, &OF_BODY) {
        // `tool_choice: "auto"` and the like.
        if !value.is_string() || !OR_A_WORD.contains(&key.as_str()) {
            lens.everything(value, &format!("/{}", escape(key)), Role::Developer, Place::Other);
        }
    }
}

/// Members of a body that hold no text, or are looked at by name. All others are judged, known or not.
const OF_BODY: [&str; 22] = [
    "model",
    "messages",
    "tools",
    "functions",
    "documents",
    "prediction",
    "modalities",
    "audio",
    "reasoning_effort",
    "verbosity",
    "service_tier",
    "stream_options",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "stop",
    "logit_bias",
    "moderation",
    "truncation",
    "add_generation_prompt",
    "guided_decoding_backend",
];

/// Members that are an object with names in it, or one of a few words.
const OR_A_WORD: [&str; 3] = ["tool_choice", "function_call", "response_format"];

/// The same of messages.
const OF_MESSAGES: [&str; 10] = [
    "role",
    "content",
    "name",
    "refusal",
    "reasoning_content",
    "reasoning",
    "tool_calls",
    "function_call",
    "tool_call_id",
    "audio",
];

fn members_but<'a>(object: &'a Value, known: &'a [&str]) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.as_object().into_iter().flatten().filter(|(key, _)| !known.contains(&key.as_str()))
}

/// A system message behind the leading ones.
pub(super) fn guide(body: &mut Value, text: &str) {
    let Some(messages) = body["messages"].as_array_mut() else { return };
    let leading = messages
        .iter()
        .take_while(|message| matches!(message["role"].as_str(), Some("system" | "developer")))
        .count();
    messages.insert(leading, json!({"role": "system", "content": text}));
}

fn check_messages(messages: Option<&Value>) -> Result<(), BadBody> {
    let messages = match messages {
        None | Some(Value::Null) => {
            return Err(BadBody::at("messages", "missing required parameter: `messages`"));
        }
        Some(Value::Array(messages)) => messages,
        Some(other) => return Err(wrong_type("messages", "an array of messages", other)),
    };
    if messages.is_empty() {
        return Err(BadBody::at("messages", "`messages` is empty; expected at least one message"));
    }
    messages.iter().enumerate().try_for_each(|(i, message)| check_message(i, message))
}

fn check_message(i: usize, message: &Value) -> Result<(), BadBody> {
    if !message.is_object() {
        return Err(wrong_type(&format!("messages[{i}]"), "an object with `role` and `content`", message));
    }
    let role_at = || format!("messages[{i}].role");
    match &message["role"] {
        Value::String(name) if role(name).is_some() => {}
        Value::String(_) => {
            let role_at = role_at();
            let message =
                format!("unknown role in `{role_at}`; expected system, developer, user, assistant or tool");
            return Err(BadBody::at(role_at, message));
        }
        other => return Err(wrong_type(&role_at(), "a role's name", other)),
    }
    let content_at = || format!("messages[{i}].content");
    match &message["content"] {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(parts) => parts.iter().enumerate().try_for_each(|(part_number, part)| {
            let part_at = || format!("{}[{part_number}]", content_at());
            match part {
                Value::Object(part) if part.get("type").is_some_and(Value::is_string) => {
                    match part.get("text") {
                        None | Some(Value::String(_)) => Ok(()),
                        Some(other) => Err(wrong_type(&format!("{}.text", part_at()), "a string", other)),
                    }
                }
                Value::Object(_) => Err(BadBody::at(part_at(), format!("`{}` has no `type`", part_at()))),
                other => Err(wrong_type(&part_at(), "an object with a `type`", other)),
            }
        }),
        other => Err(wrong_type(&content_at(), "a string or an array of parts", other)),
    }
}
