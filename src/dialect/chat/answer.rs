//! The answer: its texts, and refusals in its form.

use serde_json::{Value, json};

use super::super::{Lens, Refusal};
use crate::message::{Place, Role};

/// Members of an answer that hold no text of the model's, as OpenAI and those who follow it name them.
const NO_TEXT: [&str; 10] = [
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "system_fingerprint",
    "service_tier",
    "moderation",
    "demur",
];

/// The same of a message or delta, and those that are looked at by name.
const KNOWN: [&str; 9] = [
    "role",
    "content",
    "refusal",
    "reasoning_content",
    "reasoning",
    "tool_calls",
    "function_call",
    "audio",
    "annotations",
];

/// Members beside the choices that are of none of the known kinds: what a client sees of them is judged.
pub(super) fn unknown(answer: &Value) -> impl Iterator<Item = (&String, &Value)> {
    answer.as_object().into_iter().flatten().filter(|(key, _)| !NO_TEXT.contains(&key.as_str()))
}

/// Members of a message or delta of none of the known kinds.
pub(super) fn unknown_of_message(message: &Value) -> impl Iterator<Item = (&String, &Value)> {
    message.as_object().into_iter().flatten().filter(|(key, _)| !KNOWN.contains(&key.as_str()))
}

/// Every text of the answer that the client sees, in all choices.
pub(super) fn texts(answer: &Value, lens: &mut Lens) {
    let choices = answer["choices"].as_array().into_iter().flatten();
    for (i, choice) in choices.enumerate() {
        let message = &choice["message"];
        let at = format!("/choices/{i}/message");
        lens.content(&message["content"], &format!("{at}/content"), Role::Assistant, Place::Content);
        lens.member(message, "refusal", &at, Role::Assistant, Place::Refusal);
        for key in ["reasoning_content", "reasoning"] {
            lens.member(message, key, &at, Role::Assistant, Place::Reasoning);
        }
        if let Some(audio) = message.get("audio") {
            lens.member(audio, "transcript", &format!("{at}/audio"), Role::Assistant, Place::Content);
        }
        if let Some(annotations) = message.get("annotations") {
            lens.every_string(annotations, &format!("{at}/annotations"), Role::Assistant, Place::Other);
        }
        lens.tool_calls(message, &at, Role::Assistant);
        for (key, value) in unknown_of_message(message) {
            lens.every_string(value, &format!("{at}/{key}"), Role::Assistant, Place::Other);
        }
        let said: String = ["content", "refusal"].iter().filter_map(|key| message[*key].as_str()).collect();
        let spelled = spelled(&choice["logprobs"], &said);
        lens.text(&Value::String(spelled), format!("/choices/{i}/logprobs"), Role::Assistant, Place::Other);
    }
    for (key, value) in unknown(answer) {
        lens.every_string(value, &format!("/{key}"), Role::Assistant, Place::Other);
    }
}

/// What token log-probabilities spell beside `said`: the tokens, unless they are those of the text, and the
/// alternatives to each.
pub(in super::super) fn spelled(logprobs: &Value, said: &str) -> String {
    let (mut tokens, mut alternatives) = (String::new(), String::new());
    let listed = ["content", "refusal"].iter().filter_map(|key| logprobs[*key].as_array()).flatten();
    for token in listed {
        let own = token["token"].as_str().unwrap_or_default();
        tokens.push_str(own);
        for other in token["top_logprobs"].as_array().into_iter().flatten() {
            if let Some(other) = other["token"].as_str().filter(|other| *other != own) {
                alternatives.push(' ');
                alternatives.push_str(other.trim());
            }
        }
    }
    if tokens == said { alternatives.trim_start().to_owned() } else { tokens + &alternatives }
}

/// The token log-probabilities of a choice would still spell its old text, so they go.
pub(super) fn forget_spelling(answer: &mut Value, pointer: &str) {
    let choice = pointer.split('/').nth(2).and_then(|i| answer.pointer_mut(&format!("/choices/{i}")));
    if let Some(logprobs) = choice.and_then(|choice| choice.get_mut("logprobs")) {
        *logprobs = Value::Null;
    }
}

/// The string content of every choice.
pub(super) fn visible(answer: &Value) -> Vec<String> {
    let choices = answer["choices"].as_array().into_iter().flatten().enumerate();
    let worded = choices.filter(|(_, choice)| choice["message"]["content"].is_string());
    worded.map(|(i, _)| format!("/choices/{i}/message/content")).collect()
}

pub(super) fn declined(answer: &Value) -> bool {
    answer["choices"].as_array().into_iter().flatten().any(|choice| {
        choice["message"]["refusal"].as_str().is_some_and(|text| !text.is_empty())
            || choice["finish_reason"] == "content_filter"
    })
}

/// HTTP 200, the text in `content` and in `refusal`, `finish_reason: "content_filter"` for each of the choices.
pub(super) fn refusal(refusal: &Refusal<'_>) -> Value {
    let Refusal { text, id, created, asked, instead, .. } = *refusal;
    let said = |answer: &Value| answer["choices"].as_array().map(Vec::len);
    let n = instead.and_then(said).unwrap_or(asked.n).max(1);
    let choice = |index: usize| {
        json!({
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": text},
            "logprobs": null,
            "finish_reason": "content_filter",
        })
    };
    let mut json = json!({
        "id": format!("chatcmpl-{id}"),
        "object": "chat.completion",
        "created": created,
        "model": asked.model,
        "choices": (0..n).map(choice).collect::<Vec<_>>(),
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    });
    for key in ["id", "created", "model", "usage"] {
        if let Some(value) = instead.and_then(|answer| answer.get(key)).filter(|value| !value.is_null()) {
            json[key] = value.clone();
        }
    }
    json
}
