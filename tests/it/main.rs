//! The gateway from outside: real listeners, real HTTP, a scripted model behind.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod chat;
mod guards;
mod harm;
mod hostile;
mod life;
mod responses;
mod stream;
mod support;
mod surface;
mod upstreams;
