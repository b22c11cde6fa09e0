//! Wire formats. A dialect lists the texts of a body as segments and writes changed ones back; fields it does
//! not know survive, and a body that nothing changed keeps its bytes.

pub mod chat;
pub mod error;
mod lens;
pub mod moderation;
pub mod native;
pub mod partner;
pub mod sse;

use crate::message::Role;

/// What is wrong with a request's body, in a form that every dialect can report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadBody {
    /// The field at fault, such as `messages[2].content`; `None` when the body as a whole is.
    pub param: Option<String>,
    /// What was found and what was expected. Never quotes the text of a message.
    pub message: String,
}

impl BadBody {
    fn at(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), message: message.into() }
    }
}

/// The roles of the chat dialect; `function` is OpenAI's older name for `tool`.
fn role(name: &str) -> Option<Role> {
    Some(match name {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => return None,
    })
}

/// What a JSON value is, for messages that may not quote it.
fn kind(value: &serde_json::Value) -> &'static str {
    use serde_json::Value;
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
