//! Labelled rows against a policy: how well what it decides fits the labels, and what it costs.

mod figures;
mod report;
mod rows;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};

use crate::{
    guard::{Guard, Judged},
    verdict::Action,
};
pub use figures::{auroc, average_precision};
pub use report::{Figures, Latency, Refused, Report};
pub use rows::{Label, Row, Rows, RowsError};

/// What was made of one row.
#[derive(Clone, Debug)]
pub struct Outcome {
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
    let labels = row.labels();
    let judged = guard.judge(row.into_exchange()).await;
    Outcome {
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
    let verdict = &judged.verdict;
    let signal = label.signal();
    let seen =
        verdict.findings.iter().filter(|finding| *finding.signal == *signal).map(|finding| finding.score);
    let strongest = Action::ALL.len() - 1;
    let rules = verdict.hits.iter().filter(|hit| hit.action != Action::Redact && label.is_about(hit));
    let rules = rules.map(|hit| hit.action as u8 as f32 / strongest as f32);
    seen.reduce(f32::max).unwrap_or_else(|| rules.fold(0.0, f32::max))
}
