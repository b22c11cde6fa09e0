//! guard

pub mod redact;
