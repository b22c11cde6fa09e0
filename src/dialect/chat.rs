//! OpenAI's chat completions (`POST /v1/chat/completions`), streamed and not.

mod answer;
mod chunks;
mod plain;
mod request;
#[cfg(test)]
mod tests;

pub use answer::ChatAnswer;
pub use request::ChatRequest;
