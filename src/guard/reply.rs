//! What the user reads: replies that decline politely and notices beside an answer, in the user's language.
//!
//! The texts are `policies/replies/<language>.yaml` and `policies/replies/helplines.yaml`; they are part of
//! the binary, and a directory of such files replaces them key by key.

mod error;
mod file;
mod helplines;
mod language;
mod texts;

use crate::{
    message::Direction,
    verdict::{Hazard, NoticeAt, OnFailure, Verdict},
};
pub use error::{RepliesError, Spot};
pub use language::region_of;
pub use texts::Replies;

/// The reply when nothing more fitting is known.
pub const GENERIC: &str = "generic";
/// The reply when it was the answer, not the question, that was stopped.
pub const OUTPUT: &str = "output";
/// The reply when a guard could not run and the policy is closed.
pub const UNAVAILABLE: &str = "unavailable";
/// The notice when the one that was asked for is unknown.
pub const GENERAL: &str = "general";

/// Replies beside those that are named after the hazards.
const MORE_REPLIES: [&str; 9] =
    ["jailbreak", "injection", "crisis", "secret", "personal-data", "media", UNAVAILABLE, OUTPUT, GENERIC];

/// The notices.
const NOTICES: [&str; 8] = [
    "not-a-doctor",
    "not-a-lawyer",
    "not-financial-advice",
    "sensitive-topic",
    "check-facts",
    "support",
    "redacted",
    GENERAL,
];

/// Every built-in reply name.
fn reply_names() -> Vec<&'static str> {
    Hazard::ALL.iter().map(|hazard| hazard.as_str()).chain(MORE_REPLIES).collect()
}

/// What a user reads instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The text.
    pub text: String,
    /// The name of the reply it was made from.
    pub reply: String,
    /// The tag of the language it is written in, such as `de`.
    pub language: String,
}

/// The text for a refused exchange, in the user's language.
///
/// The reply is the one that the deciding rule names; else, for an answer, `output`; else the rule's hazard;
/// else `generic`. A refusal that no rule decided comes from a guard that could not run: `unavailable`. An
/// answer about suicide or self-harm keeps its hazard's reply, for the help lines in it.
pub fn compose(verdict: &Verdict, replies: &Replies, language: &str, region: Option<&str>) -> Refusal {
    replies.refusal(reply_for(verdict), language, region)
}

fn reply_for(verdict: &Verdict) -> &str {
    let Some(rule) = verdict.decided_by() else {
        let closed = verdict.failures.iter().any(|(_, outcome)| *outcome == OnFailure::Closed);
        return if closed { UNAVAILABLE } else { GENERIC };
    };
    match (&rule.reply, verdict.direction, rule.hazard) {
        (Some(reply), _, _) => reply,
        (None, _, Some(Hazard::SuicideSelfHarm)) => Hazard::SuicideSelfHarm.as_str(),
        (None, Direction::Output, _) => OUTPUT,
        (None, Direction::Input, Some(hazard)) => hazard.as_str(),
        (None, Direction::Input, None) => GENERIC,
    }
}

/// What stands between an answer and a notice.
pub const BLANK_LINE: &str = "\n\n";

/// Puts a notice beside an answer, a blank line between; an answer without text becomes the notice.
pub fn place_notice(text: &str, notice: &str, at: NoticeAt) -> String {
    if text.is_empty() {
        return notice.to_owned();
    }
    match at {
        NoticeAt::Before => format!("{notice}{BLANK_LINE}{text}"),
        NoticeAt::After => format!("{text}{BLANK_LINE}{notice}"),
    }
}

#[cfg(test)]
mod tests;
