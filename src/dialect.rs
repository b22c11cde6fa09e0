//! Wire formats. A dialect is a lens: it lists the texts of a body as segments and writes changed ones back, for
//! questions, whole answers and streams. Fields it does not know survive, and a body that nothing changed keeps its
//! bytes.

mod answer;
pub mod chat;
mod choices;
pub mod completions;
pub mod embeddings;
pub mod error;
pub mod json;
pub mod lens;
pub mod media;
pub mod messages;
pub mod moderation;
pub mod native;
pub mod partner;
mod request;
pub mod responses;
pub mod sse;
pub mod stream;

use bytes::Bytes;
use serde_json::Value;

use crate::message::{Role, Segment};
pub use answer::Answer;
pub use lens::Lens;
use media::Media;
pub use request::{Asked, Request};
use stream::Reader;

/// One wire format of questions and answers. Adding one is a file that implements this, and its cases.
pub trait Dialect: Send + Sync {
    /// Its name in metrics.
    fn name(&self) -> &'static str;

    /// The path below an upstream's base URL, such as `/chat/completions`.
    fn path(&self) -> &'static str;

    /// Checks what the gateway relies on in a request's body, and reads what it has to know. The rest is the
    /// upstream's business.
    ///
    /// # Errors
    /// Which field is wrong, what was found and what was expected.
    fn read(&self, body: &Value) -> Result<Asked, BadBody>;

    /// Lists every text that the model reads.
    fn question(&self, body: &Value, lens: &mut Lens);

    /// Lists images, audio and files of the request, which hold no text to judge.
    fn media(&self, body: &Value) -> Vec<Media>;

    /// A part of text in this format, to stand where media were taken out.
    fn text_part(&self, text: &str) -> Value;

    /// Adds guidance for the model, so that it has the last word among the operator's instructions.
    fn guide(&self, body: &mut Value, text: &str);

    /// Whether answers hold text. Of embeddings and token counts only the question is judged, and a refusal is an error.
    fn answers(&self) -> bool {
        true
    }

    /// An answer that is read without a tree of JSON values: its segments, and whether the model declined. `None`
    /// for one that has to be read as a tree.
    fn plain(&self, _body: &[u8]) -> Option<(Vec<Segment>, bool)> {
        None
    }

    /// Checks that a whole answer is one.
    ///
    /// # Errors
    /// What it lacks.
    fn check(&self, answer: &Value) -> Result<(), String>;

    /// Lists every text of a whole answer that the client sees.
    fn answer(&self, answer: &Value, lens: &mut Lens);

    /// Takes out what would still spell the old text after the one at `pointer` was changed.
    fn changed(&self, _answer: &mut Value, _pointer: &str) {}

    /// Takes out the signature over the text at `pointer`, of which something was taken out.
    fn unsign(&self, _answer: &mut Value, _pointer: &str) {}

    /// Where the words of each choice stand that a person reads: notices go there.
    fn visible(&self, answer: &Value) -> Vec<String>;

    /// Whether the model itself declined, or a filter of the upstream's own.
    fn declined(&self, answer: &Value) -> bool;

    /// A whole answer that declines politely.
    fn refusal(&self, refusal: &Refusal<'_>) -> Value;

    /// A member of [`OURS`] as this format has it.
    fn ours(&self, _key: &str, value: Value) -> Value {
        value
    }

    /// A whole answer as the events of a stream. Members of [`OURS`] go along.
    fn events(&self, answer: &Value, asked: &Asked) -> Vec<Bytes>;

    /// What reads a stream of answers to this request.
    fn reader(&self, asked: &Asked) -> Box<dyn Reader>;
}

/// Every dialect.
pub static ALL: &[&dyn Dialect] = &[
    &chat::CHAT,
    &completions::COMPLETIONS,
    &responses::RESPONSES,
    &embeddings::EMBEDDINGS,
    &messages::MESSAGES,
    &messages::COUNT_TOKENS,
];

/// The dialect that is spoken at a path of the API, such as `/v1/chat/completions`.
pub fn at(path: &str) -> Option<&'static dyn Dialect> {
    let below = path.strip_prefix("/v1")?;
    ALL.iter().copied().find(|dialect| dialect.path() == below)
}

/// Members that Demur adds to an answer.
pub const OURS: [&str; 2] = ["moderation", "demur"];

/// What a refusal is made of.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// What the user reads.
    pub text: &'a str,
    /// The request's id, from which the answer's own is made.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// What was asked for.
    pub asked: &'a Asked,
    /// The answer in whose place it stands: its id and what it cost stay known.
    pub instead: Option<&'a Value>,
    /// The name of what was refused (a hazard), where the format can tell it.
    pub hazard: Option<&'static str>,
}

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

/// The roles of the chat dialects; `function` is OpenAI's older name for `tool`.
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
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
