//! The answer: its texts, and refusals in its form.

use serde_json::{Value, json};

use super::{
    super::{Lens, Refusal, choices},
    OBJECT,
};
use crate::message::{Place, Role};

/// Members of a choice that hold no text of the model's, and those that are looked at by name.
const KNOWN: [&str; 4] = ["text", "index", "logprobs", "finish_reason"];

/// Members of a choice of none of the known kinds.
pub(super) fn unknown(choice: &Value) -> impl Iterator<Item = (&String, &Value)> {
    choice.as_object().into_iter().flatten().filter(|(key, _)| !KNOWN.contains(&key.as_str()))
}

/// Every text of the answer that the client sees, in all choices.
pub(super) fn texts(answer: &Value, lens: &mut Lens) {
    for (i, choice) in answer["choices"].as_array().into_iter().flatten().enumerate() {
        let at = format!("/choices/{i}");
        lens.member(choice, "text", &at, Role::Assistant, Place::Content);
        for (key, value) in unknown(choice) {
            lens.every_string(value, &format!("{at}/{key}"), Role::Assistant, Place::Other);
        }
        let spelled = choices::spelled(&choice["logprobs"], choice["text"].as_str().unwrap_or_default());
        lens.push(&spelled, format!("{at}/logprobs"), Role::Assistant, Place::Other);
    }
    for (key, value) in choices::unknown(answer) {
        lens.every_string(value, &format!("/{key}"), Role::Assistant, Place::Other);
    }
}

/// The text of every choice.
pub(super) fn visible(answer: &Value) -> Vec<String> {
    let choices = answer["choices"].as_array().into_iter().flatten().enumerate();
    let worded = choices.filter(|(_, choice)| choice["text"].is_string());
    worded.map(|(i, _)| format!("/choices/{i}/text")).collect()
}

/// HTTP 200, the text in each of the choices, `finish_reason: "content_filter"`.
pub(super) fn refusal(refusal: &Refusal<'_>) -> Value {
    choices::refusal(
        refusal,
        ("cmpl", OBJECT),
        |index| json!({"text": refusal.text, "index": index, "logprobs": null, "finish_reason": "content_filter"}),
    )
}
