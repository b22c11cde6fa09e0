//! The guard: runs a policy's detectors side by side under one deadline, asks the policy, and gives a verdict.
//! It never fails: a detector that did not judge is part of the verdict.

pub mod advice;
pub mod redact;
pub mod reply;
mod run;
pub mod set;
pub mod stream;

use std::{
    collections::BTreeSet,
    iter,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus::{Histogram, IntCounter};

use crate::{
    detect::{
        Detector, OnText, Task, canary, classifier, disguise, exfil::Exfil, external, pattern::PatternError,
        pattern::Patterns, pii::Pii, secrets::Secrets,
    },
    message::{Direction, Exchange, Segment},
    policy::{Catalog, Evidence, Policy, pattern::Pattern},
    telemetry::Metrics,
    verdict::{Action, Failure, Finding, Redaction, SignalInfo, Verdict},
};
use stream::Shape;

/// The detectors that every policy can read; shared by all guards of a process.
#[derive(Clone)]
pub struct Detectors(Vec<Arc<dyn Detector>>);

impl Detectors {
    /// What needs no network: personal data, secrets, exfiltration. Disguises and a policy's own patterns are
    /// the guard's, since they need its budget and its policy.
    pub fn builtin() -> Self {
        Self(vec![
            Arc::new(OnText(Pii::new())),
            Arc::new(OnText(Secrets::new())),
            Arc::new(OnText(Exfil::new())),
        ])
    }

    /// Adds another detector, such as a classifier.
    pub fn push(&mut self, detector: Arc<dyn Detector>) {
        self.0.push(detector);
    }

    /// Adds another one whose name comes from a file.
    ///
    /// # Errors
    /// The name is that of a detector of Demur's own, or of the policies' own signals.
    pub fn add(&mut self, detector: Arc<dyn Detector>) -> Result<(), NameTaken> {
        let name = detector.name();
        let prefix = format!("{name}.");
        let policies = ["pattern", "list"].contains(&name);
        if policies || self.signals().iter().any(|signal| signal.name.starts_with(&prefix)) {
            return Err(NameTaken(name));
        }
        self.push(detector);
        Ok(())
    }

    /// Whether there is a detector of that name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|detector| detector.name() == name)
    }

    /// Every signal that a policy may name, a policy's own patterns and lists aside. Those of models and of the canary are
    /// known without them, so that a policy is checked the same everywhere.
    pub fn signals(&self) -> Vec<SignalInfo> {
        let mut signals: Vec<_> = self.0.iter().flat_map(|detector| detector.signals()).collect();
        signals.extend(disguise::signals());
        let own = [(classifier::NAME, classifier::signals()), (canary::NAME, canary::signals())];
        let models = external::signals().chain(own);
        signals.extend(models.filter(|(name, _)| !self.has(name)).flat_map(|(_, signals)| signals));
        signals
    }

    /// The names that a policy is compiled against.
    pub fn catalog(&self, replies: BTreeSet<String>, notices: BTreeSet<String>) -> Catalog {
        Catalog { signals: self.signals(), replies, notices }
    }
}

/// A classifier is called like something that Demur has.
#[derive(Debug, thiserror::Error)]
#[error("a classifier can't be called `{0}`: Demur's own signals are called so")]
pub struct NameTaken(&'static str);

/// From which score on a finding is counted in `demur_findings_total`.
const COUNTED: f32 = 0.5;

/// How long and how deep a guard looks.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All detectors of one exchange together.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(2) }
    }
}

/// A policy together with the detectors it needs.
pub struct Guard {
    policy: Arc<Policy>,
    /// Those for questions and those for answers.
    sides: [Side; 2],
    limits: Limits,
    shape: Shape,
    metrics: Arc<Metrics>,
}

/// What looks at the texts of one direction.
struct Side {
    detectors: Vec<Arc<dyn Detector>>,
    /// Where the times of the undoing of disguises and of each detector go. Looked up once: the look-up costs as
    /// much as a short text.
    timers: Vec<Histogram>,
    /// Counts the texts that nothing was seen in, likewise.
    allowed: IntCounter,
}

impl Side {
    fn new(
        direction: Direction,
        policy: &Policy,
        shared: &Detectors,
        metrics: &Metrics,
    ) -> Result<Self, PatternError> {
        let reads = policy.reads(direction);
        let is_read = |d: &Arc<dyn Detector>| d.signals().iter().any(|signal| reads.contains(&signal.name));
        let mut detectors: Vec<_> = shared.0.iter().filter(|detector| is_read(detector)).cloned().collect();
        let patterns: Vec<&Pattern> =
            policy.patterns().iter().filter(|pattern| reads.contains(&pattern.signal)).collect();
        if !patterns.is_empty() {
            detectors.push(Arc::new(OnText(Patterns::compile(patterns)?)));
        }
        let names = iter::once(disguise::NAME).chain(detectors.iter().map(|detector| detector.name()));
        let timers = names.map(|name| metrics.guard.with_label_values(&[direction.as_str(), name])).collect();
        let labels = [direction.as_str(), Action::Allow.as_str(), &policy.id().name, policy.mode().as_str()];
        Ok(Self { detectors, timers, allowed: metrics.verdicts.with_label_values(&labels) })
    }
}

/// A verdict, the texts it is about, and how long it took.
#[derive(Debug)]
pub struct Judged {
    /// What was decided.
    pub verdict: Verdict,
    /// What was judged.
    pub task: Arc<Task>,
    /// From the call to the verdict.
    pub took: Duration,
}

impl Judged {
    /// The judged segments.
    pub fn segments(&self) -> &[Segment] {
        &self.task.exchange.segments
    }
}

impl Guard {
    /// A guard for this policy. Only detectors whose signals the policy reads are run, and on each direction only
    /// those that a rule for it reads.
    ///
    /// # Errors
    /// A pattern of the policy does not compile.
    pub fn new(
        policy: Arc<Policy>,
        shared: &Detectors,
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> Result<Self, PatternError> {
        let side = |direction| Side::new(direction, &policy, shared, &metrics);
        let sides = [side(Direction::Input)?, side(Direction::Output)?];
        let shape = Shape::of(&policy);
        Ok(Self { policy, sides, limits, shape, metrics })
    }

    /// The policy that decides.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The detectors that run on texts of this direction.
    pub fn detectors(&self, direction: Direction) -> impl Iterator<Item = &dyn Detector> {
        self.sides[direction as usize].detectors.iter().map(|detector| &**detector)
    }

    /// Judges an exchange, and counts the verdict.
    pub async fn judge(&self, exchange: Exchange) -> Judged {
        let judged = self.look(exchange).await;
        self.count(&judged.verdict, judged.segments());
        judged
    }

    /// Judges a part of an exchange. The verdict on the whole is to be counted at its end ([`Guard::count`]).
    pub async fn look(&self, exchange: Exchange) -> Judged {
        let started = Instant::now();
        let direction = exchange.direction;
        let deadline = started + self.limits.deadline;
        let Side { detectors, timers, .. } = &self.sides[direction as usize];
        let (task, outcomes) = run::all(detectors, exchange, deadline).await;
        let mut findings: Vec<Finding> = task.disguises.clone();
        let mut failures = Vec::new();
        for (outcome, timer) in outcomes.into_iter().zip(timers) {
            timer.observe(outcome.took.as_secs_f64());
            match outcome.result {
                Ok(found) => findings.extend(found),
                Err(reason) => failures.push(Failure { detector: outcome.detector, reason }),
            }
        }
        let languages = self.languages(&task);
        let mut verdict = self.policy.judge(Evidence {
            direction,
            segments: &task.exchange.segments,
            languages: &languages,
            key: task.exchange.caller.as_deref(),
            findings: &findings,
            failures: &failures,
            media: task.exchange.media,
        });
        // What can't be taken out does not go on.
        let stuck = |redaction: &Redaction| !task.exchange.segments[redaction.segment].is_writable();
        if verdict.redactions.iter().any(stuck) {
            (verdict.action, verdict.would) = (Action::Refuse, Action::Refuse);
        }
        Judged { verdict, task, took: started.elapsed() }
    }

    /// Each segment's language, when a rule asks for it.
    fn languages(&self, task: &Task) -> Vec<Option<Arc<str>>> {
        if !self.policy.reads_language(task.exchange.direction) {
            return Vec::new();
        }
        let code =
            |segment: &Segment| crate::detect::language::language(&segment.text).map(|l| Arc::from(l.code()));
        task.exchange.segments.iter().map(code).collect()
    }

    /// Whether more of a text may take a refusal back: every rule that asks for it reads a score. What a pattern found
    /// stays found, and a detector that failed stays failed.
    pub fn may_change(&self, verdict: &Verdict) -> bool {
        let mut refusing = verdict.enforced().filter(|hit| hit.action == Action::Refuse).peekable();
        refusing.peek().is_some() && refusing.all(|hit| self.policy.reads_score(&hit.rule))
    }

    /// What the policy makes of the window over a streamed answer.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Counts a verdict on these segments.
    pub fn count(&self, verdict: &Verdict, segments: &[Segment]) {
        let policy = &*verdict.policy.name;
        let direction = verdict.direction.as_str();
        let metrics = &self.metrics;
        if verdict.would == Action::Allow {
            self.sides[verdict.direction as usize].allowed.inc();
        } else {
            let labels = [direction, verdict.would.as_str(), policy, verdict.mode.as_str()];
            metrics.verdicts.with_label_values(&labels).inc();
        }
        // A score that says "no" is told in the verdict and is no finding to count.
        for finding in verdict.findings.iter().filter(|finding| finding.score >= COUNTED) {
            metrics.findings.with_label_values(&[finding.detector, &finding.signal, direction]).inc();
        }
        for (failure, outcome) in &verdict.failures {
            let labels = [failure.detector, failure.reason.as_str(), outcome.as_str()];
            metrics.detector_failures.with_label_values(&labels).inc();
            tracing::warn!(
                detector = failure.detector,
                reason = failure.reason.as_str(),
                outcome = outcome.as_str(),
                "a detector did not judge"
            );
        }
        if let Some((failure, _)) = verdict.failures.first() {
            for segment in segments {
                let characters = u64::try_from(segment.text.chars().count()).unwrap_or(u64::MAX);
                let labels = [segment.place.as_str(), failure.reason.as_str()];
                metrics.unjudged_chars.with_label_values(&labels).inc_by(characters);
            }
        }
        if verdict.action == Action::Refuse {
            let hit = verdict.decided_by();
            let hazard = hit.and_then(|hit| hit.hazard).map_or("none", |hazard| hazard.as_str());
            let rule = hit.map_or("none", |hit| &*hit.rule);
            metrics.refusals.with_label_values(&[hazard, rule, policy, direction]).inc();
        }
    }
}
