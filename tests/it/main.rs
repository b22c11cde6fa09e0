//! The gateway from outside: real listeners, real HTTP, a scripted model behind.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]
#![allow(clippy::needless_pass_by_value, reason = "JSON is written where it is sent")]

mod bypass;
mod chat;
mod completions;
mod embeddings;
mod guards;
mod harm;
mod hostile;
mod layer;
mod life;
mod media;
mod messages;
mod operators;
mod partners;
mod responses;
mod stream;
mod stream_broken;
mod stream_modes;
mod support;
mod surface;
mod talks;
mod upstreams;
