//! Policies: rules that turn findings into a verdict.

pub mod pattern;
