//! The detector API of the FMS guardrails orchestrator (TrustyAI): Demur as one of its detectors.
//!
//! The orchestrator acts on every detection whose score passes its own threshold, so what is told are the decisions of
//! the policy (what it refuses and what it takes out) and each has a score of 1. There is no refusal in this API: a
//! closed guard that could not judge is an error, which the orchestrator makes one of its own.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Answer, Outcome, Partner, Problem, answered, apart, conversation, is_from, list, object, string, strings,
    wrong,
};
use crate::{
    dialect::BadBody,
    message::{Direction, Exchange, Place, Role, Segment},
    verdict::{Redaction, RuleHit},
};

/// How detections are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    /// One list with spans for each text.
    ByText,
    /// One list for all.
    Together,
}

/// A question to a detector.
#[derive(Debug)]
pub struct Detect {
    exchanges: Vec<Exchange>,
    listing: Listing,
}

impl Detect {
    /// Texts, each by itself: questions, unless `detector_params.direction` is `output`.
    ///
    /// # Errors
    /// Which field is wrong.
    pub fn contents(body: &[u8]) -> Result<Self, BadBody> {
        let body = object(body)?;
        let direction = match body.pointer("/detector_params/direction") {
            None | Some(Value::Null) => Direction::Input,
            Some(Value::String(name)) if name == "input" => Direction::Input,
            Some(Value::String(name)) if name == "output" => Direction::Output,
            other => return Err(wrong("detector_params.direction", "`input` or `output`", other)),
        };
        if !body["contents"].is_array() {
            return Err(wrong("contents", "an array of strings", body.get("contents")));
        }
        let contents = strings(&body, "contents")?;
        let exchange = |(i, text): (usize, &&str)| {
            let pointer = format!("/contents/{i}");
            let segment = Segment { pointer, ..Segment::bare(direction, *text) };
            Exchange { direction, segments: [segment].into(), context: [].into(), caller: None, media: 0 }
        };
        let exchanges = contents.iter().enumerate().map(exchange).collect();
        Ok(Self { exchanges, listing: Listing::ByText })
    }

    /// A conversation. When the model has the last word in it, that is judged as an answer to what comes before.
    ///
    /// # Errors
    /// Which field is wrong, or holds what is not judged here.
    pub fn chat(body: &[u8]) -> Result<Self, BadBody> {
        let body = object(body)?;
        let messages = list(&body, "messages")?;
        let segments = conversation(messages, list(&body, "tools")?)?;
        let last = messages.len().saturating_sub(1);
        if !messages.last().is_some_and(|message| is_from(message, "assistant")) {
            return Ok(Self { exchanges: vec![Exchange::input(segments)], listing: Listing::Together });
        }
        let (question, answer) = apart(segments, last);
        Ok(Self { exchanges: answered(question, answer), listing: Listing::Together })
    }

    /// An answer with its prompt.
    ///
    /// # Errors
    /// Which field is wrong.
    pub fn generation(body: &[u8]) -> Result<Self, BadBody> {
        let body = object(body)?;
        let prompt = Segment {
            pointer: "/prompt".to_owned(),
            ..Segment::bare(Direction::Input, string(&body, "prompt")?)
        };
        let answer = content(&body, "generated_text")?;
        Ok(Self {
            exchanges: vec![Exchange::output(vec![answer], [prompt].into())],
            listing: Listing::Together,
        })
    }

    /// A text that was written from documents, and the documents themselves: orders hidden in them are found there.
    /// What stands behind a URL is not fetched.
    ///
    /// # Errors
    /// Which field is wrong.
    pub fn document(body: &[u8]) -> Result<Self, BadBody> {
        let body = object(body)?;
        // The orchestrator sends `docs` and `url`; its specification says `document`, `chunks` and `url`.
        if !matches!(string(&body, "context_type")?, "docs" | "document" | "chunks" | "url") {
            let found = body.get("context_type");
            return Err(wrong("context_type", "`docs`, `document`, `chunks` or `url`", found));
        }
        let document = |(i, text): (usize, &&str)| Segment {
            pointer: format!("/context/{i}"),
            place: Place::Document,
            role: Role::Tool,
            direction: Direction::Input,
            text: (*text).into(),
        };
        let documents: Vec<Segment> = strings(&body, "context")?.iter().enumerate().map(document).collect();
        let answer = content(&body, "content")?;
        Ok(Self { exchanges: answered(documents, vec![answer]), listing: Listing::Together })
    }
}

fn content(body: &Value, name: &str) -> Result<Segment, BadBody> {
    Ok(Segment { pointer: format!("/{name}"), ..Segment::bare(Direction::Output, string(body, name)?) })
}

impl Partner for Detect {
    fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.clone()
    }

    fn answer(&self, outcomes: &[Outcome]) -> Answer {
        if let Some(detector) = outcomes.iter().find_map(Outcome::unjudged) {
            let message = format!("the detector `{detector}` did not judge this text; try again");
            return error(StatusCode::SERVICE_UNAVAILABLE, &message);
        }
        Answer::ok(&match self.listing {
            Listing::ByText => outcomes.iter().map(spans).collect(),
            Listing::Together => together(outcomes),
        })
    }

    fn error(problem: &Problem) -> Answer {
        let status = match problem {
            Problem::Malformed(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::UnknownPolicy(..) => StatusCode::NOT_FOUND,
        };
        error(status, &problem.to_string())
    }
}

fn error(status: StatusCode, message: &str) -> Answer {
    Answer::json(status, &json!({"code": status.as_u16(), "message": message}))
}

/// The detections in one text, with their places in characters.
fn spans(outcome: &Outcome) -> Value {
    let Some(text) = outcome.segments.first().map(|segment| &*segment.text) else { return json!([]) };
    let place = |mut detection: Value, span: std::ops::Range<usize>| {
        let found = &text[span.clone()];
        let start = text[..span.start].chars().count();
        detection["start"] = start.into();
        detection["end"] = (start + found.chars().count()).into();
        detection["text"] = found.into();
        detection
    };
    let whole = outcome.refusals().map(|hit| place(refusal(outcome, hit), 0..text.len()));
    let parts = outcome
        .redactions()
        .map(|(redaction, _)| place(redacted(outcome, redaction), redaction.span.clone()));
    whole.chain(parts).collect()
}

/// The detections in all texts, each once.
fn together(outcomes: &[Outcome]) -> Value {
    let mut detections: Vec<Value> = Vec::new();
    for outcome in outcomes {
        let refusals = outcome.refusals().map(|hit| refusal(outcome, hit));
        let redactions = outcome.redactions().map(|(redaction, _)| redacted(outcome, redaction));
        for detection in refusals.chain(redactions) {
            if !detections.contains(&detection) {
                detections.push(detection);
            }
        }
    }
    detections.into()
}

fn refusal(outcome: &Outcome, hit: &RuleHit) -> Value {
    let (kind, name) = hit.hazard.map_or(("rule", &*hit.rule), |hazard| ("hazard", hazard.as_str()));
    detection(outcome, kind, name, json!({"action": hit.action.as_str(), "rule": hit.rule}))
}

fn redacted(outcome: &Outcome, redaction: &Redaction) -> Value {
    let (kind, name) = redaction.signal.split_once('.').unwrap_or(("rule", &redaction.signal));
    detection(outcome, kind, name, json!({"action": "redact"}))
}

fn detection(outcome: &Outcome, kind: &str, name: &str, mut metadata: Value) -> Value {
    metadata["policy"] = outcome.verdict.policy.to_string().into();
    json!({"detection_type": kind, "detection": name, "score": 1.0, "metadata": metadata})
}
