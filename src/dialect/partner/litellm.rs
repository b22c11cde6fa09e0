//! LiteLLM's generic guardrail API (`POST /beta/litellm_basic_guardrail_api`).
//!
//! LiteLLM takes a missing `action` for "nothing found", and any status but 200 for a guardrail that failed, which it
//! lets through where it is told to. So every body gets a 200 with an `action`, one that can't be read `BLOCKED`.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Value, json};

use super::{
    Answer, Outcome, Partner, Problem, conversation, list, member, not_judged, object, strings, wrong,
};
use crate::{
    dialect::{BadBody, lens::Lens},
    message::{Direction, Exchange, Place, Role, Segment},
};

/// One request to LiteLLM, or one answer of it.
#[derive(Debug)]
pub struct BasicGuardrail {
    body: Value,
    exchange: Exchange,
}

impl BasicGuardrail {
    /// Reads a body.
    ///
    /// # Errors
    /// Which field is wrong, or holds what is not judged here.
    pub fn parse(body: &[u8]) -> Result<Self, BadBody> {
        let body = object(body)?;
        let direction = match body["input_type"].as_str() {
            Some("request") => Direction::Input,
            Some("response") => Direction::Output,
            _ => return Err(wrong("input_type", "`request` or `response`", member(&body, "input_type"))),
        };
        if !list(&body, "images")?.is_empty() {
            return Err(not_judged("images"));
        }
        let texts = strings(&body, "texts")?;
        let spoken = match list(&body, "structured_messages")? {
            [] => Vec::new(),
            messages => below(conversation(messages, &[])?, "/structured_messages"),
        };
        let exchange = match direction {
            Direction::Input => Exchange::input(question(&body, &texts, &spoken)),
            Direction::Output => Exchange::output(answer(&body, &texts), spoken.into()),
        };
        Ok(Self { body, exchange })
    }
}

/// Moves pointers from `/messages` to where the conversation stands here.
fn below(mut segments: Vec<Segment>, at: &str) -> Vec<Segment> {
    for segment in &mut segments {
        if let Some(rest) = segment.pointer.strip_prefix("/messages") {
            segment.pointer = format!("{at}{rest}");
        }
    }
    segments
}

/// All texts of a request, each once: the plain ones with the roles that the messages tell, then what stands in the
/// messages and the tool calls alone, then the tools.
fn question(body: &Value, texts: &[&str], spoken: &[Segment]) -> Vec<Segment> {
    let mut by_text: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (i, segment) in spoken.iter().enumerate() {
        if matches!(segment.place, Place::Content | Place::ToolResult) {
            by_text.entry(&*segment.text).or_default().push_back(i);
        }
    }
    let mut used = HashSet::new();
    let mut segments = Vec::new();
    for (i, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        let pointer = format!("/texts/{i}");
        segments.push(match by_text.get_mut(text).and_then(VecDeque::pop_front) {
            Some(found) => {
                used.insert(found);
                Segment { pointer, ..spoken[found].clone() }
            }
            // Nobody says whose it is: the most is asked of a user's text.
            None => Segment { pointer, ..Segment::bare(Direction::Input, *text) },
        });
    }
    let rest =
        spoken.iter().enumerate().filter(|(i, _)| !used.contains(i)).map(|(_, segment)| segment.clone());
    segments.extend(rest);
    let known: HashSet<_> =
        segments.iter().filter(|s| s.place == Place::ToolCall).map(|s| s.text.clone()).collect();
    let mut lens = Lens::new(Direction::Input);
    lens.tool_calls(body, "", Role::Assistant);
    segments.extend(lens.finish().into_iter().filter(|call| !known.contains(&call.text)));
    let mut lens = Lens::new(Direction::Input);
    lens.every_string(&body["tools"], "/tools", Role::Developer, Place::ToolDefinition);
    segments.extend(lens.finish());
    segments
}

/// All texts of a response.
fn answer(body: &Value, texts: &[&str]) -> Vec<Segment> {
    let mut lens = Lens::new(Direction::Output);
    for (i, _) in texts.iter().enumerate() {
        lens.text(&body["texts"][i], format!("/texts/{i}"), Role::Assistant, Place::Content);
    }
    lens.tool_calls(body, "", Role::Assistant);
    lens.finish()
}

impl Partner for BasicGuardrail {
    fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    fn exchanges(&self) -> Vec<Exchange> {
        vec![self.exchange.clone()]
    }

    fn answer(&self, outcomes: &[Outcome]) -> Answer {
        let Some(outcome) = outcomes.first() else { return blocked("nothing was judged") };
        if outcome.refused() {
            return blocked(outcome.reply());
        }
        if outcome.masked.is_empty() {
            return Answer::ok(&json!({"action": "NONE"}));
        }
        // LiteLLM takes back texts and tools, and no tool calls.
        let carried = |pointer: &str| pointer.starts_with("/texts/") || pointer.starts_with("/tools/");
        let Some(mut body) = outcome.written_back(&self.body, carried) else {
            return blocked(outcome.reply());
        };
        let mut answer = json!({"action": "GUARDRAIL_INTERVENED", "texts": body["texts"].take()});
        if outcome.changes().any(|(pointer, _)| pointer.starts_with("/tools/")) {
            answer["tools"] = body["tools"].take();
        }
        Answer::ok(&answer)
    }

    fn error(problem: &Problem) -> Answer {
        blocked(&problem.to_string())
    }
}

fn blocked(reason: &str) -> Answer {
    Answer::ok(&json!({"action": "BLOCKED", "blocked_reason": reason}))
}
