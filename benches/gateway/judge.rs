//! Detectors and policy alone, in this process: how long a verdict on plain text takes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use demur::{
    app,
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

/// The time of a verdict with the default policy, sorted.
pub(crate) async fn measure() -> anyhow::Result<Vec<Duration>> {
    let detectors = Detectors::builtin();
    let replies = Replies::builtin();
    let policy = app::find("default", &detectors.catalog(replies.names(), replies.notices()))?;
    let guard = Guard::new(Arc::new(policy), &detectors, Limits::default(), Arc::new(Metrics::new()))?;
    let texts: Vec<String> = (0..64).map(|seed| text::plain(BYTES, seed)).collect();
    let mut times = Vec::with_capacity(JUDGED);
    for (i, text) in texts.iter().cycle().take(WARM_UP + JUDGED).enumerate() {
        let exchange = Exchange::input(vec![Segment::bare(Direction::Input, text.clone())]);
        let started = Instant::now();
        let judged = guard.judge(exchange).await;
        let took = started.elapsed();
        ensure!(judged.verdict.action == Action::Allow, "the plain text is not let through");
        if i >= WARM_UP {
            times.push(took);
        }
    }
    times.sort_unstable();
    Ok(times)
}
