//! guard

pub mod redact;
pub mod reply;
