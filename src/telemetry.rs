//! Metrics and logs. Neither carries prompt or answer text.

mod json;
pub mod log;
mod metrics;

pub use metrics::Metrics;
