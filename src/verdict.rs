//! Hazards, findings, actions and verdicts: what a guard knows and what it decides.

mod absorb;

use std::{fmt, ops::Range, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::message::Direction;

macro_rules! hazards {
    ($($variant:ident $name:literal $about:literal,)*) => {
        /// A kind of harm. The first twelve are the hazard categories of MLCommons AILuminate v1.0 in
        /// snake_case; the last four are Demur's own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Hazard { $(#[doc = $about] $variant,)* }

        impl Hazard {
            /// Every hazard, in the order of the design.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name used in policies, metrics and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One line that says what the hazard covers.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

hazards! {
    ViolentCrimes "violent_crimes" "Killing, assault, terrorism, kidnapping and other violence against people or animals.",
    NonviolentCrimes "nonviolent_crimes" "Theft, fraud, drugs, trafficking, property crime and the like.",
    SexRelatedCrimes "sex_related_crimes" "Sexual assault, harassment, trafficking.",
    ChildSexualExploitation "child_sexual_exploitation" "Sexual exploitation of minors in any form.",
    Defamation "defamation" "False statements that damage a living person's reputation.",
    SpecializedAdvice "specialized_advice" "Medical, legal, financial or electoral advice that needs a professional.",
    Privacy "privacy" "Exposing or gathering a person's non-public information.",
    IntellectualProperty "intellectual_property" "Breaking copyright, trademark or patent rights.",
    IndiscriminateWeapons "indiscriminate_weapons" "Chemical, biological, radiological, nuclear and high-yield explosive weapons.",
    Hate "hate" "Demeaning or dehumanising people for who they are.",
    SuicideSelfHarm "suicide_self_harm" "Suicide, self-injury and disordered eating.",
    SexualContent "sexual_content" "Erotic or pornographic content.",
    ElectionsMisinformation "elections_misinformation" "False claims about how, when or where people vote.",
    Cyber "cyber" "Malware, intrusion and other attacks on computers.",
    Harassment "harassment" "Threatening, bullying or stalking a person.",
    GraphicViolence "graphic_violence" "Gore and cruelty shown for its own sake.",
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Hazard {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.iter().copied().find(|h| h.as_str() == name).ok_or_else(|| UnknownName(name.into()))
    }
}

/// A name that is not in the closed list it was looked up in.
#[derive(Debug, thiserror::Error)]
#[error("unknown name `{0}`")]
pub struct UnknownName(pub String);

/// What a policy does about a text, weakest first; the strongest of all matching rules wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    #[default]
    Allow,
    /// Write it to the log and the audit trail.
    Log,
    /// Put it into the review queue.
    Review,
    /// Answer, with a notice beside the answer.
    Warn,
    /// Answer under the policy's guidance, which is added for the model.
    Steer,
    /// Take the spans that were found out of the text.
    Redact,
    /// Decline politely.
    Refuse,
}

impl Action {
    /// Every action, weakest first.
    pub const ALL: [Self; 7] =
        [Self::Allow, Self::Log, Self::Review, Self::Warn, Self::Steer, Self::Redact, Self::Refuse];

    /// The name used in policies, headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Log => "log",
            Self::Review => "review",
            Self::Warn => "warn",
            Self::Steer => "steer",
            Self::Redact => "redact",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|a| a.as_str() == name).ok_or_else(|| UnknownName(name.into()))
    }
}

/// Whether a policy or rule acts or only counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Judge and act.
    #[default]
    Enforce,
    /// Judge and count, never act.
    Shadow,
}

impl Mode {
    /// The name used in policies and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// When a streamed answer is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamMode {
    /// As it is judged, window by window: nothing unjudged is shown.
    #[default]
    Hold,
    /// When all of it is judged.
    Buffer,
    /// At once; it is judged beside, counted and logged.
    Audit,
}

impl StreamMode {
    /// Every choice, the default first.
    pub const ALL: [Self; 3] = [Self::Hold, Self::Buffer, Self::Audit];

    /// The name used in policies and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Buffer => "buffer",
            Self::Audit => "audit",
        }
    }
}

/// When the model is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputMode {
    /// When the question is judged.
    #[default]
    Before,
    /// At once; nothing of the answer is shown before the question is judged.
    Beside,
}

impl InputMode {
    /// Every choice, the default first.
    pub const ALL: [Self; 2] = [Self::Before, Self::Beside];

    /// The name used in policies and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Beside => "beside",
        }
    }
}

/// What becomes of images, audio and files in a request, which no detector reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaMode {
    /// They go to the model, counted as unjudged.
    #[default]
    Pass,
    /// The request is refused.
    Refuse,
    /// They are taken out of the request.
    Strip,
}

impl MediaMode {
    /// Every choice, the default first.
    pub const ALL: [Self; 3] = [Self::Pass, Self::Refuse, Self::Strip];

    /// The name used in policies and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Refuse => "refuse",
            Self::Strip => "strip",
        }
    }
}

/// What happens to a text when a detector failed to judge it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Let it through, marked as unprotected.
    Open,
    /// Refuse it.
    #[default]
    Closed,
}

impl OnFailure {
    /// The name used in policies and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// How a condition reads a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// A probability from 0 to 1: the highest finding in the segment, 0 when there is none.
    Score,
    /// A whole number: how many findings the segment has.
    Count,
}

/// A signal that some detector can raise, as policies, `demur policy explain` and the documentation list it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct SignalInfo {
    /// Its full name, such as `pii.credit_card` or `guard.harm`.
    pub name: Arc<str>,
    /// How conditions read it.
    pub kind: SignalKind,
    /// The detector that raises it.
    pub detector: &'static str,
    /// The hazard it speaks of, where there is one.
    pub hazard: Option<Hazard>,
    /// One line of explanation.
    pub about: Arc<str>,
}

/// Something a detector saw in a segment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The signal's full name.
    pub signal: Arc<str>,
    /// The detector that saw it.
    pub detector: &'static str,
    /// How sure the detector is, from 0 to 1; validated matches are 1.
    pub score: f32,
    /// Which segment of the exchange, counted from 0.
    pub segment: usize,
    /// Where in that segment's original text, in bytes; `None` when it is about the whole text.
    pub span: Option<Range<usize>>,
}

/// Why a detector gave no findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// It missed its deadline.
    Late,
    /// Its queue was full.
    Overloaded,
    /// It gave an error or panicked.
    Error,
}

impl FailureReason {
    /// The name used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Overloaded => "overloaded",
            Self::Error => "error",
        }
    }
}

/// A detector that did not judge: a finding in its own right, never silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The detector.
    pub detector: &'static str,
    /// Why.
    pub reason: FailureReason,
}

/// A policy's name and the hash of everything it was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PolicyId {
    /// The policy's own name.
    pub name: Arc<str>,
    /// The first 12 hex digits of the SHA-256 of its sources.
    pub hash: Arc<str>,
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.hash)
    }
}

/// Whether a notice stands before or after the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeAt {
    /// Before the answer.
    Before,
    /// After the answer.
    #[default]
    After,
}

/// A rule that matched, with all that is needed to act on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleHit {
    /// The rule's id.
    pub rule: Arc<str>,
    /// What the rule does.
    pub action: Action,
    /// Whether it acts or only counts.
    pub mode: Mode,
    /// The hazard the rule is about.
    pub hazard: Option<Hazard>,
    /// The segments in which it matched.
    pub segments: Vec<usize>,
    /// The reply template of a refusal, when the rule names one.
    pub reply: Option<Arc<str>>,
    /// The notice template of a warning.
    pub notice: Option<Arc<str>>,
    /// Where that notice stands.
    pub notice_at: NoticeAt,
    /// The guidance that a steering rule adds for the model.
    pub guidance: Option<Arc<str>>,
}

/// A span to take out of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Redaction {
    /// Which segment of the exchange.
    pub segment: usize,
    /// Where in its original text, in bytes.
    pub span: Range<usize>,
    /// The signal that was found there; its last part names the placeholder.
    pub signal: Arc<str>,
    /// Whether the original comes back in the answer.
    pub restore: bool,
}

/// How much of an exchange was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Characters that were seen.
    pub characters: usize,
    /// Characters that every detector of the policy judged.
    pub judged: usize,
    /// Images, audio and files that go on although no detector reads them.
    pub media: usize,
}

/// What a policy decided about an exchange.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Which way the judged texts travel.
    pub direction: Direction,
    /// The policy that decided.
    pub policy: PolicyId,
    /// Whether the policy acts or only counts.
    pub mode: Mode,
    /// The strongest action of the enforced rules: what is done.
    pub action: Action,
    /// The strongest action of all rules, shadowed ones included: what would have been done.
    pub would: Action,
    /// Every rule that matched, strongest first, then in the order of the file.
    pub hits: Vec<RuleHit>,
    /// What enforced rules take out of the texts, in order of place, without overlap.
    pub redactions: Vec<Redaction>,
    /// Everything the detectors saw.
    pub findings: Vec<Finding>,
    /// Detectors that did not judge, with what the policy says about each.
    pub failures: Vec<(Failure, OnFailure)>,
    /// How much was judged.
    pub coverage: Coverage,
}

impl Verdict {
    /// The enforced rules that matched, strongest first.
    pub fn enforced(&self) -> impl Iterator<Item = &RuleHit> {
        self.hits.iter().filter(|hit| hit.mode == Mode::Enforce)
    }

    /// The enforced rule that decided: the first of the strongest action.
    pub fn decided_by(&self) -> Option<&RuleHit> {
        self.enforced().find(|hit| hit.action == self.action)
    }

    /// The hazards of all rules that matched, each once, in the order of the hits.
    pub fn hazards(&self) -> Vec<Hazard> {
        let mut hazards = Vec::new();
        for hazard in self.hits.iter().filter_map(|hit| hit.hazard) {
            if !hazards.contains(&hazard) {
                hazards.push(hazard);
            }
        }
        hazards
    }

    /// Whether what was judged goes on as it is: nothing is taken out, and no guidance is added.
    pub fn leaves_as_is(&self) -> bool {
        self.redactions.is_empty() && !self.enforced().any(|hit| hit.action == Action::Steer)
    }

    /// Failed detectors that the policy let through.
    pub fn unprotected(&self) -> impl Iterator<Item = &Failure> {
        self.failures.iter().filter(|(_, outcome)| *outcome == OnFailure::Open).map(|(failure, _)| failure)
    }
}
