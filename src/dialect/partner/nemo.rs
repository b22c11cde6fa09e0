//! NeMo Guardrails' check without a model (`POST /v1/checks`): a conversation, of which the last question or the last
//! answer comes back.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Answer, Outcome, Partner, Problem, answered, apart, conversation, is_from, list, member, object, strings,
    wrong,
};
use crate::{
    dialect::{BadBody, lens::Lens},
    message::{Direction, Exchange, Place, Role, Segment},
};

/// A request for a check.
#[derive(Debug)]
pub struct Check {
    body: Value,
    policy: Option<String>,
    exchanges: Vec<Exchange>,
    /// The message that comes back.
    about: usize,
}

impl Check {
    /// Reads a body.
    ///
    /// # Errors
    /// Which field is wrong, or holds what is not judged here.
    pub fn parse(body: &[u8]) -> Result<Self, BadBody> {
        let body = object(body)?;
        let messages = list(&body, "messages")?;
        let Some(last) = messages.len().checked_sub(1) else {
            return Err(BadBody::at("messages", "`messages` must be non-empty"));
        };
        let segments = segments(&body, messages)?;
        let of = |role| messages.iter().rposition(|message| is_from(message, role));
        let (questions, answers) = rails(&body, of("assistant").is_some(), of("user").is_some())?;
        let (exchanges, about) = match of("assistant").filter(|_| answers) {
            None if answers => {
                return Err(BadBody::at(
                    "messages",
                    "`messages` holds no assistant message for the output rails",
                ));
            }
            None => (vec![Exchange::input(segments)], of("user").unwrap_or(last)),
            Some(said) => {
                let (question, answer) = apart(segments, said);
                let mut exchanges = answered(question, answer);
                if !questions {
                    exchanges = exchanges.split_off(exchanges.len() - 1);
                }
                (exchanges, said)
            }
        };
        Ok(Self { policy: policy(&body)?, exchanges, about, body })
    }

    /// The words of the message that comes back.
    fn words(&self, body: &Value) -> String {
        match &body["messages"][self.about]["content"] {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            _ => String::new(),
        }
    }

    fn result(&self, outcome: &Outcome) -> Answer {
        let rule = outcome.verdict.decided_by().map_or("guard", |hit| &*hit.rule);
        Answer::ok(&json!({"status": "blocked", "content": outcome.reply(), "rail": rule}))
    }
}

/// The texts of the conversation, its context variables among them.
fn segments(body: &Value, messages: &[Value]) -> Result<Vec<Segment>, BadBody> {
    let mut lens = Lens::new(Direction::Input);
    let mut messages = messages.to_vec();
    for (i, message) in messages.iter_mut().enumerate().filter(|(_, message)| is_from(message, "context")) {
        let pointer = format!("/messages/{i}/content");
        lens.every_string(&message["content"], &pointer, Role::Tool, Place::Document);
        // Keeps the place of those after it.
        *message = json!({"role": "system", "content": null});
    }
    if let Some(context) = body.pointer("/guardrails/context") {
        lens.every_string(context, "/guardrails/context", Role::Tool, Place::Document);
    }
    let mut segments = lens.finish();
    segments.extend(conversation(&messages, list(body, "tools")?)?);
    Ok(segments)
}

/// Whether questions and answers are judged: as asked for, else by who speaks.
fn rails(body: &Value, assistant: bool, user: bool) -> Result<(bool, bool), BadBody> {
    let guardrails = member(body, "guardrails").unwrap_or(&Value::Null);
    let kinds: BTreeSet<&str> = strings(guardrails, "rail_types")?.into_iter().collect();
    if kinds.is_empty() {
        return Ok((user || !assistant, assistant));
    }
    if kinds.iter().any(|kind| !matches!(*kind, "input" | "output" | "tool_input" | "tool_output")) {
        let message = "`guardrails.rail_types` may hold `input`, `output`, `tool_input` and `tool_output`";
        return Err(BadBody::at("guardrails.rail_types", message));
    }
    // Results of tools travel to the model, and it is the model that calls them.
    let any = |names: [&str; 2]| names.iter().any(|name| kinds.contains(name));
    Ok((any(["input", "tool_input"]), any(["output", "tool_output"])))
}

/// The configuration that the request names: one policy.
fn policy(body: &Value) -> Result<Option<String>, BadBody> {
    let Some(guardrails) = member(body, "guardrails") else { return Ok(None) };
    match (member(guardrails, "config_id"), &*strings(guardrails, "config_ids")?) {
        (None, []) => Ok(None),
        (None, [id]) => Ok(Some((*id).to_owned())),
        (None, _) => Err(BadBody::at("guardrails.config_ids", "one policy judges at a time; name one")),
        (Some(Value::String(id)), []) => Ok(Some(id.clone())),
        (Some(Value::String(_)), _) => {
            let message = "only one of `config_id` and `config_ids` is expected";
            Err(BadBody::at("guardrails.config_id", message))
        }
        (other, _) => Err(wrong("guardrails.config_id", "a string", other)),
    }
}

impl Partner for Check {
    fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.clone()
    }

    fn answer(&self, outcomes: &[Outcome]) -> Answer {
        if let Some(refused) = outcomes.iter().find(|outcome| outcome.refused()) {
            return self.result(refused);
        }
        let carried = format!("/messages/{}/content", self.about);
        let mut body = self.body.clone();
        for outcome in outcomes {
            match outcome.written_back(&body, |pointer| pointer.starts_with(&carried)) {
                Some(changed) => body = changed,
                None => return self.result(outcome),
            }
        }
        let changed = outcomes.iter().any(|outcome| !outcome.masked.is_empty());
        let status = if changed { "modified" } else { "passed" };
        Answer::ok(&json!({"status": status, "content": self.words(&body)}))
    }

    fn error(problem: &Problem) -> Answer {
        Answer::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({"detail": problem.to_string()}))
    }
}

/// The answer of `GET /v1/rails/configs`: the policies by name.
pub fn configs<'a>(policies: impl Iterator<Item = &'a str>) -> Value {
    policies.map(|name| json!({"id": name})).collect()
}
