//! agentgateway's guardrail webhook (`POST /request` and `POST /response`).
//!
//! Its answers are told apart by their shape alone: what is neither a mask nor a complete rejection (a number as
//! `status_code`, a string as `body`) passes. Errors are plain text, since its raw format reads every JSON object
//! without `messages` as a pass.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Outcome, Partner, Problem, list, member, not_judged, object, wrong};
use crate::{
    dialect::{BadBody, lens::Lens, role},
    message::{Direction, Exchange, Place, Role},
};

/// Whether a mask has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// The texts are replaced.
    Applied,
    /// Streams are sent on as they are unless they are rejected, so what was to be masked is.
    Ignored,
}

/// The messages of a request, or the choices of a response.
#[derive(Debug)]
pub struct Webhook {
    body: Value,
    exchange: Exchange,
    masking: Masking,
}

impl Webhook {
    /// Reads the messages on their way to the model.
    ///
    /// # Errors
    /// Which field is wrong.
    pub fn request(body: &[u8]) -> Result<Self, BadBody> {
        let body = inner(body)?;
        let mut lens = Lens::new(Direction::Input);
        for (i, message) in items(&body, "messages")?.iter().enumerate() {
            let role = message["role"].as_str().and_then(role).unwrap_or(Role::User);
            let place = if role == Role::Tool { Place::ToolResult } else { Place::Content };
            content(&mut lens, message, &format!("/messages/{i}"), role, place)?;
        }
        Ok(Self { body, exchange: Exchange::input(lens.finish()), masking: Masking::Applied })
    }

    /// Reads the choices on their way to the client.
    ///
    /// # Errors
    /// Which field is wrong.
    pub fn response(body: &[u8], masking: Masking) -> Result<Self, BadBody> {
        let body = inner(body)?;
        let mut lens = Lens::new(Direction::Output);
        for (i, choice) in items(&body, "choices")?.iter().enumerate() {
            let at = format!("/choices/{i}/message");
            let Some(message) = member(choice, "message").filter(|message| message.is_object()) else {
                return Err(wrong(&at[1..], "an object", choice.get("message")));
            };
            content(&mut lens, message, &at, Role::Assistant, Place::Content)?;
        }
        Ok(Self { body, exchange: Exchange::output(lens.finish(), [].into()), masking })
    }
}

/// The envelope's content.
fn inner(body: &[u8]) -> Result<Value, BadBody> {
    let mut body = object(body)?;
    match body.get_mut("body").map(Value::take) {
        Some(inner @ Value::Object(_)) => Ok(inner),
        other => Err(wrong("body", "an object with `messages` or `choices`", other.as_ref())),
    }
}

fn items<'a>(body: &'a Value, name: &str) -> Result<&'a [Value], BadBody> {
    if member(body, name).is_none() {
        return Err(wrong(&format!("body.{name}"), "an array", None));
    }
    list(body, name)
}

fn content(lens: &mut Lens, message: &Value, at: &str, role: Role, place: Place) -> Result<(), BadBody> {
    let pointer = format!("{at}/content");
    match message.get("content") {
        None | Some(Value::Null | Value::String(_)) => {}
        Some(Value::Array(parts)) if parts.iter().all(|part| part["text"].is_string()) => {}
        Some(Value::Array(_)) => return Err(not_judged(&pointer[1..])),
        other => return Err(wrong(&pointer[1..], "a string", other)),
    }
    lens.content(&message["content"], &pointer, role, place);
    lens.tool_calls(message, at, role);
    Ok(())
}

impl Partner for Webhook {
    fn exchanges(&self) -> Vec<Exchange> {
        vec![self.exchange.clone()]
    }

    fn answer(&self, outcomes: &[Outcome]) -> Answer {
        let Some(outcome) = outcomes.first() else { return reject(StatusCode::SERVICE_UNAVAILABLE, "", "") };
        if outcome.refused() {
            let unjudged = outcome.unjudged().is_some();
            let status = if unjudged { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::FORBIDDEN };
            return reject(status, outcome.reply(), &rules(outcome));
        }
        if outcome.masked.is_empty() {
            return Answer::ok(&json!({"action": {"reason": "no rule stops it"}}));
        }
        match outcome.written_back(&self.body, |_| self.masking == Masking::Applied) {
            Some(body) => Answer::ok(&json!({"action": {"body": body, "reason": rules(outcome)}})),
            None => reject(StatusCode::FORBIDDEN, outcome.reply(), &rules(outcome)),
        }
    }

    fn error(problem: &Problem) -> Answer {
        let body = Bytes::from(format!("{problem}\n"));
        let content_type = "text/plain; charset=utf-8";
        Answer { status: StatusCode::BAD_REQUEST, content_type, error_type: None, body }
    }
}

fn reject(status: StatusCode, reply: &str, reason: &str) -> Answer {
    Answer::ok(&json!({"action": {"body": reply, "status_code": status.as_u16(), "reason": reason}}))
}

/// The rules that acted, for the gateway's log.
fn rules(outcome: &Outcome) -> String {
    let rules: Vec<&str> = outcome.verdict.enforced().map(|hit| &*hit.rule).collect();
    rules.join(",")
}
