//! The report: medians over rounds, the ratios, and whether the bars hold.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};

use crate::{
    CONNECTIONS,
    judge::{self, Judging},
    load::Sample,
    process::Process,
};

/// What `patterns`, all of `default` but the guard model, may add at the median with one connection, as a multiple of what
/// the proxy adds. How fast the model is, the encoder's table says: here every request is the same, so it judges one.
const MOST_ADDED: f64 = 1.5;

/// What `patterns` must keep of the proxy's requests a second.
const LEAST_RATE: f64 = 0.6;

/// What detectors and policy may take for two kilobytes, in microseconds.
const MOST_JUDGING: f64 = 150.0;

/// One of those that are measured, with a sample for every round.
pub(crate) struct Target<'a> {
    name: &'static str,
    pub(crate) process: &'a Process,
    pub(crate) alone: Vec<Sample>,
    pub(crate) crowd: Vec<Sample>,
    /// The processor time of all requests over many connections.
    time: Option<Duration>,
}

impl<'a> Target<'a> {
    pub(crate) fn new(name: &'static str, process: &'a Process) -> Self {
        Self { name, process, alone: Vec::new(), crowd: Vec::new(), time: Some(Duration::ZERO) }
    }

    /// Counts the processor time since `before`.
    pub(crate) fn used(&mut self, before: Option<Duration>) {
        let used = self.process.processor_time().zip(before).map(|(now, before)| now.saturating_sub(before));
        self.time = self.time.zip(used).map(|(all, used)| all + used);
    }
}

/// What is reported of one target. Latencies in microseconds; `added` is over `direct` in the same round.
struct Row {
    name: &'static str,
    alone: [f64; 2],
    alone_added: [f64; 2],
    crowd: [f64; 2],
    crowd_added: [f64; 2],
    rate: f64,
    /// Its own processor time for a request, over many connections.
    time: Option<f64>,
}

/// A bar and what was measured against it.
struct Bar {
    name: &'static str,
    measured: f64,
    limit: f64,
    holds: bool,
}

/// Everything that is reported.
pub(crate) struct Report {
    rows: Vec<Row>,
    bars: Vec<Bar>,
    judging: [f64; 2],
    parts: Vec<(&'static str, f64)>,
}

impl Report {
    /// From the targets `direct`, `proxy`, `observe`, `patterns` and `default`, and the sorted times of verdicts.
    pub(crate) fn new(targets: &[Target<'_>; 5], judged: Judging) -> Self {
        let [direct, proxy, _, patterns, _] = targets;
        let rows = targets.iter().map(|target| row(target, direct)).collect();
        let parts = judged.parts;
        let judged = Sample { latencies: judged.verdicts, requests_per_second: 0.0 };
        let judging = [judged.quantile(0.5), judged.quantile(0.99)];
        let p50 = |sample: &Sample| sample.quantile(0.5);
        let added = over_rounds(&patterns.alone, &proxy.alone, &direct.alone, |patterns, proxy, direct| {
            (p50(patterns) - p50(direct)) / (p50(proxy) - p50(direct))
        });
        let rate = over_rounds(&patterns.crowd, &proxy.crowd, &direct.crowd, |patterns, proxy, _| {
            patterns.requests_per_second / proxy.requests_per_second
        });
        let bars = vec![
            Bar {
                name: "`patterns` adds, times what the proxy adds (p50, 1 connection)",
                measured: added,
                limit: MOST_ADDED,
                holds: added <= MOST_ADDED,
            },
            Bar {
                name: "`patterns` keeps, of the proxy's requests/s (32 connections)",
                measured: rate,
                limit: LEAST_RATE,
                holds: rate >= LEAST_RATE,
            },
            Bar {
                name: "detectors and policy, 2 KB of plain text (p50, µs)",
                measured: judging[0],
                limit: MOST_JUDGING,
                holds: judging[0] <= MOST_JUDGING,
            },
        ];
        Self { rows, bars, judging, parts }
    }

    /// Whether every bar holds.
    pub(crate) fn holds(&self) -> bool {
        self.bars.iter().all(|bar| bar.holds)
    }

    /// Tables for people.
    pub(crate) fn to_markdown(&self) -> String {
        let mut out = format!(
            "| | p50, 1 connection (µs) | added | p99 | added | p50, {CONNECTIONS} connections | added | p99 | added | requests/s | own CPU, µs a request |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
        );
        for Row { name, alone, alone_added, crowd, crowd_added, rate, time } in &self.rows {
            let cells = [
                alone[0],
                alone_added[0],
                alone[1],
                alone_added[1],
                crowd[0],
                crowd_added[0],
                crowd[1],
                crowd_added[1],
                *rate,
            ];
            let cells = cells.map(|cell| format!("{cell:.0}")).join(" | ");
            let time = time.map_or("unknown".to_owned(), |time| format!("{time:.1}"));
            let _ = writeln!(out, "| {name} | {cells} | {time} |");
        }
        let [p50, p99] = self.judging;
        let _ = writeln!(
            out,
            "\nDetectors and policy on {} bytes of plain text: p50 {p50:.0} µs, p99 {p99:.0} µs.\n",
            judge::BYTES
        );
        let parts: Vec<String> = self.parts.iter().map(|(name, p50)| format!("{name} {p50:.1}")).collect();
        let _ = writeln!(
            out,
            "Of that, in µs: {}; the rest is the policy and the guard itself.\n",
            parts.join(", ")
        );
        out.push_str("| bar | measured | limit | |\n|---|---|---|---|\n");
        for Bar { name, measured, limit, holds } in &self.bars {
            let verdict = if *holds { "holds" } else { "missed" };
            let _ = writeln!(out, "| {name} | {measured:.2} | {limit} | {verdict} |");
        }
        out
    }

    /// One object for programs.
    pub(crate) fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "target": row.name,
                "one_connection_us": {"p50": row.alone[0], "p99": row.alone[1]},
                "one_connection_added_us": {"p50": row.alone_added[0], "p99": row.alone_added[1]},
                "many_connections_us": {"p50": row.crowd[0], "p99": row.crowd[1]},
                "many_connections_added_us": {"p50": row.crowd_added[0], "p99": row.crowd_added[1]},
                "requests_per_second": row.rate,
                "cpu_us_per_request": row.time,
            })
        });
        let bars = self.bars.iter().map(
            |bar| json!({"bar": bar.name, "measured": bar.measured, "limit": bar.limit, "holds": bar.holds}),
        );
        json!({
            "targets": rows.collect::<Vec<_>>(),
            "judging_us": {"bytes": judge::BYTES, "p50": self.judging[0], "p99": self.judging[1], "parts": self.parts.iter().copied().collect::<std::collections::BTreeMap<_, _>>()},
            "bars": bars.collect::<Vec<_>>(),
        })
    }
}

fn row(target: &Target<'_>, direct: &Target<'_>) -> Row {
    let at = |samples: &[Sample], share: f64| median(samples.iter().map(|sample| sample.quantile(share)));
    let added = |samples: &[Sample], direct: &[Sample], share: f64| {
        median(samples.iter().zip(direct).map(|(own, direct)| own.quantile(share) - direct.quantile(share)))
    };
    let requests: usize = target.crowd.iter().map(|sample| sample.latencies.len()).sum();
    Row {
        name: target.name,
        alone: [0.5, 0.99].map(|share| at(&target.alone, share)),
        alone_added: [0.5, 0.99].map(|share| added(&target.alone, &direct.alone, share)),
        crowd: [0.5, 0.99].map(|share| at(&target.crowd, share)),
        crowd_added: [0.5, 0.99].map(|share| added(&target.crowd, &direct.crowd, share)),
        rate: median(target.crowd.iter().map(|sample| sample.requests_per_second)),
        time: target.time.map(|time| time.as_secs_f64() * 1e6 / requests as f64),
    }
}

/// The median of a figure that is made from the three samples of each round.
fn over_rounds(
    a: &[Sample],
    b: &[Sample],
    c: &[Sample],
    figure: impl Fn(&Sample, &Sample, &Sample) -> f64,
) -> f64 {
    median(a.iter().zip(b).zip(c).map(|((a, b), c)| figure(a, b, c)))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
