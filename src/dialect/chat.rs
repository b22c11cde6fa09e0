//! OpenAI's chat completions (`POST /v1/chat/completions`), streamed and not.

mod answer;
mod chunk;
mod plain;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Asked, BadBody, Dialect, Lens, Refusal,
    choices::{self, stream::Chunks},
    media::{self, Media},
    stream::Reader,
};
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

    fn media(&self, body: &Value) -> Vec<Media> {
        media::below(&body["messages"], "/messages")
    }

    fn text_part(&self, text: &str) -> Value {
        json!({"type": "text", "text": text})
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
        choices::check(answer)
    }

    fn answer(&self, answer: &Value, lens: &mut Lens) {
        answer::texts(answer, lens);
    }

    fn changed(&self, answer: &mut Value, pointer: &str) {
        choices::forget_spelling(answer, pointer);
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
        choices::chunks::write(answer, asked.include_usage, chunk::OBJECT, chunk::cut)
    }

    fn reader(&self, asked: &Asked) -> Box<dyn Reader> {
        Box::new(Chunks::new(&stream::Deltas, asked))
    }
}
