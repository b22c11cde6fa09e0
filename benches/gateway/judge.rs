//! Detectors and policy alone, in this process: how long a verdict on plain text takes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use demur::{
    app,
    detect::{Task, disguise},
    guard::{Detectors, Guard, Limits, reply::Replies},
    message::{Direction, Exchange, Segment},
    telemetry::Metrics,
    verdict::Action,
};

use crate::text;

/// The length of a text, in bytes.
pub(crate) const BYTES: usize = 2048;

/// Texts judged before the clock runs, and while it does.
const WARM_UP: usize = 2_000;
const JUDGED: usize = 20_000;

/// Times on plain texts with the default policy.
pub(crate) struct Judging {
    /// Of a whole verdict, sorted.
    pub(crate) verdicts: Vec<Duration>,
    /// Of its parts: the name and the median, in microseconds. What is left is the policy and the guard itself.
    pub(crate) parts: Vec<(&'static str, f64)>,
}

/// Judges plain texts.
pub(crate) async fn measure() -> anyhow::Result<Judging> {
    let detectors = Detectors::builtin();
    let replies = Replies::builtin();
    let policy = app::find("default", &detectors.catalog(replies.names(), replies.notices()))?;
    let guard = Guard::new(Arc::new(policy), &detectors, Limits::default(), Arc::new(Metrics::new()))?;
    let exchanges: Vec<Exchange> = (0..64)
        .map(|seed| Exchange::input(vec![Segment::bare(Direction::Input, text::plain(BYTES, seed))]))
        .collect();
    let mut verdicts = Vec::with_capacity(JUDGED);
    for (i, exchange) in exchanges.iter().cycle().take(WARM_UP + JUDGED).enumerate() {
        let exchange = exchange.clone();
        let started = Instant::now();
        let judged = guard.judge(exchange).await;
        let took = started.elapsed();
        ensure!(judged.verdict.action == Action::Allow, "the plain text is not let through");
        if i >= WARM_UP {
            verdicts.push(took);
        }
    }
    verdicts.sort_unstable();
    Ok(Judging { verdicts, parts: parts(&guard, &exchanges).await })
}

async fn parts(guard: &Guard, exchanges: &[Exchange]) -> Vec<(&'static str, f64)> {
    let deadline = Instant::now() + Duration::from_secs(3600);
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    let mut times = Vec::with_capacity(JUDGED);
    let mut tasks = Vec::new();
    for exchange in exchanges.iter().cycle().take(JUDGED) {
        let exchange = exchange.clone();
        let started = Instant::now();
        let task = Task::prepare(exchange, deadline);
        times.push(started.elapsed());
        if tasks.len() < exchanges.len() {
            tasks.push(task);
        }
    }
    let mut parts = vec![(disguise::NAME, median(times))];
    for detector in guard.detectors(Direction::Input) {
        let mut times = Vec::with_capacity(JUDGED);
        for task in tasks.iter().cycle().take(JUDGED) {
            let started = Instant::now();
            // What it finds does not matter here.
            let _ = detector.detect(task).await;
            times.push(started.elapsed());
        }
        parts.push((detector.name(), median(times)));
    }
    parts
}
