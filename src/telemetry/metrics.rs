//! Every metric of the program in one struct: a field is a metric, its help text stands beside it.

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// Buckets for work that takes from microseconds to seconds (guards, overhead), in seconds.
const SHORT: &[f64] = &[
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5,
];

/// Buckets for waiting on a model, in seconds (the doubling series of OpenTelemetry's GenAI conventions).
const LONG: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ident($($args:tt)+);)*) => {
        /// The program's metrics; clone the `Arc` around it, there is one per process.
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub $field: $kind,)*
        }

        impl Metrics {
            /// A fresh set with its own registry.
            pub fn new() -> Self {
                let registry = Registry::new();
                $(
                    let $field = make!($kind, concat!($($help),+).trim(), $($args)+);
                    registry.register(Box::new($field.clone())).expect("metric names are unique");
                )*
                Self { registry, $($field),* }
            }
        }
    };
}

macro_rules! make {
    (HistogramVec, $help:expr, $name:literal, [$($label:literal),*], $buckets:expr) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets($buckets.to_vec()), &[$($label),*])
            .expect("a valid metric")
    };
    (Histogram, $help:expr, $name:literal, $buckets:expr) => {
        Histogram::with_opts(HistogramOpts::new($name, $help).buckets($buckets.to_vec())).expect("a valid metric")
    };
    ($kind:ident, $help:expr, $name:literal, [$($label:literal),*]) => {
        $kind::new(Opts::new($name, $help), &[$($label),*]).expect("a valid metric")
    };
    ($kind:ident, $help:expr, $name:literal) => {
        $kind::new($name, $help).expect("a valid metric")
    };
}

metrics! {
    /// Requests answered, by surface (route), policy and HTTP status code.
    requests: IntCounterVec("demur_requests_total", ["surface", "policy", "code"]);
    /// Requests being worked on.
    in_flight: IntGauge("demur_requests_in_flight");
    /// Verdicts by direction, action, policy and mode.
    verdicts: IntCounterVec("demur_verdicts_total", ["direction", "action", "policy", "mode"]);
    /// Refusals by hazard, deciding rule, policy and direction.
    refusals: IntCounterVec("demur_refusals_total", ["hazard", "rule", "policy", "direction"]);
    /// Findings by detector, signal and direction.
    findings: IntCounterVec("demur_findings_total", ["detector", "signal", "direction"]);
    /// Time a detector took for one exchange, in seconds.
    guard: HistogramVec("demur_guard_seconds", ["direction", "detector"], SHORT);
    /// Time Demur itself added to a request (everything but waiting for the upstream), in seconds.
    overhead: Histogram("demur_overhead_seconds", SHORT);
    /// Time from a request's arrival to the first token shown to the client, in seconds.
    time_to_first_token: Histogram("demur_time_to_first_token_seconds", LONG);
    /// Tokens held back by the streaming guard when it released or refused them.
    stream_held_tokens: Histogram("demur_stream_held_tokens", [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]);
    /// Words of streams whose refusal was put off until more of the text was known, by what became of it (refused or cleared).
    stream_second_looks: IntCounterVec("demur_stream_second_looks_total", ["outcome"]);
    /// Detectors that did not judge, by reason and by what the policy did then (open or closed).
    detector_failures: IntCounterVec("demur_detector_failures_total", ["detector", "reason", "outcome"]);
    /// Characters that went on or were refused without having been judged by every detector, by place and reason.
    unjudged_chars: IntCounterVec("demur_unjudged_chars_total", ["place", "reason"]);
    /// Images, audio, video and files that went on to the model although no detector reads them, by kind.
    unjudged_media: IntCounterVec("demur_unjudged_media_total", ["kind"]);
    /// Streamed answers by how they ended (done, refused, broken or cancelled).
    streams: IntCounterVec("demur_streams_total", ["surface", "outcome"]);
    /// Answers in which the model itself declined.
    model_refusals: IntCounterVec("demur_model_refusals_total", ["model"]);
    /// Policy loads by result (ok or error); on error the last good policy goes on serving.
    policy_loads: IntCounterVec("demur_policy_loads_total", ["result"]);
    /// Attempts at an upstream, by its name and outcome (an HTTP status code, timeout, connect or broken).
    upstream_attempts: IntCounterVec("demur_upstream_attempts_total", ["upstream", "outcome"]);
    /// Whether an upstream's circuit breaker is open (1) or closed (0).
    upstream_breaker_open: IntGaugeVec("demur_upstream_breaker_open", ["upstream"]);
    /// Generations of the model inside, by how they ended (stop, length, cancelled or error).
    generations: IntCounterVec("demur_generations_total", ["outcome"]);
    /// Requests waiting for the model inside.
    generation_queue: IntGauge("demur_generation_queue_length");
    /// Requests turned away, by reason (rate_limit, overload, auth, body_size, header_size, timeout or malformed).
    rejected: IntCounterVec("demur_rejected_total", ["reason"]);
    /// Exchanges that Envoy carried, by outcome (judged, refused, passed, answer_passed, rejected, observed, broken or failed).
    ext_proc_streams: IntCounterVec("demur_ext_proc_streams_total", ["outcome"]);
    /// Texts whose scores the guard model knew from before.
    guard_model_cached: IntCounter("demur_guard_model_cached_total");
    /// Texts of users that the guard model's other network was asked about, too.
    guard_model_second_opinions: IntCounter("demur_guard_model_second_opinions_total");
    /// Tokens of each pass of the guard model.
    guard_model_pass_tokens: Histogram("demur_guard_model_pass_tokens", [16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]);
    /// A constant 1 with the version as a label.
    build_info: IntGaugeVec("demur_build_info", ["version"]);
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out).expect("text encoding into memory");
        String::from_utf8(out).expect("metric names and labels are UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_was_counted() {
        let metrics = Metrics::new();
        metrics.verdicts.with_label_values(&["input", "allow", "default", "enforce"]).inc();
        let line = "demur_verdicts_total{action=\"allow\",direction=\"input\",mode=\"enforce\",policy=\"default\"} 1";
        assert!(metrics.render().contains(line));
    }
}
