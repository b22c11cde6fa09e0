//! Metrics and logs. Neither carries prompt or answer text.

pub mod log;
mod metrics;

pub use metrics::Metrics;
