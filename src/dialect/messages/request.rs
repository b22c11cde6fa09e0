//! The request: what is checked, and which texts reach the model.

use serde_json::{Value, json};

use super::{
    super::{
        Asked, BadBody, Lens,
        request::{flag, model, wrong_type},
    },
    blocks::{self, Voice},
};
use crate::message::{Place, Role};

/// Members that are looked at by name, and those that hold no text: ids, names of kinds and of models.
const KNOWN: [&str; 19] = [
    "model",
    "system",
    "messages",
    "tools",
    "metadata",
    "stream",
    "thinking",
    "container",
    "cache_control",
    "service_tier",
    "speed",
    "inference_geo",
    "betas",
    "diagnostics",
    "thread",
    "fallback_credit_token",
    "user_profile_id",
    "workspace_id",
    "anthropic_version",
];

pub(super) fn read(body: &Value) -> Result<Asked, BadBody> {
    let model = model(body)?;
    let stream = flag(body.get("stream"), "stream")?;
    match &body["system"] {
        Value::Null => {}
        system => check_content(system, "system")?,
    }
    check_messages(body.get("messages"))?;
    Ok(Asked { model, stream, include_usage: true, n: 1, wants_moderation: false })
}

/// Every text of the body that the model reads.
pub(super) fn texts(body: &Value, lens: &mut Lens) {
    blocks::list(&body["system"], "/system", Voice { role: Role::System, place: Place::Content }, lens);
    for (i, message) in body["messages"].as_array().into_iter().flatten().enumerate() {
        let role = message["role"].as_str().and_then(role).unwrap_or(Role::User);
        for (key, value) in message.as_object().into_iter().flatten().filter(|(key, _)| *key != "role") {
            let place = if key == "content" { Place::Content } else { Place::Other };
            blocks::list(value, &format!("/messages/{i}/{key}"), Voice { role, place }, lens);
        }
    }
    let definition = Voice { role: Role::Developer, place: Place::ToolDefinition };
    blocks::list(&body["tools"], "/tools", definition, lens);
    let other = Voice { role: Role::Developer, place: Place::Other };
    if let Some(metadata) = body["metadata"].as_object() {
        // An id by which Anthropic tells users apart: the model does not read it, and it looks like a secret.
        for (key, value) in metadata.iter().filter(|(key, _)| *key != "user_id") {
            blocks::list(value, &format!("/metadata/{key}"), other, lens);
        }
    }
    let rest = body.as_object().into_iter().flatten();
    for (key, value) in rest.filter(|(key, _)| !KNOWN.contains(&key.as_str())) {
        blocks::list(value, &format!("/{key}"), other, lens);
    }
}

/// Behind the system prompt.
pub(super) fn guide(body: &mut Value, text: &str) {
    match &mut body["system"] {
        Value::Array(blocks) => blocks.push(json!({"type": "text", "text": text})),
        Value::String(system) if !system.is_empty() => {
            system.push_str("\n\n");
            system.push_str(text);
        }
        system => *system = text.into(),
    }
}

fn role(name: &str) -> Option<Role> {
    match name {
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        "system" => Some(Role::System),
        _ => None,
    }
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
    let at = format!("messages[{i}]");
    if !message.is_object() {
        return Err(wrong_type(&at, "an object with `role` and `content`", message));
    }
    let role_at = format!("{at}.role");
    match &message["role"] {
        Value::String(name) if role(name).is_some() => {}
        Value::String(_) => {
            let message = format!("unknown role in `{role_at}`; expected user, assistant or system");
            return Err(BadBody::at(role_at, message));
        }
        other => return Err(wrong_type(&role_at, "a role's name", other)),
    }
    check_content(&message["content"], &format!("{at}.content"))
}

/// A string, or blocks with a type. What else a block must have is the upstream's business.
fn check_content(content: &Value, at: &str) -> Result<(), BadBody> {
    let blocks = match content {
        Value::Null | Value::String(_) => return Ok(()),
        Value::Array(blocks) => blocks,
        other => return Err(wrong_type(at, "a string or an array of content blocks", other)),
    };
    for (i, block) in blocks.iter().enumerate() {
        let block_at = format!("{at}[{i}]");
        match block {
            Value::Object(block) if block.get("type").is_some_and(Value::is_string) => {}
            Value::Object(_) => {
                return Err(BadBody::at(block_at.clone(), format!("`{block_at}` has no `type`")));
            }
            other => return Err(wrong_type(&block_at, "an object with a `type`", other)),
        }
        match &block["text"] {
            Value::Null | Value::String(_) => {}
            other => return Err(wrong_type(&format!("{block_at}.text"), "a string", other)),
        }
    }
    Ok(())
}
