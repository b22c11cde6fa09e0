//! OpenAI's moderation: our verdict in their 13 categories, as the `moderation` block of a chat completion and as the
//! answer of `POST /v1/moderations`.
//!
//! Names and shapes from OpenAI's published specification (`ChatCompletionModeration`, `ModerationResult`,
//! `CreateModerationRequest`, `CreateModerationResponse`).

use serde_json::{Map, Value, json};

use super::{BadBody, kind};
use crate::verdict::{Action, Hazard, Verdict};

/// The name under which our own guard answers.
pub const MODEL: &str = "demur-guard";

/// OpenAI's categories.
const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// Where our hazards fall in those categories. Hazards that OpenAI has no category for flag without one.
fn categories(hazard: Hazard) -> &'static [&'static str] {
    match hazard {
        Hazard::ViolentCrimes => &["violence", "illicit", "illicit/violent"],
        Hazard::IndiscriminateWeapons => &["illicit", "illicit/violent"],
        Hazard::NonviolentCrimes | Hazard::Cyber | Hazard::SexRelatedCrimes => &["illicit"],
        Hazard::ChildSexualExploitation => &["sexual", "sexual/minors"],
        Hazard::Hate => &["hate"],
        Hazard::Harassment => &["harassment"],
        Hazard::SuicideSelfHarm => &["self-harm"],
        Hazard::SexualContent => &["sexual"],
        Hazard::GraphicViolence => &["violence", "violence/graphic"],
        Hazard::Defamation
        | Hazard::SpecializedAdvice
        | Hazard::Privacy
        | Hazard::IntellectualProperty
        | Hazard::ElectionsMisinformation => &[],
    }
}

/// The block for an answer: what was found on the way in, and (when an answer was judged) on the way out.
pub fn block(input: &Verdict, output: Option<&Verdict>) -> Value {
    let mut block = Map::from_iter([("input".to_owned(), side(input))]);
    if let Some(output) = output {
        block.insert("output".to_owned(), side(output));
    }
    Value::Object(block)
}

/// The texts of a moderation request, in the order of the results: one for each string of a list, one for a list of
/// parts.
///
/// # Errors
/// The body is no such request, or holds an image: images are not judged here, and must not pass as if they were.
pub fn texts(body: &[u8]) -> Result<Vec<String>, BadBody> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| BadBody { param: None, message: format!("the body is no JSON: {error}") })?;
    let input = &body["input"];
    match input {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) if items.is_empty() => {
            Err(BadBody::at("input", "`input` is empty, expected at least one text"))
        }
        Value::Array(items) if items[0].is_object() => {
            let parts = items.iter().enumerate().map(|(i, part)| text_part(i, part));
            Ok(vec![parts.collect::<Result<Vec<_>, _>>()?.join("\n\n")])
        }
        Value::Array(items) => (items.iter().enumerate())
            .map(|(i, item)| {
                let wrong = || format!("`input[{i}]` is {}, expected a string", kind(item));
                item.as_str().map(str::to_owned).ok_or_else(|| BadBody::at(format!("input[{i}]"), wrong()))
            })
            .collect(),
        other => {
            let message = format!("`input` is {}, expected a string or an array", kind(other));
            Err(BadBody::at("input", message))
        }
    }
}

fn text_part(i: usize, part: &Value) -> Result<String, BadBody> {
    match (part["type"].as_str(), part["text"].as_str()) {
        (Some("text"), Some(text)) => Ok(text.to_owned()),
        (Some("text"), None) => {
            Err(BadBody::at(format!("input[{i}].text"), format!("`input[{i}].text` is no string")))
        }
        (Some("image_url"), _) => {
            Err(BadBody::at(format!("input[{i}]"), "images are not judged here; send text alone"))
        }
        _ => Err(BadBody::at(format!("input[{i}].type"), format!("`input[{i}].type` is not `text`"))),
    }
}

/// The answer to a moderation request: a result for each verdict.
pub fn answer(id: &str, verdicts: &[&Verdict]) -> Value {
    let results: Vec<Value> = verdicts.iter().map(|verdict| result(verdict)).collect();
    json!({"id": format!("modr-{id}"), "model": MODEL, "results": results})
}

fn side(verdict: &Verdict) -> Value {
    if let Some(failure) = verdict.unprotected().next() {
        let message = format!("the detector `{}` did not judge this text", failure.detector);
        return json!({"type": "error", "code": "content_filter_error", "message": message});
    }
    let mut result = result(verdict);
    result["type"] = "moderation_result".into();
    result["model"] = MODEL.into();
    json!({"type": "moderation_results", "model": MODEL, "results": [result]})
}

fn result(verdict: &Verdict) -> Value {
    let scores = scores(verdict);
    let of = |category: &str| scores.iter().filter(|(c, ..)| *c == category).map(|s| s.1).fold(0.0, f32::max);
    let hit = |category: &str| scores.iter().any(|(c, _, hit)| *c == category && *hit);
    let applied = |category: &str| if of(category) > 0.0 { json!(["text"]) } else { json!([]) };
    let map = |value: &dyn Fn(&str) -> Value| -> Map<String, Value> {
        CATEGORIES.iter().map(|category| ((*category).to_owned(), value(category))).collect()
    };
    let flags = |action, hazard: Option<Hazard>| {
        action == Action::Refuse || action >= Action::Warn && hazard.is_some()
    };
    json!({
        "flagged": verdict.hits.iter().any(|hit| flags(hit.action, hit.hazard)),
        "categories": map(&|category| hit(category).into()),
        "category_scores": map(&|category| of(category).into()),
        "category_applied_input_types": map(&applied),
    })
}

/// `(category, score, whether a rule matched)` of everything the verdict knows. A rule that matched on
/// something that has no score (a pattern) counts as certain.
fn scores(verdict: &Verdict) -> Vec<(&'static str, f32, bool)> {
    let mut scores = Vec::new();
    let classified: Vec<(Hazard, f32)> = (verdict.findings.iter())
        .filter_map(|finding| Some((finding.signal.strip_prefix("guard.")?.parse().ok()?, finding.score)))
        .collect();
    for (hazard, score) in &classified {
        scores.extend(categories(*hazard).iter().map(|category| (*category, *score, false)));
    }
    for hit in verdict.hits.iter().filter(|hit| hit.action >= Action::Warn) {
        let Some(hazard) = hit.hazard else { continue };
        let judged =
            classified.iter().filter(|(h, _)| *h == hazard).map(|(_, score)| *score).reduce(f32::max);
        scores.extend(categories(hazard).iter().map(|category| (*category, judged.unwrap_or(1.0), true)));
    }
    scores
}
