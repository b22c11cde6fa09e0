//! The request: what is checked, and which texts reach the model.

use serde_json::Value;

use super::super::{
    Asked, BadBody, Lens,
    choices::{self, MAX_CHOICES},
    request::{texts as check_texts, unreadable},
};
use crate::message::{Place, Role};

/// Members that no model reads as text: names, ids, and where to stop.
const NO_TEXT: [&str; 7] = ["model", "prompt", "suffix", "stop", "user", "safety_identifier", "service_tier"];

/// Checks that the prompts are texts. There are `n` choices for each of them.
pub(super) fn read(body: &Value) -> Result<Asked, BadBody> {
    let mut asked = choices::read(body)?;
    let prompts = match body.get("prompt") {
        None => return Err(BadBody::at("prompt", "missing required parameter: `prompt`")),
        // The model begins a document of its own.
        Some(Value::Null) => 1,
        Some(prompt) => check_texts("prompt", prompt)?,
    };
    // vLLM's other way to ask: numbers that stand for a text.
    if body.get("prompt_embeds").is_some_and(|embeds| !embeds.is_null()) {
        return Err(unreadable("prompt_embeds", "embeddings"));
    }
    if prompts > MAX_CHOICES {
        let message = format!("`prompt` has {prompts} texts; expected at most {MAX_CHOICES}");
        return Err(BadBody::at("prompt", message));
    }
    asked.n *= prompts;
    Ok(asked)
}

/// Every text of the body that the model reads.
pub(super) fn texts(body: &Value, lens: &mut Lens) {
    for key in ["prompt", "suffix"] {
        lens.every_string(&body[key], &format!("/{key}"), Role::User, Place::Content);
    }
    // Schemas, templates and whatever else a server knows.
    for (key, value) in body.as_object().into_iter().flatten() {
        if !NO_TEXT.contains(&key.as_str()) {
            lens.every_string(value, &format!("/{key}"), Role::Developer, Place::Other);
        }
    }
}

/// A prompt has no place for the operator, so the guidance stands before it. With `echo` the client reads it, too.
pub(super) fn guide(body: &mut Value, text: &str) {
    let guided = |prompt: &Value| match prompt.as_str().filter(|prompt| !prompt.is_empty()) {
        Some(prompt) => format!("{text}\n\n{prompt}").into(),
        None => text.into(),
    };
    match &mut body["prompt"] {
        Value::Array(prompts) => prompts.iter_mut().for_each(|prompt| *prompt = guided(prompt)),
        prompt => *prompt = guided(prompt),
    }
}
