//! Demur: a safety guardrail gateway for language models.
//!
//! The modules stand in layers; a module imports only from lower layers, and modules of one layer do not
//! see each other (`tests/layers.rs` holds the table):
//!
//! ```text
//! 0  message  verdict                  segments, exchanges; hazards, findings, actions, verdicts. No IO
//! 1  policy   nn        telemetry      rules -> verdict | networks and their weights | metrics, logs
//! 2  detect   upstream  dialect        findings | who answers | wire formats
//! 3  guard                             detectors + policy + deadlines; redaction; what the user reads
//! 4  gateway                           the life of one exchange, streamed or not
//! 5  http     eval                     routes and layers | labelled rows -> scores
//! 6  config   7  app   8  cli          settings | construction, reload, drain | commands
//! ```
//!
//! `store` (layer 1) and `align` (layer 2) have their place in that order and come with the review loop.

pub mod message;
pub mod verdict;

pub mod nn;
pub mod policy;
pub mod telemetry;

pub mod detect;
pub mod dialect;
pub mod upstream;

pub mod guard;

pub mod gateway;

pub mod eval;
pub mod http;

pub mod config;

pub mod app;

pub mod cli;
