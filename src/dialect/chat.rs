//! OpenAI's chat completions (`POST /v1/chat/completions`), streamed and not.

mod answer;
mod chunks;
mod plain;
mod request;
mod stream;
#[cfg(test)]
mod tests;

pub(super) use answer::spelled;
use bytes::Bytes;
use serde_json::Value;

use super::{Asked, BadBody, Dialect, Lens, Refusal, stream::Reader};
use crate::message::Segment;
use plain::{Choice, Plain};

/// OpenAI's chat completions.
pub static CHAT: Chat = Chat;

/// See [`CHAT`].
pub struct Chat;

impl Dialect for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn path(&self) -> &'static str {
        "/chat/completions"
    }

    fn read(&self, body: &Value) -> Result<Asked, BadBody> {
        request::read(body)
    }

    fn question(&self, body: &Value, lens: &mut Lens) {
        request::texts(body, lens);
    }

    fn guide(&self, body: &mut Value, text: &str) {
        request::guide(body, text);
    }

    fn plain(&self, body: &[u8]) -> Option<(Vec<Segment>, bool)> {
        let plain = Plain::read(body)?;
        let declined = plain.choices.iter().any(Choice::is_declined);
        Some((plain.segments(), declined))
    }

    fn check(&self, answer: &Value) -> Result<(), String> {
        if answer["choices"].is_array() { Ok(()) } else { Err("a JSON answer without `choices`".to_owned()) }
    }

    fn answer(&self, answer: &Value, lens: &mut Lens) {
        answer::texts(answer, lens);
    }

    fn changed(&self, answer: &mut Value, pointer: &str) {
        answer::forget_spelling(answer, pointer);
    }

    fn visible(&self, answer: &Value) -> Vec<String> {
        answer::visible(answer)
    }

    fn declined(&self, answer: &Value) -> bool {
        answer::declined(answer)
    }

    fn refusal(&self, refusal: &Refusal<'_>) -> Value {
        answer::refusal(refusal)
    }

    fn events(&self, answer: &Value, asked: &Asked) -> Vec<Bytes> {
        chunks::write(answer, asked.include_usage)
    }

    fn reader(&self, asked: &Asked) -> Box<dyn Reader> {
        Box::new(stream::Chunks::new(asked))
    }
}
