//! Figures of merit of scores against labels.

/// The area under the ROC curve: how often a positive scores higher than a negative, ties counted half (the
/// Mann–Whitney statistic; Hanley and McNeil, Radiology 143, 1982). `None` without both classes.
pub fn auroc(scored: &[(f64, bool)]) -> Option<f64> {
    let positives = scored.iter().filter(|(_, positive)| *positive).count();
    let negatives = scored.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    // Twice the number of pairs that are in order, a tie counting one: whole numbers keep it exact.
    let mut pairs = 0_u128;
    let mut below = 0;
    for (tied_positives, tied_negatives) in ties(scored, false) {
        pairs += tied_positives as u128 * (2 * below + tied_negatives) as u128;
        below += tied_negatives;
    }
    Some(pairs as f64 / (2.0 * positives as f64 * negatives as f64))
}

/// The area under the precision-recall curve as average precision: the precision at every threshold, weighted by
/// what the recall gains there; ties are one threshold (as scikit-learn's `average_precision_score`). `None`
/// without both classes.
pub fn average_precision(scored: &[(f64, bool)]) -> Option<f64> {
    let positives = scored.iter().filter(|(_, positive)| *positive).count();
    if positives == 0 || positives == scored.len() {
        return None;
    }
    let (mut hits, mut all, mut sum) = (0, 0, 0.0);
    for (tied_positives, tied_negatives) in ties(scored, true) {
        hits += tied_positives;
        all += tied_positives + tied_negatives;
        sum += tied_positives as f64 / positives as f64 * (hits as f64 / all as f64);
    }
    Some(sum)
}

/// What a threshold makes of scores: true and false positives and negatives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Confusion {
    pub(super) hits: usize,
    pub(super) false_alarms: usize,
    pub(super) misses: usize,
    pub(super) passes: usize,
}

impl Confusion {
    /// Scores from the threshold on are positive.
    pub(super) fn at(scored: &[(f64, bool)], threshold: f64) -> Self {
        let mut counts = Self::default();
        for (score, positive) in scored {
            *match (*score >= threshold, positive) {
                (true, true) => &mut counts.hits,
                (true, false) => &mut counts.false_alarms,
                (false, true) => &mut counts.misses,
                (false, false) => &mut counts.passes,
            } += 1;
        }
        counts
    }

    pub(super) fn f1(self) -> Option<f64> {
        share(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)
    }

    pub(super) fn recall(self) -> Option<f64> {
        share(self.hits, self.hits + self.misses)
    }

    pub(super) fn precision(self) -> Option<f64> {
        share(self.hits, self.hits + self.false_alarms)
    }

    pub(super) fn false_positive_rate(self) -> Option<f64> {
        share(self.false_alarms, self.false_alarms + self.passes)
    }
}

/// A part of a whole; `None` of nothing.
pub(super) fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The value below which this share of sorted values lies (nearest rank).
pub(super) fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Positives and negatives of each score, from the lowest score up or from the highest down.
fn ties(scored: &[(f64, bool)], down: bool) -> Vec<(usize, usize)> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| if down { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) });
    let count = |group: &[(f64, bool)]| {
        let positives = group.iter().filter(|(_, positive)| *positive).count();
        (positives, group.len() - positives)
    };
    sorted.chunk_by(|a, b| a.0 == b.0).map(count).collect()
}
