//! Policies: rules that turn findings into a verdict. A policy is written in YAML, checked once, and can't be
//! wrong from then on: judging is pure and total.

mod compile;
mod condition;
mod error;
mod judge;
pub mod pattern;
mod raw;
mod source;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    message::{Direction, Exchange, Place, Role, Segment},
    verdict::{
        Action, Hazard, InputMode, MediaMode, Mode, NoticeAt, OnFailure, PolicyId, SignalInfo, StreamMode,
    },
};
use condition::Condition;
pub use error::{PolicyError, PolicyErrors};
pub use judge::{Evidence, GUARD_UNAVAILABLE, MEDIA};
use pattern::Pattern;
pub use source::BUILTIN;

/// The names that a policy may use: what detectors can see, and which texts exist.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Every signal of every detector.
    pub signals: Vec<SignalInfo>,
    /// Names of reply templates.
    pub replies: BTreeSet<String>,
    /// Names of notice templates.
    pub notices: BTreeSet<String>,
}

/// A policy that is compiled.
#[derive(Debug)]
pub struct Policy {
    id: PolicyId,
    description: Option<String>,
    mode: Mode,
    stream: StreamMode,
    input: InputMode,
    media: MediaMode,
    failure: Failures,
    rules: Vec<Rule>,
    patterns: Vec<Pattern>,
    cases: Vec<Case>,
    warnings: Vec<PolicyError>,
    sources: Vec<PathBuf>,
    /// Every signal that a rule reads, in the order of the table of values.
    table: Vec<Arc<str>>,
    /// For each of them whether it is a score (the highest counts) or a count (they add up).
    scores: Vec<bool>,
    reads: [BTreeSet<Arc<str>>; 2],
}

/// What happens when a detector fails: by detector, and for the others.
#[derive(Debug, Default)]
struct Failures {
    default: OnFailure,
    each: BTreeMap<String, OnFailure>,
}

/// A rule that is compiled.
#[derive(Debug)]
pub struct Rule {
    /// Its id, unique in the policy.
    pub id: Arc<str>,
    /// What it is for, in a line.
    pub about: Option<String>,
    /// What it does when its condition holds.
    pub action: Action,
    /// Whether it acts or only counts.
    pub mode: Mode,
    /// The hazard it is about.
    pub hazard: Option<Hazard>,
    /// The reply of a refusal.
    pub reply: Option<Arc<str>>,
    /// The notice of a warning.
    pub notice: Option<Arc<str>>,
    /// Where that notice stands.
    pub notice_at: NoticeAt,
    /// What a steering rule tells the model.
    pub guidance: Option<Arc<str>>,
    /// Whether what it redacts from a question comes back in the answer.
    pub restore: bool,
    directions: Vec<Direction>,
    condition: Condition,
    /// What the condition comes to when none of its signals was seen; `None` when that depends on the text.
    when_silent: Option<bool>,
}

impl Rule {
    /// Whether it judges texts of this direction.
    pub fn is_on(&self, direction: Direction) -> bool {
        self.directions.contains(&direction)
    }

    /// Its condition, as it was written.
    pub fn when(&self) -> &str {
        self.condition.source()
    }

    /// The signals that its condition reads.
    pub fn reads(&self) -> impl Iterator<Item = &Arc<str>> {
        self.condition.signals().map(|(name, _)| name)
    }
}

/// A test that a policy carries.
#[derive(Clone, Debug)]
pub struct Case {
    /// The text, or the question that `answer` answers.
    pub say: String,
    /// The answer to judge.
    pub answer: Option<String>,
    /// Who says it.
    pub role: Role,
    /// In what kind of field.
    pub place: Place,
    /// The name of the API key that it comes with.
    pub key: Option<Arc<str>>,
    /// What was said before, and by whom.
    pub turns: Vec<(Role, String)>,
    /// What is to be done.
    pub action: Action,
    /// The rule that is to decide.
    pub rule: Option<String>,
    /// Why the case is there.
    pub why: Option<String>,
    /// The file and line it stands on.
    pub at: String,
}

impl Case {
    /// What the case asks to judge: its text, or its answer beside the text.
    pub fn exchange(&self) -> Exchange {
        let said = |role, place, text: &str| Segment { role, place, ..Segment::bare(Direction::Input, text) };
        let before = self.turns.iter().map(|(role, text)| said(*role, Place::of(*role), text));
        let asked: Vec<Segment> = before.chain([said(self.role, self.place, &self.say)]).collect();
        let exchange = match &self.answer {
            Some(answer) => {
                Exchange::output(vec![Segment::bare(Direction::Output, answer.as_str())], asked.into())
            }
            None => Exchange::input(asked),
        };
        exchange.by(self.key.clone())
    }
}

impl Policy {
    /// Compiles a policy file, with all it extends.
    ///
    /// # Errors
    /// Every mistake, with its place.
    pub fn load(path: &Path, catalog: &Catalog) -> Result<Self, PolicyErrors> {
        compile::policy(&source::from_file(path)?, catalog)
    }

    /// Compiles a shipped policy.
    ///
    /// # Errors
    /// There is none of that name, or the catalog lacks what it needs.
    pub fn builtin(name: &str, catalog: &Catalog) -> Result<Self, PolicyErrors> {
        compile::policy(&source::from_builtin(name)?, catalog)
    }

    /// Compiles a policy from its text. `file` names it in errors.
    ///
    /// # Errors
    /// Every mistake, with its place.
    pub fn parse(file: &str, text: &str, catalog: &Catalog) -> Result<Self, PolicyErrors> {
        compile::policy(&source::from_text(file, text)?, catalog)
    }

    /// Its name and the hash of all it was made from.
    pub fn id(&self) -> &PolicyId {
        &self.id
    }

    /// What it says about itself.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Whether it acts or only counts.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// When a streamed answer is shown.
    pub fn stream(&self) -> StreamMode {
        self.stream
    }

    /// When the model is asked.
    pub fn input(&self) -> InputMode {
        self.input
    }

    /// What becomes of images, audio and files, which no detector reads.
    pub fn media(&self) -> MediaMode {
        self.media
    }

    /// The same as it is acted on: a policy that only counts lets everything through.
    pub fn media_in_force(&self) -> MediaMode {
        if self.mode == Mode::Shadow { MediaMode::Pass } else { self.media }
    }

    /// Its rules, in the order of the files.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a rule reads a score: more of a text may change what it says.
    pub fn reads_score(&self, rule: &str) -> bool {
        let rule = self.rules.iter().find(|known| *known.id == *rule);
        rule.is_some_and(|rule| rule.condition.signals().any(|(_, place)| self.scores[place]))
    }

    /// What the pattern detector shall look for.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// The tests it carries.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// What looks like a mistake and is none that stops it from working, with its place.
    pub fn warnings(&self) -> &[PolicyError] {
        &self.warnings
    }

    /// The files it was made from; empty parts of shipped policies are not files.
    pub fn sources(&self) -> &[PathBuf] {
        &self.sources
    }

    /// Every signal that its rules read of texts of this direction: what has to be looked for in them.
    pub fn reads(&self, direction: Direction) -> &BTreeSet<Arc<str>> {
        &self.reads[direction as usize]
    }

    /// Whether a rule for this direction asks for the language of a text.
    pub fn reads_language(&self, direction: Direction) -> bool {
        self.rules.iter().any(|rule| rule.is_on(direction) && rule.condition.reads("language"))
    }

    /// Whether anything may be done about texts of this direction: an enforced rule that is stronger than
    /// `review`, or a failure that closes.
    pub fn acts_on(&self, direction: Direction) -> bool {
        let acts = |rule: &Rule| self.enforces(rule) && rule.is_on(direction) && rule.action > Action::Review;
        self.rules.iter().any(acts)
    }

    /// Whether an enforced rule takes something out of texts of this direction.
    pub fn redacts(&self, direction: Direction) -> bool {
        self.redacting(direction).next().is_some()
    }

    /// The signals that enforced rules take out of texts of this direction; one may come twice.
    pub fn redacting_signals(&self, direction: Direction) -> impl Iterator<Item = &Arc<str>> {
        self.redacting(direction).flat_map(Rule::reads)
    }

    fn redacting(&self, direction: Direction) -> impl Iterator<Item = &Rule> {
        let takes_out =
            move |rule: &&Rule| self.enforces(rule) && rule.is_on(direction) && rule.action == Action::Redact;
        self.rules.iter().filter(takes_out)
    }

    /// What happens when this detector fails.
    pub fn on_failure(&self, detector: &str) -> OnFailure {
        self.failure.each.get(detector).copied().unwrap_or(self.failure.default)
    }
}
