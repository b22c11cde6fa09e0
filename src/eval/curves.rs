//! Curves of scores against labels: ROC, precision and recall, and how far scores are probabilities.

use serde::Serialize;

use super::figures::Confusion;

/// Bins of the reliability diagram and of the expected calibration error (Guo et al., "On Calibration of Modern Neural
/// Networks", 2017: 15 of equal width).
const BINS: usize = 15;

/// Points of a curve at most: more can't be seen.
const POINTS: usize = 101;

/// The curves of one label. Points are pairs of x and y, from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curves {
    /// False-positive rate, recall.
    pub roc: Vec<(f64, f64)>,
    /// Recall, precision.
    pub precision_recall: Vec<(f64, f64)>,
    /// Mean score of a bin, the share of positives in it.
    pub reliability: Vec<(f64, f64)>,
    /// The expected calibration error: the distance of the two, weighted by the rows of the bin.
    pub calibration_error: f64,
}

impl Curves {
    /// The curves of these scores; `None` without both classes.
    pub fn new(scored: &[(f64, bool)]) -> Option<Self> {
        let positives = scored.iter().filter(|(_, positive)| *positive).count();
        if positives == 0 || positives == scored.len() {
            return None;
        }
        let at: Vec<Confusion> =
            thresholds(scored).map(|threshold| Confusion::at(scored, threshold)).collect();
        let roc = at.iter().filter_map(|c| Some((c.false_positive_rate()?, c.recall()?)));
        let precision = at.iter().filter_map(|c| Some((c.recall()?, c.precision()?)));
        let bins = bins(scored);
        let off =
            |(n, score, share): &(usize, f64, f64)| *n as f64 / scored.len() as f64 * (score - share).abs();
        Some(Self {
            roc: [(0.0, 0.0)].into_iter().chain(roc).collect(),
            precision_recall: precision.collect(),
            calibration_error: bins.iter().map(off).sum(),
            reliability: bins.into_iter().map(|(_, score, share)| (score, share)).collect(),
        })
    }
}

/// Thresholds from the highest score down, evenly spread over the rows.
fn thresholds(scored: &[(f64, bool)]) -> impl Iterator<Item = f64> {
    let mut scores: Vec<f64> = scored.iter().map(|(score, _)| *score).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    scores.dedup();
    let step = scores.len().div_ceil(POINTS).max(1);
    let last = scores.last().copied();
    scores.into_iter().step_by(step).chain(last)
}

/// Rows, mean score and share of positives of each bin that has rows.
fn bins(scored: &[(f64, bool)]) -> Vec<(usize, f64, f64)> {
    let mut sums = [(0_usize, 0.0, 0_usize); BINS];
    for (score, positive) in scored {
        let (n, sum, hits) = &mut sums[((score * BINS as f64) as usize).min(BINS - 1)];
        *n += 1;
        *sum += score;
        *hits += usize::from(*positive);
    }
    let mean = |(n, sum, hits): (usize, f64, usize)| (n, sum / n as f64, hits as f64 / n as f64);
    sums.into_iter().filter(|(n, ..)| *n > 0).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_run_from_corner_to_corner() {
        let scored = [(0.9, true), (0.8, false), (0.7, true), (0.1, false)];
        let curves = Curves::new(&scored).unwrap();
        assert_eq!(curves.roc, [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0), (1.0, 1.0)]);
        assert_eq!(curves.precision_recall[0], (0.5, 1.0));
    }

    #[test]
    fn the_calibration_error_is_the_mean_distance() {
        let perfect: Vec<_> = (0..10).map(|i| (0.3, i < 3)).collect();
        assert!(Curves::new(&perfect).unwrap().calibration_error < 1e-12);
        let boastful: Vec<_> = (0..10).map(|i| (1.0, i < 5)).collect();
        assert!((Curves::new(&boastful).unwrap().calibration_error - 0.5).abs() < 1e-12);
    }

    #[test]
    fn of_one_class_there_are_none_and_of_many_rows_few_points() {
        assert_eq!(Curves::new(&[(0.5, true)]), None);
        let many: Vec<_> = (0..5000).map(|i| (f64::from(i) / 5000.0, i % 3 == 0)).collect();
        assert!(Curves::new(&many).unwrap().roc.len() <= POINTS + 2);
    }
}
