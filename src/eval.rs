//! Labelled rows against a policy: how well what it decides fits the labels, and what it costs.

mod curves;
mod figures;
mod html;
mod quality;
mod report;
mod rows;
mod tax;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};

use crate::{
    guard::{Guard, Judged},
    verdict::{Action, Hazard, Mode},
};
pub use curves::Curves;
pub use figures::{auroc, average_precision};
pub use html::{Book, Chapter, page};
pub use quality::{Line, table};
pub use report::{Figures, Latency, OfHazard, Refused, Report, Wrong};
pub use rows::{Label, Row, Rows, RowsError};
pub use tax::Tax;

/// What was made of one row.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The row's name.
    pub id: String,
    /// Its text, which a report shows only when asked to.
    pub text: String,
    /// The kinds of harm it is labelled with.
    pub hazards: Vec<Hazard>,
    /// The score of the guard model for each of those.
    pub hazard_scores: Vec<f32>,
    /// The rules that asked for the action.
    pub rules: Vec<Arc<str>>,
    /// The row's labels.
    pub labels: [Option<bool>; Label::ALL.len()],
    /// A score for each label, from 0 to 1.
    pub scores: [f32; Label::ALL.len()],
    /// What was decided.
    pub action: Action,
    /// How long it took.
    pub took: Duration,
}

/// Judges a row.
pub async fn judge(guard: &Guard, row: Row) -> Outcome {
    let (labels, hazards) = (row.labels(), row.hazards());
    let (id, text) = (row.id.clone().unwrap_or_default(), row.text.clone());
    let judged = guard.judge(row.into_exchange()).await;
    let verdict = &judged.verdict;
    let decided = verdict.hits.iter().filter(|hit| hit.action == verdict.action && hit.mode == Mode::Enforce);
    let hazard_score = |hazard: &Hazard| seen(&judged, &format!("guard.{hazard}")).unwrap_or(0.0);
    Outcome {
        id,
        text,
        hazard_scores: hazards.iter().map(hazard_score).collect(),
        hazards,
        rules: decided.map(|hit| Arc::clone(&hit.rule)).collect(),
        labels,
        scores: Label::ALL.map(|label| score(&judged, label)),
        action: judged.verdict.action,
        took: judged.took,
    }
}

/// Judges rows, `at_once` at a time, and calls `done` after each. The first row that can't be read ends it.
///
/// # Errors
/// A row that can't be read.
pub async fn judge_all(
    guard: &Arc<Guard>,
    rows: Rows,
    at_once: usize,
    mut done: impl FnMut(),
) -> Result<Vec<Outcome>, RowsError> {
    let mut judging = stream::iter(rows)
        .map(|row| {
            let guard = Arc::clone(guard);
            async move {
                let row = row?;
                Ok(tokio::spawn(async move { judge(&guard, row).await }).await)
            }
        })
        .buffered(at_once.max(1));
    let mut outcomes = Vec::new();
    while let Some(outcome) = judging.next().await {
        // The guard catches what detectors do, so a task that does not end well is a bug; its row is left out.
        if let Ok(outcome) = outcome? {
            outcomes.push(outcome);
        }
        done();
    }
    Ok(outcomes)
}

/// How much a verdict speaks for a label: the score of the guard model's signal of that name where it was seen,
/// else how strong an action a rule about it asks for, shadowed or not (log 1/6 to refuse 1). Redactions speak
/// for nothing: personal data is no harm.
fn score(judged: &Judged, label: Label) -> f32 {
    let strongest = Action::ALL.len() - 1;
    let rules = judged.verdict.hits.iter().filter(|hit| hit.action != Action::Redact && label.is_about(hit));
    let rules = rules.map(|hit| hit.action as u8 as f32 / strongest as f32);
    seen(judged, &label.signal()).unwrap_or_else(|| rules.fold(0.0, f32::max))
}

/// The highest score of a signal, where it was seen.
fn seen(judged: &Judged, signal: &str) -> Option<f32> {
    let of = judged.verdict.findings.iter().filter(|finding| *finding.signal == *signal);
    of.map(|finding| finding.score).reduce(f32::max)
}
