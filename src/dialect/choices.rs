//! What OpenAI's two kinds of completions have in common: an answer is a list of choices, and so is each chunk of its
//! stream.

pub(super) mod chunks;
mod logprobs;
pub(super) mod stream;

use serde_json::{Value, json};

pub(super) use logprobs::spelled;

use super::{
    Asked, BadBody, Refusal,
    request::{flag, model, wants_moderation},
};

/// The most choices that one request may ask for (OpenAI's own limit).
pub(super) const MAX_CHOICES: usize = 128;

/// Members of an answer that hold no text of the model's, as OpenAI and those who follow it name them.
const NO_TEXT: [&str; 11] = [
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "system_fingerprint",
    "service_tier",
    // Random letters that even out the length of events.
    "obfuscation",
    "moderation",
    "demur",
];

/// Reads what both kinds of requests say in the same way.
pub(super) fn read(body: &Value) -> Result<Asked, BadBody> {
    let field = |name: &str| body.get(name).filter(|value| !value.is_null());
    let model = model(body)?;
    let stream = flag(field("stream"), "stream")?;
    let include_usage = match field("stream_options") {
        Some(options) => flag(options.get("include_usage"), "stream_options.include_usage")?,
        None => false,
    };
    let n = match field("n") {
        None => 1,
        Some(n) => (n.as_u64().and_then(|n| usize::try_from(n).ok()))
            .filter(|n| (1..=MAX_CHOICES).contains(n))
            .ok_or_else(|| BadBody::at("n", format!("`n` must be a whole number from 1 to {MAX_CHOICES}")))?,
    };
    let wants_moderation = wants_moderation(body)?;
    Ok(Asked { model, stream, include_usage, n, wants_moderation })
}

/// Checks that a whole answer is one.
pub(super) fn check(answer: &Value) -> Result<(), String> {
    if answer["choices"].is_array() { Ok(()) } else { Err("a JSON answer without `choices`".to_owned()) }
}

/// Members beside the choices that are of none of the known kinds: what a client sees of them is judged.
pub(super) fn unknown(answer: &Value) -> impl Iterator<Item = (&String, &Value)> {
    answer.as_object().into_iter().flatten().filter(|(key, _)| !NO_TEXT.contains(&key.as_str()))
}

/// The token log-probabilities of a choice would still spell its old text, so they go.
pub(super) fn forget_spelling(answer: &mut Value, pointer: &str) {
    let choice = pointer.split('/').nth(2).and_then(|i| answer.pointer_mut(&format!("/choices/{i}")));
    if let Some(logprobs) = choice.and_then(|choice| choice.get_mut("logprobs")) {
        *logprobs = Value::Null;
    }
}

/// A whole answer that declines in each of its choices. It keeps the id and the cost of the one in whose place it
/// stands.
pub(super) fn refusal(
    refusal: &Refusal<'_>,
    (id, object): (&str, &str),
    choice: impl Fn(usize) -> Value,
) -> Value {
    let said = |answer: &Value| answer["choices"].as_array().map(Vec::len);
    let n = refusal.instead.and_then(said).unwrap_or(refusal.asked.n).max(1);
    let mut json = json!({
        "id": format!("{id}-{}", refusal.id),
        "object": object,
        "created": refusal.created,
        "model": refusal.asked.model,
        "choices": (0..n).map(choice).collect::<Vec<_>>(),
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    });
    for key in ["id", "created", "model", "usage"] {
        if let Some(value) =
            refusal.instead.and_then(|answer| answer.get(key)).filter(|value| !value.is_null())
        {
            json[key] = value.clone();
        }
    }
    json
}
