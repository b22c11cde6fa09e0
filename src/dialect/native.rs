//! Demur's own wire format: the verdict as JSON (the `demur` block and `POST /v1/guard/check`), and the headers
//! on every guarded answer.

use std::{collections::BTreeSet, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    message::{Direction, Segment},
    verdict::{Action, Coverage, Verdict},
};

/// What was decided.
pub const VERDICT: HeaderName = HeaderName::from_static("x-demur-verdict");

/// The policy that decided.
pub const POLICY: HeaderName = HeaderName::from_static("x-demur-policy");

/// What `x-demur-unprotected` calls images, audio and files that went on unjudged.
const MEDIA: &str = "media";

/// A verdict on the wire. It names places and kinds, never the text that was judged.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct VerdictBody {
    /// Which way the judged texts travel: `input` or `output`.
    pub direction: &'static str,
    /// What was decided: `allow log review warn steer redact refuse`.
    pub action: &'static str,
    /// What would have been decided with every shadowed rule enforced.
    pub would: &'static str,
    /// The policy, as `name@hash`.
    pub policy: String,
    /// The rules that matched, strongest first.
    pub rules: Vec<RuleBody>,
    /// The hazards of those rules.
    pub hazards: Vec<&'static str>,
    /// What the detectors saw.
    pub findings: Vec<FindingBody>,
    /// Detectors that did not judge.
    pub failures: Vec<FailureBody>,
    /// How much was judged.
    pub coverage: CoverageBody,
}

/// How much of an exchange was judged.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CoverageBody {
    /// Characters of text that were seen.
    pub characters: usize,
    /// Characters that every detector of the policy judged.
    pub judged: usize,
    /// Images, audio and files that went on although no detector reads them.
    pub media: usize,
}

/// A rule that matched.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleBody {
    /// The rule's id.
    pub id: String,
    /// What it does.
    pub action: &'static str,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// Its hazard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hazard: Option<&'static str>,
}

/// Something a detector saw.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FindingBody {
    /// The signal, such as `pii.credit_card`.
    pub signal: String,
    /// The detector.
    pub detector: &'static str,
    /// From 0 to 1.
    pub score: f32,
    /// Where the text stands in the body, as a JSON pointer; empty for a bare text.
    pub pointer: String,
    /// The first byte of the match in that text (UTF-8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<usize>,
    /// The byte after its last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<usize>,
}

/// A detector that did not judge.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FailureBody {
    /// The detector.
    pub detector: &'static str,
    /// `late`, `overloaded` or `error`.
    pub reason: &'static str,
    /// What the policy did then: `open` or `closed`.
    pub outcome: &'static str,
}

impl VerdictBody {
    /// The verdict over these segments.
    pub fn new(verdict: &Verdict, segments: &[Segment]) -> Self {
        Self {
            direction: verdict.direction.as_str(),
            action: verdict.action.as_str(),
            would: verdict.would.as_str(),
            policy: verdict.policy.to_string(),
            rules: (verdict.hits.iter())
                .map(|hit| RuleBody {
                    id: hit.rule.to_string(),
                    action: hit.action.as_str(),
                    mode: hit.mode.as_str(),
                    hazard: hit.hazard.map(|hazard| hazard.as_str()),
                })
                .collect(),
            hazards: verdict.hazards().into_iter().map(|hazard| hazard.as_str()).collect(),
            findings: (verdict.findings.iter())
                .map(|finding| FindingBody {
                    signal: finding.signal.to_string(),
                    detector: finding.detector,
                    score: finding.score,
                    pointer: segments.get(finding.segment).map(|s| s.pointer.clone()).unwrap_or_default(),
                    start: finding.span.as_ref().map(|span| span.start),
                    end: finding.span.as_ref().map(|span| span.end),
                })
                .collect(),
            failures: (verdict.failures.iter())
                .map(|(failure, outcome)| FailureBody {
                    detector: failure.detector,
                    reason: failure.reason.as_str(),
                    outcome: outcome.as_str(),
                })
                .collect(),
            coverage: {
                let Coverage { characters, judged, media } = verdict.coverage;
                CoverageBody { characters, judged, media }
            },
        }
    }
}

/// The body of `POST /v1/guard/check`: exactly one of `text` and `messages`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// One text to judge.
    pub text: Option<String>,
    /// What `text` answers, when it is a model's answer.
    pub context: Option<String>,
    /// Which way `text` travels; `input` unless `context` is given.
    #[schema(value_type = Option<String>)]
    pub direction: Option<Direction>,
    /// A whole conversation in OpenAI's form, judged as input.
    #[schema(value_type = Option<Vec<Object>>)]
    pub messages: Option<serde_json::Value>,
    /// The policy to judge by, by name; the caller's own when absent.
    pub policy: Option<String>,
    /// The language of the reply (ISO 639-1); that of the text when absent.
    pub language: Option<String>,
}

/// The answer of `POST /v1/guard/check`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CheckResponse {
    /// The verdict.
    pub verdict: VerdictBody,
    /// For `refuse`: what the user would read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// For `redact`: the text with its findings masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted: Option<String>,
    /// For `warn`: the notices that would stand beside the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// The verdict headers, from what was judged (input first, then output).
pub fn headers(verdicts: &[&Verdict], took: Duration) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let action = verdicts.iter().map(|verdict| verdict.action).max().unwrap_or(Action::Allow);
    headers.insert(VERDICT, HeaderValue::from_static(action.as_str()));
    if let Some(verdict) = verdicts.first() {
        set(&mut headers, POLICY, &verdict.policy.to_string());
    }
    let rules = join(verdicts.iter().flat_map(|v| v.hits.iter().map(|hit| hit.rule.to_string())));
    let hazards = join(verdicts.iter().flat_map(|v| v.hazards()).map(|hazard| hazard.to_string()));
    let detectors = verdicts.iter().flat_map(|v| v.unprotected()).map(|failure| failure.detector);
    let media = verdicts.iter().filter(|v| v.coverage.media > 0).map(|_| MEDIA);
    let unprotected = join(detectors.chain(media).map(str::to_owned));
    for (name, value) in
        [("x-demur-rules", rules), ("x-demur-hazards", hazards), ("x-demur-unprotected", unprotected)]
    {
        if !value.is_empty() {
            set(&mut headers, HeaderName::from_static(name), &value);
        }
    }
    // Whole numbers are written faster than fractions.
    let ms = format!("{}.{:03}", took.as_millis(), took.subsec_micros() % 1000);
    set(&mut headers, HeaderName::from_static("x-demur-guard-ms"), &ms);
    headers
}

fn join(names: impl Iterator<Item = String>) -> String {
    let mut seen = BTreeSet::new();
    let once: Vec<String> = names.filter(|name| seen.insert(name.clone())).collect();
    once.join(",")
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Names of rules and policies are checked to be header-safe when they are compiled.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
