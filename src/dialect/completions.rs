//! OpenAI's legacy completions (`POST /v1/completions`), streamed and not: a prompt that is gone on with.

mod answer;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde_json::Value;

use super::{
    Asked, BadBody, Dialect, Lens, Refusal,
    choices::{self, stream::Chunks},
    media::Media,
    stream::Reader,
};

/// OpenAI's legacy completions.
pub static COMPLETIONS: Completions = Completions;

/// See [`COMPLETIONS`].
pub struct Completions;

/// The `object` of answers and of chunks.
const OBJECT: &str = "text_completion";

impl Dialect for Completions {
    fn name(&self) -> &'static str {
        "completions"
    }

    fn path(&self) -> &'static str {
        "/completions"
    }

    fn read(&self, body: &Value) -> Result<Asked, BadBody> {
        request::read(body)
    }

    fn question(&self, body: &Value, lens: &mut Lens) {
        request::texts(body, lens);
    }

    /// Prompts are texts.
    fn media(&self, _body: &Value) -> Vec<Media> {
        Vec::new()
    }

    fn text_part(&self, text: &str) -> Value {
        text.into()
    }

    fn guide(&self, body: &mut Value, text: &str) {
        request::guide(body, text);
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
        answer["choices"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|choice| choice["finish_reason"] == "content_filter")
    }

    fn refusal(&self, refusal: &Refusal<'_>) -> Value {
        answer::refusal(refusal)
    }

    fn events(&self, answer: &Value, asked: &Asked) -> Vec<Bytes> {
        choices::chunks::write(answer, asked.include_usage, OBJECT, stream::cut)
    }

    fn reader(&self, asked: &Asked) -> Box<dyn Reader> {
        Box::new(Chunks::new(&stream::Texts, asked))
    }
}
