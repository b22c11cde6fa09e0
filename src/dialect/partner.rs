//! The guard behind other gateways' own APIs: one file for each format, and here what they have in common.
//!
//! Three rules hold in all of them. A closed guard that could not judge answers with the format's refusal, since an
//! error would leave the decision to a caller that may be set to fail open. What was to be redacted and can't be
//! carried back is a refusal too. And what is not judged here (images, sound, files) is turned away, never passed as
//! harmless.

pub mod agentgateway;
pub mod bedrock;
pub mod fms;
pub mod litellm;
pub mod nemo;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{BadBody, Request as Body, chat::CHAT, kind, lens};
use crate::{
    message::{Direction, Exchange, Role, Segment},
    verdict::{Action, Failure, OnFailure, Redaction, RuleHit, Verdict},
};

/// A request of another gateway: what it asks about, and how it wants to be answered.
pub trait Partner: Send + Sync {
    /// The policy that the request names, if the format has a place for it.
    fn policy(&self) -> Option<&str> {
        None
    }

    /// The model that is going to answer, for the choice of a policy.
    fn model(&self) -> &str {
        ""
    }

    /// What is judged; each by itself, and each with an outcome in the same order.
    fn exchanges(&self) -> Vec<Exchange>;

    /// The answer to the verdicts.
    fn answer(&self, outcomes: &[Outcome]) -> Answer;

    /// The answer to a request that can't be judged.
    fn error(problem: &Problem) -> Answer;
}

/// Why a request of another gateway can't be judged.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The body is none of the format.
    #[error(transparent)]
    Malformed(#[from] BadBody),
    /// The policy that it names is not loaded.
    #[error("unknown policy `{0}`; known policies: {1}")]
    UnknownPolicy(String, String),
}

/// An answer in a partner's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Its `content-type`.
    pub content_type: &'static str,
    /// The name of the error, where the format puts it into a header.
    pub error_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    fn json(status: StatusCode, body: &Value) -> Self {
        let body = Bytes::from(body.to_string());
        Self { status, content_type: "application/json", error_type: None, body }
    }

    fn ok(body: &Value) -> Self {
        Self::json(StatusCode::OK, body)
    }
}

/// A verdict with all that an answer is made of.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// What it is about.
    pub segments: Vec<Segment>,
    /// What a user would read instead; there for `redact` and `refuse`.
    pub reply: Option<String>,
    /// The texts that something was taken out of, masked, by segment.
    pub masked: BTreeMap<usize, String>,
}

impl Outcome {
    fn refused(&self) -> bool {
        self.verdict.action == Action::Refuse
    }

    /// The detector whose silence closed the exchange, when no rule refuses it anyway.
    fn unjudged(&self) -> Option<&'static str> {
        let closed = |(failure, outcome): &(Failure, OnFailure)| {
            (*outcome == OnFailure::Closed).then_some(failure.detector)
        };
        let decided = self.refusals().any(|hit| !hit.segments.is_empty());
        self.verdict.failures.iter().find_map(closed).filter(|_| self.refused() && !decided)
    }

    /// What the user reads instead of a text that is stopped.
    fn reply(&self) -> &str {
        self.reply.as_deref().unwrap_or_default()
    }

    /// The rules that refuse.
    fn refusals(&self) -> impl Iterator<Item = &RuleHit> {
        self.verdict.enforced().filter(|hit| hit.action == Action::Refuse)
    }

    /// The redactions with the texts that they are of.
    fn redactions(&self) -> impl Iterator<Item = (&Redaction, &str)> {
        self.verdict.redactions.iter().filter_map(|redaction| {
            let segment = self.segments.get(redaction.segment)?;
            Some((redaction, segment.text.get(redaction.span.clone())?))
        })
    }

    /// The masked texts by the place that they go back to.
    fn changes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.masked.iter().filter_map(|(i, text)| Some((&*self.segments.get(*i)?.pointer, &**text)))
    }

    /// Writes the masked texts into a copy of the body; nothing when a place is not one of those that the format
    /// carries back.
    fn written_back(&self, body: &Value, carried: impl Fn(&str) -> bool) -> Option<Value> {
        let mut body = body.clone();
        for (pointer, text) in self.changes() {
            if !carried(pointer) {
                return None;
            }
            lens::write(&mut body, pointer, text.to_owned());
        }
        Some(body)
    }
}

/// Reads a body that has to be a JSON object.
fn object(body: &[u8]) -> Result<Value, BadBody> {
    // The error of a syntax error names line and column and quotes nothing.
    let json: Value = serde_json::from_slice(body)
        .map_err(|error| BadBody { param: None, message: format!("the body is not valid JSON: {error}") })?;
    match json {
        Value::Object(_) => Ok(json),
        other => {
            let message = format!("the body must be a JSON object, found {}", kind(&other));
            Err(BadBody { param: None, message })
        }
    }
}

/// A member that is there: `null` counts as absent, as all these formats mean it.
fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn wrong(at: &str, expected: &str, found: Option<&Value>) -> BadBody {
    let found = found.map_or("nothing", kind);
    BadBody::at(at, format!("`{at}`: expected {expected}, found {found}"))
}

/// A member that has to be a string.
fn string<'a>(object: &'a Value, name: &str) -> Result<&'a str, BadBody> {
    let found = member(object, name);
    found.and_then(Value::as_str).ok_or_else(|| wrong(name, "a string", found))
}

/// A member that has to be a list, if it is there.
fn list<'a>(object: &'a Value, name: &str) -> Result<&'a [Value], BadBody> {
    match member(object, name) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        other => Err(wrong(name, "an array", other)),
    }
}

/// A member that has to be a list of strings, if it is there.
fn strings<'a>(object: &'a Value, name: &str) -> Result<Vec<&'a str>, BadBody> {
    let item = |(i, item): (usize, &'a Value)| {
        item.as_str().ok_or_else(|| wrong(&format!("{name}[{i}]"), "a string", Some(item)))
    };
    list(object, name)?.iter().enumerate().map(item).collect()
}

/// The texts of a conversation in OpenAI's form with its tool definitions, below `/messages` and `/tools`.
///
/// # Errors
/// It is none, or it holds something that is not judged here.
fn conversation(messages: &[Value], tools: &[Value]) -> Result<Vec<Segment>, BadBody> {
    for (i, message) in messages.iter().enumerate() {
        let parts = message.get("content").and_then(Value::as_array).into_iter().flatten();
        for (part_number, part) in parts.enumerate() {
            if !matches!(part.get("type").and_then(Value::as_str), Some("text" | "refusal")) {
                return Err(not_judged(&format!("messages[{i}].content[{part_number}]")));
            }
        }
        if member(message, "audio").is_some() {
            return Err(not_judged(&format!("messages[{i}].audio")));
        }
    }
    let body = json!({"model": "none", "messages": messages, "tools": tools}).to_string();
    Ok(Body::parse(&CHAT, Bytes::from(body))?.segments())
}

/// For what holds no text: it must not pass as if it had been judged.
fn not_judged(at: &str) -> BadBody {
    BadBody::at(
        at,
        format!("`{at}` is no text: images, sound and files are not judged here; send text alone"),
    )
}

/// The segments of a conversation apart: what message `answer` says, as an answer, and all the others.
fn apart(segments: Vec<Segment>, answer: usize) -> (Vec<Segment>, Vec<Segment>) {
    let at = format!("/messages/{answer}/");
    let (mut answer, question): (Vec<_>, Vec<_>) =
        segments.into_iter().partition(|segment| segment.pointer.starts_with(&at));
    for segment in &mut answer {
        segment.direction = Direction::Output;
        segment.role = Role::Assistant;
    }
    (question, answer)
}

/// What is judged of an answered question: the question, when it has any text, and then the answer beside it.
fn answered(question: Vec<Segment>, answer: Vec<Segment>) -> Vec<Exchange> {
    let output = Exchange::output(answer, question.clone().into());
    let input = (!question.is_empty()).then(|| Exchange::input(question));
    input.into_iter().chain([output]).collect()
}

/// Whose message it is, in OpenAI's words.
fn is_from(message: &Value, role: &str) -> bool {
    message.get("role").and_then(Value::as_str) == Some(role)
}
