//! The answer: its texts, and refusals in its form.

use serde_json::{Value, json};

use super::{
    super::{Lens, Refusal},
    blocks::{self, Found, Voice},
};
use crate::message::{Place, Role};

/// How an answer stops that declines.
pub(super) const REFUSAL: &str = "refusal";

/// The words of an answer, unless a block says otherwise.
pub(super) const WORDS: Voice = Voice { role: Role::Assistant, place: Place::Content };

/// What stands beside them.
pub(super) const OTHER: Voice = Voice { role: Role::Assistant, place: Place::Other };

/// Members of an answer that hold no text of the model's, or are looked at by name.
const KNOWN: [&str; 10] =
    ["id", "type", "role", "model", "content", "stop_reason", "usage", "container", "moderation", "demur"];

/// Members that say why the model declined, except in words.
const WHY: [&str; 4] = ["type", "category", "recommended_model", "fallback_credit_token"];

/// Every text of the answer that the client sees.
pub(super) fn texts(answer: &Value, lens: &mut Lens) {
    for Found { at, text, voice } in
        content(&answer["content"], "/content").into_iter().chain(beside(answer, ""))
    {
        lens.push(&text, at, voice.role, voice.place);
    }
}

/// The texts of an answer's content, or of one block. What a tool answered is the answer's, too.
pub(super) fn content<'a>(content: &'a Value, at: &str) -> Vec<Found<'a>> {
    let mut found = blocks::texts(content, at, WORDS);
    found.iter_mut().for_each(|found| found.voice.role = Role::Assistant);
    found
}

/// The texts that stand beside an answer's content, or in what a stream says about its end.
pub(super) fn beside<'a>(answer: &'a Value, at: &str) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    let members = answer.as_object().into_iter().flatten();
    for (key, value) in members.filter(|(key, _)| !KNOWN.contains(&key.as_str())) {
        let at = format!("{at}/{key}");
        if key != "stop_details" {
            found.extend(blocks::texts(value, &at, OTHER));
            continue;
        }
        let voice = Voice { place: Place::Refusal, ..OTHER };
        let why = value.as_object().into_iter().flatten().filter(|(key, _)| !WHY.contains(&key.as_str()));
        found.extend(why.flat_map(|(key, value)| blocks::texts(value, &format!("{at}/{key}"), voice)));
    }
    found
}

/// The last words: notices stand behind them.
pub(super) fn visible(answer: &Value) -> Vec<String> {
    let last = answer["content"].as_array().and_then(|blocks| {
        blocks.iter().rposition(|block| blocks::kind(block) == "text" && block["text"].is_string())
    });
    last.map(|i| format!("/content/{i}/text")).into_iter().collect()
}

/// The signature of a thinking block no longer fits a text of which something was taken out.
pub(super) fn unsign(answer: &mut Value, pointer: &str) {
    let block = pointer.strip_prefix("/content/").and_then(|below| below.split('/').next());
    let signature = block.and_then(|i| answer.pointer_mut(&format!("/content/{i}/signature")));
    if let Some(signature) = signature {
        *signature = "".into();
    }
}

/// HTTP 200, the text as the only block, `stop_reason: "refusal"` with its details.
pub(super) fn refusal(refusal: &Refusal<'_>) -> Value {
    let Refusal { text, id, asked, instead, hazard, .. } = *refusal;
    let mut json = json!({
        "id": format!("msg_{id}"),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": REFUSAL,
        "stop_sequence": null,
        "stop_details": stop_details(text, hazard),
        "usage": {"input_tokens": 0, "output_tokens": 0},
    });
    for key in ["id", "model", "usage"] {
        if let Some(value) = instead.and_then(|answer| answer.get(key)).filter(|value| !value.is_null()) {
            json[key] = value.clone();
        }
    }
    json
}

/// Why an answer was refused. Anthropic names few categories; all hazards but one are harms in general.
pub(super) fn stop_details(text: &str, hazard: Option<&str>) -> Value {
    let category = hazard.map(|hazard| if hazard == "cyber" { "cyber" } else { "general_harms" });
    json!({"type": REFUSAL, "category": category, "explanation": text})
}
