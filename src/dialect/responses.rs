//! OpenAI's responses (`POST /v1/responses`), streamed and not.

mod answer;
mod events;
mod items;
mod request;
mod shown;
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

/// OpenAI's responses.
pub static RESPONSES: Responses = Responses;

/// See [`RESPONSES`].
pub struct Responses;

impl Dialect for Responses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn path(&self) -> &'static str {
        "/responses"
    }

    fn read(&self, body: &Value) -> Result<Asked, BadBody> {
        request::read(body)
    }

    fn question(&self, body: &Value, lens: &mut Lens) {
        request::texts(body, lens);
    }

    fn media(&self, body: &Value) -> Vec<Media> {
        media::below(&body["input"], "/input")
    }

    fn text_part(&self, text: &str) -> Value {
        json!({"type": "input_text", "text": text})
    }

    fn guide(&self, body: &mut Value, text: &str) {
        request::guide(body, text);
    }

    fn check(&self, answer: &Value) -> Result<(), String> {
        if answer["output"].is_array() { Ok(()) } else { Err("a JSON answer without `output`".to_owned()) }
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

    fn ours(&self, key: &str, value: Value) -> Value {
        answer::ours(key, value)
    }

    fn events(&self, answer: &Value, _asked: &Asked) -> Vec<Bytes> {
        events::write(answer)
    }

    fn reader(&self, asked: &Asked) -> Box<dyn Reader> {
        Box::new(stream::Events::new(asked))
    }
}
