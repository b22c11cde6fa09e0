//! `demur policy explain`: why a text is judged as it is, and what detectors can see at all.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Read},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;

use super::{BOLD, Bench, DIM, Decision, GOOD, clip, style};
use crate::{
    cli::guard::GuardArgs,
    guard::{Detectors, Judged},
    message::{Direction, Exchange, Segment},
    policy::{Policy, Rule},
    verdict::{Finding, Mode, RuleHit, SignalInfo, SignalKind},
};

/// Say which rules a text matches and why, and which ones were near; or list what detectors can see
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The text, or `-` to read it from standard input
    #[arg(value_name = "TEXT")]
    text: Option<String>,

    #[command(flatten)]
    guard: GuardArgs,

    /// Which way the text travels
    #[arg(short, long, value_name = "WAY", default_value = "input", value_parser = direction)]
    direction: Direction,

    /// List every detector and its signals
    #[arg(short, long)]
    list: bool,
}

fn direction(name: &str) -> Result<Direction, String> {
    let known = Direction::ALL.into_iter().find(|direction| direction.as_str() == name);
    known.ok_or_else(|| "expected `input` or `output`".to_owned())
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let text = match args.text.as_deref() {
        Some("-") => Some(std::io::read_to_string(std::io::stdin().lock()).context("standard input")?),
        None if !args.list && !std::io::stdin().is_terminal() => piped()?,
        text => text.map(str::to_owned),
    };
    let bench = Bench::of(args.guard.load()?)?;
    let known = signals(bench.guard().policy());
    match text.filter(|_| !args.list) {
        Some(text) => {
            let exchange = match args.direction {
                Direction::Input => Exchange::input(vec![Segment::bare(Direction::Input, text)]),
                Direction::Output => {
                    Exchange::output(vec![Segment::bare(Direction::Output, text)], Arc::from([]))
                }
            };
            explain(&bench.judge(exchange), bench.guard().policy(), &known);
        }
        None => list(&known, bench.guard().policy()),
    }
    Ok(ExitCode::SUCCESS)
}

/// What was piped in; nothing when there is no input at all.
fn piped() -> anyhow::Result<Option<String>> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).context("standard input")?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Every signal that this policy can read, its own searches among them.
fn signals(policy: &Policy) -> Vec<SignalInfo> {
    let mut signals = Detectors::builtin().signals();
    signals.extend(policy.patterns().iter().map(|pattern| SignalInfo {
        name: Arc::clone(&pattern.signal),
        kind: SignalKind::Count,
        detector: "pattern",
        hazard: pattern.hazard,
        about: "a search of this policy".into(),
    }));
    signals
}

fn list(known: &[SignalInfo], policy: &Policy) {
    let mut detectors: BTreeMap<&str, Vec<&SignalInfo>> = BTreeMap::new();
    for signal in known {
        detectors.entry(signal.detector).or_default().push(signal);
    }
    for (detector, signals) in detectors {
        anstream::println!("{BOLD}{detector}{BOLD:#}");
        let width = signals.iter().map(|signal| signal.name.len()).max().unwrap_or(0);
        for signal in signals {
            let kind = match signal.kind {
                SignalKind::Score => "score",
                SignalKind::Count => "count",
            };
            let is_read =
                Direction::ALL.iter().any(|direction| policy.reads(*direction).contains(&signal.name));
            let read = if is_read { "*" } else { " " };
            anstream::println!(
                "{GOOD}{read}{GOOD:#} {:width$}  {DIM}{kind}{DIM:#}  {}",
                signal.name,
                signal.about
            );
        }
    }
    show_settings(policy);
    anstream::println!("{GOOD}*{GOOD:#} is read by the policy {}", policy.id());
}

fn explain(judged: &Judged, policy: &Policy, known: &[SignalInfo]) {
    let verdict = &judged.verdict;
    let decision = Decision::of(verdict);
    let colour = style(decision.action);
    let shadow = if verdict.mode == Mode::Shadow { " (in shadow: nothing is done)" } else { "" };
    anstream::println!(
        "{colour}{}{colour:#}{shadow}  {DIM}{}, {}, {:.1?}{DIM:#}",
        decision.text(),
        verdict.policy,
        verdict.direction,
        judged.took
    );
    show_settings(policy);
    for (failure, outcome) in &verdict.failures {
        anstream::println!(
            "the detector `{}` did not judge ({:?}); the policy is {} to that",
            failure.detector,
            failure.reason,
            outcome.as_str()
        );
    }
    let seen = Seen { judged, known };
    for hit in &verdict.hits {
        // The guard's own rule for failed detectors is in no policy.
        if let Some(rule) = policy.rules().iter().find(|rule| rule.id == hit.rule) {
            matched(rule, hit, &seen);
        }
    }
    let hit = |rule: &&Rule| verdict.hits.iter().any(|hit| hit.rule == rule.id);
    let near = |rule: &&Rule| rule.reads().any(|signal| seen.findings(signal).next().is_some());
    let on = policy.rules().iter().filter(|rule| rule.is_on(verdict.direction));
    for rule in on.filter(|rule| !hit(rule) && near(rule)) {
        anstream::println!("\n{DIM}near:{DIM:#} {BOLD}{}{BOLD:#} would {}", rule.id, rule.action);
        anstream::println!("  when {}", rule.when());
        seen.show(rule);
    }
    let read = policy.reads(verdict.direction);
    let unread = verdict.findings.iter().filter(|finding| !read.contains(&finding.signal));
    let unread: std::collections::BTreeSet<&str> = unread.map(|finding| &*finding.signal).collect();
    if !unread.is_empty() {
        let names = unread.into_iter().collect::<Vec<_>>().join(", ");
        anstream::println!("\n{DIM}seen, but read by no rule: {names}{DIM:#}");
    }
}

/// What the policy says about all texts alike.
fn show_settings(policy: &Policy) {
    let (stream, input, media) = (policy.stream(), policy.input(), policy.media());
    let (stream, input, media) = (stream.as_str(), input.as_str(), media.as_str());
    anstream::println!("{DIM}stream: {stream}, input: {input}, media: {media}{DIM:#}");
}

fn matched(rule: &Rule, hit: &RuleHit, seen: &Seen<'_>) {
    let colour = style(hit.action);
    let mut with = vec![hit.mode.as_str().to_owned()];
    with.extend(hit.hazard.map(|hazard| format!("hazard {hazard}")));
    with.extend(hit.reply.as_ref().map(|reply| format!("reply {reply}")));
    with.extend(hit.notice.as_ref().map(|notice| format!("notice {notice}")));
    anstream::println!(
        "\n{colour}{}{colour:#} {BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}",
        hit.action,
        rule.id,
        with.join(", ")
    );
    if let Some(about) = &rule.about {
        anstream::println!("  {about}");
    }
    anstream::println!("  when {}", rule.when());
    seen.show(rule);
}

/// What detectors saw, as rules read it.
struct Seen<'a> {
    judged: &'a Judged,
    known: &'a [SignalInfo],
}

impl<'a> Seen<'a> {
    fn findings(&self, signal: &'a Arc<str>) -> impl Iterator<Item = &'a Finding> {
        self.judged.verdict.findings.iter().filter(move |finding| finding.signal == *signal)
    }

    /// The signals that a rule reads: those that were raised, with their value and where; of the others how many.
    fn show(&self, rule: &'a Rule) {
        let mut silent = Vec::new();
        for signal in rule.reads() {
            let findings: Vec<&Finding> = self.findings(signal).collect();
            if findings.is_empty() {
                silent.push(&**signal);
                continue;
            }
            anstream::println!("  {signal} = {}", self.value(signal, &findings));
            for finding in findings {
                self.show_place(finding);
            }
        }
        match silent.len() {
            0 => {}
            1..=4 => anstream::println!("  {DIM}{} = 0{DIM:#}", silent.join(" = 0, ")),
            n => anstream::println!("  {DIM}{n} other signals = 0{DIM:#}"),
        }
    }

    fn value(&self, signal: &Arc<str>, findings: &[&Finding]) -> String {
        let is_count =
            (self.known.iter()).any(|known| known.name == *signal && known.kind == SignalKind::Count);
        if is_count {
            return findings.len().to_string();
        }
        let highest = findings.iter().map(|finding| finding.score).fold(0.0, f32::max);
        format!("{highest:.2}")
    }

    fn show_place(&self, finding: &Finding) {
        let Some(span) = &finding.span else { return };
        let text = self.judged.segments().get(finding.segment).and_then(|s| s.text.get(span.clone()));
        let text = clip(text.unwrap_or_default(), 80);
        anstream::println!("    bytes {}..{}  {DIM}{text}{DIM:#}", span.start, span.end);
    }
}
