//! `make bench`: what Demur adds to a request, beside what a minimal reverse proxy adds. A scripted model, that
//! proxy and two gateways run as processes of their own on loopback; rounds over all of them are interleaved, so
//! that a change of the machine's speed meets each of them.
#![allow(clippy::print_stdout, reason = "the report is what this program is for")]

mod judge;
mod load;
mod process;
mod report;
mod roles;
mod streams;
mod text;

use std::{net::SocketAddr, process::ExitCode};

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use load::Sample;
use process::Process;
use report::{Report, Target};

/// Measures what Demur adds to a request.
#[derive(Debug, Parser)]
struct Args {
    /// How many rounds over all targets: 15, or 9 of streams, when it is not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200))]
    rounds: Option<u32>,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// Measure what readers of streams wait instead
    #[arg(long)]
    streams: bool,
    /// Cargo says that this is a benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// Be one of the processes that are measured
    #[arg(long, hide = true)]
    role: Option<Role>,
    /// Where the proxy forwards to
    #[arg(long, hide = true)]
    upstream: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    Upstream,
    Proxy,
    Streams,
}

/// Requests of a round with one connection.
const ALONE: usize = 1_000;

/// Requests of a round with many connections.
const CROWD: usize = 8_000;

/// How many connections "many" are.
const CONNECTIONS: usize = 32;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    match (args.role, args.upstream) {
        (Some(Role::Upstream), _) => roles::upstream()?,
        (Some(Role::Streams), _) => streams::model::serve()?,
        (Some(Role::Proxy), Some(upstream)) => roles::proxy(upstream)?,
        (Some(Role::Proxy), None) => anyhow::bail!("`--role proxy` needs `--upstream`"),
        (None, _) if args.streams => measure_streams(&args)?,
        (None, _) => return measure(&args),
    }
    Ok(ExitCode::SUCCESS)
}

/// A report: what a loaded machine does to it fails nothing.
fn measure_streams(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(streams::measure(args.rounds.unwrap_or(9)))?;
    println!("{}", if args.json { report.to_json().to_string() } else { report.to_markdown() });
    Ok(())
}

fn measure(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let judged = runtime.block_on(judge::measure())?;
    let upstream = Process::role("upstream", None)?;
    let proxy = Process::role("proxy", Some(upstream.address))?;
    let observe = Process::demur("observe", "observe", upstream.address)?;
    let patterns = Process::demur("patterns", "patterns", upstream.address)?;
    let default = Process::demur("default", "default", upstream.address)?;
    let all = [
        ("direct", &upstream),
        ("proxy", &proxy),
        ("observe", &observe),
        ("patterns", &patterns),
        ("default", &default),
    ];
    let mut targets = all.map(|(name, process)| Target::new(name, process));
    runtime.block_on(rounds(&mut targets, args.rounds.unwrap_or(15)))?;
    let report = Report::new(&targets, judged);
    println!("{}", if args.json { report.to_json().to_string() } else { report.to_markdown() });
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn rounds(targets: &mut [Target<'_>], rounds: u32) -> anyhow::Result<()> {
    let body = text::request();
    for target in &*targets {
        // Connection pools fill, lazily made tables are made, branch predictors learn.
        load::run(target.process.address, &body, CONNECTIONS, CROWD).await?;
    }
    let style = ProgressStyle::with_template("{bar:40} round {pos} of {len}, {eta} left")?;
    let bar = ProgressBar::new(rounds.into()).with_style(style);
    for _ in 0..rounds {
        for target in &mut *targets {
            let alone: Sample = load::run(target.process.address, &body, 1, ALONE).await?;
            target.alone.push(alone);
            let before = target.process.processor_time();
            target.crowd.push(load::run(target.process.address, &body, CONNECTIONS, CROWD).await?);
            target.used(before);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}
