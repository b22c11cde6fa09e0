//! Anthropic's Messages (`POST /v1/messages`), streamed and not, and the counting of their tokens
//! (`POST /v1/messages/count_tokens`).

mod answer;
mod blocks;
mod error;
mod events;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Asked, BadBody, Dialect, Lens, Refusal,
    media::{self, Media},
    stream::Reader,
};
pub use error::{ERROR, error};

/// Anthropic's Messages.
pub static MESSAGES: Messages = Messages { counts: false };

/// The counting of a message's tokens: the same question, and a number for an answer.
pub static COUNT_TOKENS: Messages = Messages { counts: true };

/// See [`MESSAGES`] and [`COUNT_TOKENS`].
pub struct Messages {
    counts: bool,
}

impl Dialect for Messages {
    fn name(&self) -> &'static str {
        if self.counts { "count_tokens" } else { "messages" }
    }

    fn path(&self) -> &'static str {
        if self.counts { "/messages/count_tokens" } else { "/messages" }
    }

    fn read(&self, body: &Value) -> Result<Asked, BadBody> {
        let asked = request::read(body)?;
        Ok(Asked { stream: asked.stream && !self.counts, ..asked })
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

    fn answers(&self) -> bool {
        !self.counts
    }

    fn check(&self, answer: &Value) -> Result<(), String> {
        if answer["content"].is_array() { Ok(()) } else { Err("a JSON answer without `content`".to_owned()) }
    }

    fn answer(&self, answer: &Value, lens: &mut Lens) {
        answer::texts(answer, lens);
    }

    fn unsign(&self, answer: &mut Value, pointer: &str) {
        answer::unsign(answer, pointer);
    }

    fn visible(&self, answer: &Value) -> Vec<String> {
        answer::visible(answer)
    }

    fn declined(&self, answer: &Value) -> bool {
        answer["stop_reason"] == answer::REFUSAL
    }

    fn refusal(&self, refusal: &Refusal<'_>) -> Value {
        if self.counts {
            return error("invalid_request_error", refusal.text, Some(refusal.id));
        }
        answer::refusal(refusal)
    }

    fn events(&self, answer: &Value, _asked: &Asked) -> Vec<Bytes> {
        events::write(answer)
    }

    fn reader(&self, asked: &Asked) -> Box<dyn Reader> {
        Box::new(stream::Blocks::new(asked))
    }
}
