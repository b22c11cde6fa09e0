//! What a file of rows comes to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Curves, Label, Outcome,
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
    /// For each kind of harm that rows are labelled with.
    pub hazards: BTreeMap<&'static str, OfHazard>,
    /// What share of the rows was refused.
    pub refused: Refused,
    /// How often each action was decided.
    pub actions: BTreeMap<&'static str, usize>,
    /// How long judging took.
    pub latency_ms: Latency,
    /// For each label that the rows have both kinds of: the curves.
    #[serde(skip)]
    pub curves: BTreeMap<&'static str, Curves>,
    /// The harmless rows with the highest scores for harm, and the harmful ones with the lowest.
    #[serde(skip)]
    pub wrong: [Vec<Wrong>; 2],
}

/// Rows of one kind of harm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OfHazard {
    /// How many.
    pub n: usize,
    /// The share that was refused.
    pub refused: f64,
    /// The share with a score for harm from the threshold on.
    pub recall: f64,
    /// The share with a score for this very hazard from one half on.
    pub named: f64,
}

/// A row that scores far from its label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wrong {
    /// Its name.
    pub id: String,
    /// Its score.
    pub score: f32,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// How many rows are listed of each kind of mistake.
const WORST: usize = 12;

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
        let curves = labels
            .clone()
            .filter_map(|(i, label)| Some((label.as_str(), Curves::new(&scored(outcomes, i))?)));
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
            hazards: hazards(outcomes, threshold),
            curves: curves.collect(),
            wrong: [worst(outcomes, false), worst(outcomes, true)],
            refused: Refused { all: refused(None), harmful: refused(Some(true)), safe: refused(Some(false)) },
            actions,
            latency_ms: Latency { p50: percentile(&times, 0.5), p99: percentile(&times, 0.99) },
        }
    }
}

/// Scores and labels of the rows that have the label.
pub(super) fn scored<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>, label: usize) -> Vec<(f64, bool)> {
    outcomes
        .into_iter()
        .filter_map(|outcome| Some((f64::from(outcome.scores[label]), outcome.labels[label]?)))
        .collect()
}

fn hazards(outcomes: &[Outcome], threshold: f64) -> BTreeMap<&'static str, OfHazard> {
    let mut counts: BTreeMap<&'static str, [usize; 4]> = BTreeMap::new();
    for outcome in outcomes {
        for (hazard, score) in outcome.hazards.iter().zip(&outcome.hazard_scores) {
            let [n, refused, recalled, named] = counts.entry(hazard.as_str()).or_default();
            *n += 1;
            *refused += usize::from(outcome.action == Action::Refuse);
            *recalled += usize::from(f64::from(outcome.scores[0]) >= threshold);
            *named += usize::from(*score >= 0.5);
        }
    }
    let of = |[n, refused, recalled, named]: [usize; 4]| {
        let share = |part: usize| part as f64 / n as f64;
        OfHazard { n, refused: share(refused), recall: share(recalled), named: share(named) }
    };
    counts.into_iter().map(|(hazard, counts)| (hazard, of(counts))).collect()
}

/// The rows whose score for harm is farthest from this label.
fn worst(outcomes: &[Outcome], label: bool) -> Vec<Wrong> {
    let mut rows: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| outcome.labels[0] == Some(label)).collect();
    rows.sort_by(|a, b| {
        if label { a.scores[0].total_cmp(&b.scores[0]) } else { b.scores[0].total_cmp(&a.scores[0]) }
    });
    let wrong = |outcome: &&Outcome| (outcome.scores[0] >= 0.5) != label;
    let told = |outcome: &Outcome| Wrong {
        id: outcome.id.clone(),
        score: outcome.scores[0],
        text: Some(outcome.text.clone()),
    };
    rows.into_iter().filter(wrong).take(WORST).map(told).collect()
}

impl Figures {
    /// The figures for a label; `None` when no row has it.
    fn new(outcomes: &[Outcome], label: usize, threshold: f64) -> Option<Self> {
        let scored = scored(outcomes, label);
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
