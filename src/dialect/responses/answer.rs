//! The answer: its texts, and refusals in its form.

use serde_json::{Map, Value, json};

use super::{
    super::{Lens, Refusal, lens},
    items,
};
use crate::message::{Place, Role};

/// Members of a response that hold no text of the model's. Some are the client's own words, said back to it
/// (`instructions`, `metadata`, `tools`, `prompt`, `text`): they were judged in its question.
const NO_TEXT: [&str; 39] = [
    "id",
    "object",
    "created_at",
    "completed_at",
    "status",
    "model",
    "output",
    "usage",
    "tool_usage",
    "background",
    "background_options",
    "access_programs",
    "context_management",
    "completion_window",
    "conversation",
    "image",
    "include",
    "input_transformations",
    "instructions",
    "metadata",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "text",
    "tool_choice",
    "tools",
    "truncation",
    "user",
    "moderation",
    "demur",
];

/// Every text of a response that the client sees.
pub(super) fn texts(response: &Value, lens: &mut Lens) {
    for (i, item) in response["output"].as_array().into_iter().flatten().enumerate() {
        items::texts_of_answer(item, &format!("/output/{i}"), lens);
    }
    for (key, value) in response.as_object().into_iter().flatten() {
        if !NO_TEXT.contains(&key.as_str()) {
            // Some servers put all the words together once more.
            let place = if key == "output_text" { Place::Content } else { Place::Other };
            lens.every_string(value, &format!("/{}", lens::escape(key)), Role::Assistant, place);
        }
    }
}

/// The words of a person's answer are its first `output_text`: a notice stands there once, however many parts follow.
pub(super) fn visible(response: &Value) -> Vec<String> {
    let items = response["output"].as_array().into_iter().flatten().enumerate();
    let parts = items.filter(|(_, item)| items::kind(item) == "message").flat_map(|(i, item)| {
        let parts = item["content"].as_array().into_iter().flatten().enumerate();
        let worded = parts.filter(|(_, part)| part["type"] == "output_text" && part["text"].is_string());
        worded.map(move |(j, _)| format!("/output/{i}/content/{j}/text"))
    });
    let together = response["output_text"].is_string().then(|| "/output_text".to_owned());
    parts.take(1).chain(together).collect()
}

/// The log-probabilities of a part would still spell its old text, so they go.
pub(super) fn forget_spelling(response: &mut Value, pointer: &str) {
    let tokens: Vec<&str> = pointer.split('/').collect();
    if let ["", "output", item, "content", part, ..] = tokens[..] {
        lens::forget(response, &format!("/output/{item}/content/{part}/logprobs"));
    }
}

pub(super) fn declined(response: &Value) -> bool {
    let parts = |item: &Value| item["content"].as_array().cloned().unwrap_or_default();
    let refuses = |part: &Value| part["refusal"].as_str().is_some_and(|text| !text.is_empty());
    response["incomplete_details"]["reason"] == "content_filter"
        || response["output"].as_array().into_iter().flatten().flat_map(parts).any(|part| refuses(&part))
}

/// Here each side of a moderation block is one result, not a list of them.
pub(super) fn ours(key: &str, mut value: Value) -> Value {
    if key == "moderation" {
        for side in value.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(result) = side["results"].as_array_mut().and_then(Vec::pop) {
                *side = result;
            }
        }
    }
    value
}

/// A completed response with one message. The words stand in it twice, as `output_text` and as `refusal`: the second is
/// the official form, but `output_text` is all that the SDK's helper of that name, and most clients, show. Programs
/// can tell a refusal by its part.
pub(super) fn refusal(refusal: &Refusal<'_>) -> Value {
    let Refusal { text, id, created, asked, instead, .. } = *refusal;
    let mut response = blank(&format!("resp_{id}"), created, &asked.model);
    // What the client set comes back to it as the upstream says it, and what the answer cost stays known.
    for (key, value) in instead.and_then(Value::as_object).into_iter().flatten() {
        if NO_TEXT.contains(&key.as_str()) {
            response[key] = value.clone();
        }
    }
    response["output"] = json!([message(&format!("msg_{id}"), text)]);
    response["status"] = "completed".into();
    response
}

/// A message that refuses.
fn message(id: &str, text: &str) -> Value {
    let said = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let refused = json!({"type": "refusal", "refusal": text});
    json!({"id": id, "type": "message", "status": "completed", "role": "assistant", "content": [said, refused]})
}

/// A response without output. It can't be continued from: no upstream knows it.
pub(super) fn blank(id: &str, created: u64, model: &str) -> Value {
    json!({
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "model": model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "store": false,
        "temperature": null,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "truncation": "disabled",
        "usage": usage(0),
        "user": null,
        "metadata": {},
    })
}

/// What was counted of an answer that was not told to its end.
pub(super) fn usage(tokens: u64) -> Value {
    json!({
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens,
    })
}
