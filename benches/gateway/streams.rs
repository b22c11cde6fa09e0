//! `make bench`, streams: what the streaming guard keeps a reader waiting. A scripted model says its prose at a given
//! rate; every exchange through Demur runs beside a direct one, and modes take turns, so that a change of the machine's
//! speed meets each of them. Then a hundred streams at once.

mod client;
pub(crate) mod model;
mod prose;
mod report;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures_util::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};

use crate::process::Process;
use client::{Seen, follow, metric};
pub(crate) use report::Report;

/// The modes of a policy that extends `default`.
const MODES: [&str; 3] = ["hold", "buffer", "audit"];

/// Tokens a second of a stream that runs alone: as fast as one reads, and as fast as the fastest servers speak.
const RATES: [u32; 2] = [50, 2000];

/// How many streams run at once, and their tokens a second.
const CROWD: usize = 100;
const CROWD_RATE: u32 = 20;

/// How often a process is asked for its memory.
const EVERY: Duration = Duration::from_millis(250);

/// A mode at a rate, over all rounds.
struct Alone {
    mode: &'static str,
    rate: u32,
    /// Through Demur, and the direct exchange beside it.
    pairs: Vec<(Seen, Seen)>,
    /// The process' own time, and the time that went by.
    used: Duration,
    took: Duration,
}

/// Many streams at once.
struct Crowd {
    name: &'static str,
    streams: Vec<Seen>,
    /// What only a process of ours tells.
    own: Option<Own>,
}

/// What a gateway used for a crowd.
struct Own {
    used: Duration,
    took: Duration,
    /// Resident memory in MiB: before, the most meanwhile in each half of the time, after.
    memory: [f64; 4],
    failures: f64,
    /// Passes of the guard model, and tokens in them.
    passes: f64,
    tokens: f64,
}

/// Runs everything.
pub(crate) async fn measure(rounds: u32) -> anyhow::Result<Report> {
    let load = [load(), 0.0];
    let upstream = Process::role("streams", None)?;
    // A folder of their own, and all before the first start: gateways read their policies again when something changes.
    let policies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-streams");
    fs::create_dir_all(&policies)?;
    let file = |mode| policies.join(format!("{mode}.yaml"));
    for mode in MODES {
        fs::write(file(mode), format!("demur: 1\nname: {mode}\nextends: default\nstream: {mode}\n"))?;
    }
    let mut gateways = Vec::with_capacity(MODES.len());
    for mode in MODES {
        let policy = file(mode);
        let policy = policy.to_str().context("the target folder's name is not UTF-8")?;
        gateways.push(Process::demur(&format!("stream-{mode}"), policy, upstream.address)?);
    }
    let mut questions = 0..;
    let mut question = || questions.next().unwrap_or_default();
    for gateway in &gateways {
        follow(gateway.address, 2000, question()).await?;
    }
    let mut all = Vec::new();
    for rate in RATES {
        let fresh =
            |mode| Alone { mode, rate, pairs: Vec::new(), used: Duration::ZERO, took: Duration::ZERO };
        let mut alone = MODES.map(fresh);
        let style = ProgressStyle::with_template("{msg}: {bar:40} round {pos} of {len}, {eta} left")?;
        let bar = ProgressBar::new(rounds.into()).with_style(style).with_message(format!("{rate} tokens/s"));
        for _ in 0..rounds {
            for (of, gateway) in alone.iter_mut().zip(&gateways) {
                let (before, started) = (gateway.processor_time(), Instant::now());
                let through = follow(gateway.address, rate, question());
                let pair = tokio::try_join!(through, follow(upstream.address, rate, 0))?;
                of.took += started.elapsed();
                of.used +=
                    gateway.processor_time().zip(before).map(|(now, was)| now - was).unwrap_or_default();
                of.pairs.push(pair);
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        all.extend(alone);
    }
    let mut crowds = vec![Crowd { name: "direct", streams: crowd(&upstream, 0).await?, own: None }];
    let (hold, first) = (&gateways[0], question());
    crowds.push(crowd_through("hold", hold, first).await?);
    Ok(Report::new(&all, &crowds, [load[0], self::load()]))
}

/// Many streams through one process at once.
async fn crowd(process: &Process, first: usize) -> anyhow::Result<Vec<Seen>> {
    try_join_all((0..CROWD).map(|i| follow(process.address, CROWD_RATE, first + i))).await
}

async fn crowd_through(name: &'static str, gateway: &Process, first: usize) -> anyhow::Result<Crowd> {
    let ops = gateway.ops.context("the gateway has no operations listener")?;
    let counted = async || -> anyhow::Result<[f64; 3]> {
        Ok([
            metric(ops, "demur_detector_failures_total").await?,
            metric(ops, "demur_guard_model_pass_tokens_count").await?,
            metric(ops, "demur_guard_model_pass_tokens_sum").await?,
        ])
    };
    let (before, used, started) = (counted().await?, gateway.processor_time(), Instant::now());
    let memory = gateway.memory().unwrap_or_default();
    let (mut samples, mut tick) = (Vec::new(), tokio::time::interval(EVERY));
    let mut streams = std::pin::pin!(crowd(gateway, first));
    let streams = loop {
        tokio::select! {
            streams = &mut streams => break streams?,
            _ = tick.tick() => samples.extend(gateway.memory()),
        }
    };
    let took = started.elapsed();
    let used = gateway.processor_time().zip(used).map(|(now, was)| now - was).unwrap_or_default();
    let (early, late) = samples.split_at(samples.len() / 2);
    let most = |samples: &[f64]| samples.iter().copied().fold(0.0, f64::max);
    let after = gateway.memory().unwrap_or_default();
    let now = counted().await?;
    let [failures, passes, tokens] = std::array::from_fn(|i| now[i] - before[i]);
    let own = Own { used, took, memory: [memory, most(early), most(late), after], failures, passes, tokens };
    Ok(Crowd { name, streams, own: Some(own) })
}

/// Processes that want a core, on the mean of the last minute; 0 where the system does not tell.
fn load() -> f64 {
    let said = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    said.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}
