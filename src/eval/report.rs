//! What a file of rows comes to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Label, Outcome,
    figures::{Confusion, auroc, average_precision, percentile, share},
};
use crate::verdict::Action;

/// The report on one file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The file, as it was named.
    pub file: String,
    /// How many rows were judged.
    pub rows: usize,
    /// For each label that the rows have: how well the scores fit.
    pub signals: BTreeMap<&'static str, Figures>,
    /// What share of the rows was refused.
    pub refused: Refused,
    /// How often each action was decided.
    pub actions: BTreeMap<&'static str, usize>,
    /// How long judging took.
    pub latency_ms: Latency,
}

/// How well scores fit a label. All but the counts are `null` unless there are rows of both kinds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Rows that have the label.
    pub n: usize,
    /// Those where it is 1.
    pub positives: usize,
    /// The area under the ROC curve.
    pub auroc: Option<f64>,
    /// Average precision.
    pub auprc: Option<f64>,
    /// From which score on a row counts as positive in the figures below.
    pub threshold: f64,
    /// The harmonic mean of precision and recall.
    pub f1: Option<f64>,
    /// The share of positives found.
    pub recall: Option<f64>,
    /// The share of negatives taken for positive.
    pub fpr: Option<f64>,
}

/// Shares of rows that were refused; `null` of no rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// Of all.
    pub all: Option<f64>,
    /// Of those labelled unsafe.
    #[serde(rename = "unsafe")]
    pub harmful: Option<f64>,
    /// Of those labelled safe.
    pub safe: Option<f64>,
}

/// Percentiles of the time a row took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: Option<f64>,
    /// All but one of a hundred took less.
    pub p99: Option<f64>,
}

impl Report {
    /// The report on what was made of a file's rows.
    pub fn new(file: &str, outcomes: &[Outcome], threshold: f64) -> Self {
        let labels = Label::ALL.iter().enumerate();
        let signals =
            labels.filter_map(|(i, label)| Some((label.as_str(), Figures::new(outcomes, i, threshold)?)));
        let refused = |of: Option<bool>| {
            let those = outcomes.iter().filter(|outcome| of.is_none() || outcome.labels[0] == of);
            let (mut refused, mut all) = (0, 0);
            for outcome in those {
                all += 1;
                refused += usize::from(outcome.action == Action::Refuse);
            }
            share(refused, all)
        };
        let mut actions: BTreeMap<_, _> = Action::ALL.iter().map(|action| (action.as_str(), 0)).collect();
        for outcome in outcomes {
            *actions.entry(outcome.action.as_str()).or_default() += 1;
        }
        let mut times: Vec<f64> = outcomes.iter().map(|outcome| outcome.took.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        Self {
            file: file.to_owned(),
            rows: outcomes.len(),
            signals: signals.collect(),
            refused: Refused { all: refused(None), harmful: refused(Some(true)), safe: refused(Some(false)) },
            actions,
            latency_ms: Latency { p50: percentile(&times, 0.5), p99: percentile(&times, 0.99) },
        }
    }
}

impl Figures {
    /// The figures for a label; `None` when no row has it.
    fn new(outcomes: &[Outcome], label: usize, threshold: f64) -> Option<Self> {
        let scored: Vec<(f64, bool)> = outcomes
            .iter()
            .filter_map(|outcome| Some((f64::from(outcome.scores[label]), outcome.labels[label]?)))
            .collect();
        let positives = scored.iter().filter(|(_, positive)| *positive).count();
        let both = positives > 0 && positives < scored.len();
        let confusion = Confusion::at(&scored, threshold);
        (!scored.is_empty()).then(|| Self {
            n: scored.len(),
            positives,
            auroc: auroc(&scored),
            auprc: average_precision(&scored),
            threshold,
            f1: confusion.f1().filter(|_| both),
            recall: confusion.recall().filter(|_| both),
            fpr: confusion.false_positive_rate().filter(|_| both),
        })
    }
}
