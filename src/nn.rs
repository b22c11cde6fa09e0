//! The networks, and what turns text into their numbers and back. Only `nn` and `align` know candle, only `nn`
//! knows `tokenizers`; nothing here knows of HTTP, policies or verdicts.

pub mod chat;
pub mod checkpoint;
pub mod classify;
pub mod encoder;
mod generate;
pub mod gguf;
mod int8;
pub mod llama;
pub mod models;
mod prefix;
pub mod queue;
pub mod sample;
pub mod stop;
pub mod template;
pub mod threads;
pub mod tokens;
pub mod worker;

#[cfg(test)]
pub(crate) mod tiny;
