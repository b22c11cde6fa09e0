//! The request: what is checked, which texts reach the model, and how they are changed.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::{BadBody, kind, lens, role};
use crate::message::{Direction, Place, Role, Segment};

/// The most choices that one request may ask for (OpenAI's own limit).
const MAX_CHOICES: u64 = 128;

/// A chat completion request: the client's bytes, and the same as JSON.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    bytes: Bytes,
    json: Value,
    changed: bool,
    /// The model that the client named.
    pub model: String,
    /// Whether the client asked for a stream of events.
    pub stream: bool,
    /// Whether the stream shall end with a chunk of `usage`.
    pub include_usage: bool,
    /// How many choices are asked for.
    pub n: usize,
    /// Whether the answer shall carry OpenAI's `moderation` block.
    pub wants_moderation: bool,
}

impl ChatRequest {
    /// Reads and checks a body. Only what the guard relies on is checked; the rest is the upstream's business.
    ///
    /// # Errors
    /// Which field is wrong, what was found and what was expected.
    pub fn parse(bytes: Bytes) -> Result<Self, BadBody> {
        let json = parse_json(&bytes)?;
        let Value::Object(body) = &json else {
            let message = format!("the body must be a JSON object, found {}", kind(&json));
            return Err(BadBody { param: None, message });
        };
        let field = |name: &str| body.get(name).filter(|value| !value.is_null());
        let model = match field("model") {
            None => return Err(BadBody::at("model", "you must provide a model parameter")),
            Some(Value::String(model)) if !model.is_empty() => model.clone(),
            Some(other) => return Err(wrong_type("model", "a model's name", other)),
        };
        let stream = flag(field("stream"), "stream")?;
        let include_usage = match field("stream_options") {
            Some(options) => flag(options.get("include_usage"), "stream_options.include_usage")?,
            None => false,
        };
        let n = match field("n") {
            None => 1,
            Some(n) => n.as_u64().filter(|n| (1..=MAX_CHOICES).contains(n)).ok_or_else(|| {
                BadBody::at("n", format!("`n` must be a whole number from 1 to {MAX_CHOICES}"))
            })?,
        };
        let wants_moderation = match field("moderation") {
            None => false,
            Some(Value::Object(_)) => true,
            Some(other) => return Err(wrong_type("moderation", "an object", other)),
        };
        check_messages(body.get("messages"))?;
        let n = usize::try_from(n).expect("at most 128");
        let mut request =
            Self { bytes, changed: false, model, stream, include_usage, n, wants_moderation, json };
        if wants_moderation {
            // Ours to answer; an upstream that knows the field would moderate a second time.
            request.remove("moderation");
        }
        Ok(request)
    }

    /// Every text of the body that the model reads.
    pub fn segments(&self) -> Vec<Segment> {
        let mut lens = lens::Lens::new(Direction::Input);
        let messages = self.json["messages"].as_array().into_iter().flatten();
        for (i, message) in messages.enumerate() {
            let at = format!("/messages/{i}");
            let role = message["role"].as_str().and_then(role).unwrap_or(Role::User);
            let place = if role == Role::Tool { Place::ToolResult } else { Place::Content };
            lens.content(&message["content"], &format!("{at}/content"), role, place);
            lens.member(message, "name", &at, role, Place::Name);
            lens.member(message, "refusal", &at, role, Place::Refusal);
            lens.member(message, "reasoning_content", &at, role, Place::Reasoning);
            lens.tool_calls(message, &at, role);
        }
        for key in ["tools", "functions"] {
            if let Some(tools) = self.json.get(key) {
                lens.every_string(tools, &format!("/{key}"), Role::Developer, Place::ToolDefinition);
            }
        }
        if let Some(content) = self.json.get("prediction").and_then(|prediction| prediction.get("content")) {
            lens.content(content, "/prediction/content", Role::Developer, Place::Other);
        }
        if let Some(format) = self.json.get("response_format").filter(|format| format.is_object()) {
            lens.every_string(format, "/response_format", Role::Developer, Place::Other);
        }
        lens.finish()
    }

    /// Replaces the text of one segment.
    pub fn replace(&mut self, pointer: &str, text: String) {
        lens::write(&mut self.json, pointer, text);
        self.changed = true;
    }

    /// Adds guidance for the model: a system message behind the leading ones, so that it has the last word
    /// among the operator's instructions.
    pub fn add_guidance(&mut self, text: &str) {
        let Some(messages) = self.json["messages"].as_array_mut() else { return };
        let leading = messages
            .iter()
            .take_while(|message| matches!(message["role"].as_str(), Some("system" | "developer")))
            .count();
        messages.insert(leading, json!({"role": "system", "content": text}));
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

fn flag(value: Option<&Value>, name: &str) -> Result<bool, BadBody> {
    match value {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(wrong_type(name, "a boolean", other)),
    }
}

fn wrong_type(at: &str, expected: &str, found: &Value) -> BadBody {
    BadBody::at(at, format!("wrong type for `{at}`: expected {expected}, found {}", kind(found)))
}
