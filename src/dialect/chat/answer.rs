//! The answer: its texts, and refusals in its form.

use serde_json::{Value, json};

use super::super::{Lens, Refusal, choices};
use crate::message::{Place, Role};

/// Members of a message or delta that hold no text of the model's, and those that are looked at by name.
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

/// Members of a message or delta of none of the known kinds.
pub(super) fn unknown_of_message(message: &Value) -> impl Iterator<Item = (&String, &Value)> {
    message.as_object().into_iter().flatten().filter(|(key, _)| !KNOWN.contains(&key.as_str()))
}

/// Members of a choice that are no text, or looked at by name.
const OF_CHOICES: [&str; 7] =
    ["index", "message", "delta", "logprobs", "finish_reason", "stop_reason", "matched_stop"];

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
        for (key, value) in choice.as_object().into_iter().flatten() {
            if !OF_CHOICES.contains(&key.as_str()) {
                lens.every_string(value, &format!("/choices/{i}/{key}"), Role::Assistant, Place::Other);
            }
        }
        let said: String = ["content", "refusal"].iter().filter_map(|key| message[*key].as_str()).collect();
        let spelled = choices::spelled(&choice["logprobs"], &said);
        lens.text(&Value::String(spelled), format!("/choices/{i}/logprobs"), Role::Assistant, Place::Other);
    }
    for (key, value) in choices::unknown(answer) {
        lens.everything(value, &format!("/{key}"), Role::Assistant, Place::Other);
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
    choices::refusal(refusal, ("chatcmpl", "chat.completion"), |index| {
        json!({
            "index": index,
            "message": {"role": "assistant", "content": refusal.text, "refusal": refusal.text},
            "logprobs": null,
            "finish_reason": "content_filter",
        })
    })
}
