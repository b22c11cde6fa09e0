//! OpenAI's `moderation` block of a chat completion: our verdict in their 13 categories.
//!
//! Names and shapes from OpenAI's published specification (`ChatCompletionModeration`, `ModerationResult`).

use serde_json::{Map, Value, json};

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

fn side(verdict: &Verdict) -> Value {
    if let Some(failure) = verdict.unprotected().next() {
        let message = format!("the detector `{}` did not judge this text", failure.detector);
        return json!({"type": "error", "code": "content_filter_error", "message": message});
    }
    json!({"type": "moderation_results", "model": MODEL, "results": [result(verdict)]})
}

fn result(verdict: &Verdict) -> Value {
    let scores = scores(verdict);
    let of = |category: &str| scores.iter().filter(|(c, ..)| *c == category).map(|s| s.1).fold(0.0, f32::max);
    let hit = |category: &str| scores.iter().any(|(c, _, hit)| *c == category && *hit);
    let applied = |category: &str| if of(category) > 0.0 { json!(["text"]) } else { json!([]) };
    let map = |value: &dyn Fn(&str) -> Value| -> Map<String, Value> {
        CATEGORIES.iter().map(|category| ((*category).to_owned(), value(category))).collect()
    };
    json!({
        "type": "moderation_result",
        "model": MODEL,
        "flagged": verdict.hits.iter().any(|hit| hit.action >= Action::Warn && hit.hazard.is_some()),
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
