//! What a verdict means for the person: the reply to a refusal, the redacted text, the notices.

use super::{
    Judged,
    redact::mask,
    reply::{Replies, compose},
};
use crate::verdict::{Action, Redaction};

/// What a user would see of a verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// For `refuse`: the reply.
    pub reply: Option<String>,
    /// For `redact`: the first redacted text, masked.
    pub redacted: Option<String>,
    /// For `warn`: the notices, each once.
    pub notices: Vec<String>,
}

impl Advice {
    /// The advice on a verdict, in a language (ISO 639-1), with help lines of a region (ISO 3166).
    pub fn new(judged: &Judged, replies: &Replies, language: &str, region: Option<&str>) -> Self {
        let verdict = &judged.verdict;
        if verdict.action == Action::Refuse {
            let reply = compose(verdict, replies, language, region).text;
            return Self { reply: Some(reply), ..Self::default() };
        }
        let mut notices = Vec::new();
        for hit in verdict.enforced().filter(|hit| hit.action == Action::Warn) {
            let text = replies.notice(hit.notice.as_deref().unwrap_or("general"), language, region);
            if !notices.contains(&text) {
                notices.push(text);
            }
        }
        Self { reply: None, redacted: redacted(judged), notices }
    }
}

fn redacted(judged: &Judged) -> Option<String> {
    let segment = judged.verdict.redactions.first()?.segment;
    let of_segment: Vec<&Redaction> =
        judged.verdict.redactions.iter().filter(|r| r.segment == segment).collect();
    let text = &judged.segments().get(segment)?.text;
    Some(mask(text, &of_segment))
}
