//! Of matches that overlap, keeps the one that knows most.

use std::{collections::BTreeMap, ops::Range};

/// A match that may still lose to another one over the same text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    /// The signal's full name.
    pub(super) signal: &'static str,
    /// How sure, from 0 to 1.
    pub(super) score: f32,
    /// Where, in bytes.
    pub(super) span: Range<usize>,
}

/// Keeps the candidates that overlap no better one, in order of place. The higher score is better, then the
/// longer span, then the one that was found first. Takes O(n log n).
pub(super) fn keep_best(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    if candidates.len() < 2 {
        return candidates;
    }
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.span.len().cmp(&a.span.len())));
    let mut kept: BTreeMap<usize, Candidate> = BTreeMap::new();
    for candidate in candidates {
        // Kept spans never overlap, so only the last one that starts before our end can reach into us.
        let free = kept
            .range(..candidate.span.end)
            .next_back()
            .is_none_or(|(_, before)| before.span.end <= candidate.span.start);
        if free {
            kept.insert(candidate.span.start, candidate);
        }
    }
    kept.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(signal: &'static str, score: f32, span: Range<usize>) -> Candidate {
        Candidate { signal, score, span }
    }

    #[test]
    fn the_surer_then_the_longer_then_the_first_wins() {
        let card = candidate("card", 1.0, 5..20);
        let phone = candidate("phone", 0.8, 0..12);
        let short = candidate("short", 1.0, 8..12);
        let twin = candidate("twin", 1.0, 5..20);
        let apart = candidate("apart", 0.2, 20..25);
        assert_eq!(keep_best(vec![phone, short, card.clone(), twin, apart.clone()]), [card, apart]);
    }

    #[test]
    fn many_candidates_take_no_quadratic_time() {
        let many: Vec<_> = (0..200_000).map(|i| candidate("any", 0.5, i..i + 3)).collect();
        assert!(keep_best(many).windows(2).all(|pair| pair[0].span.end <= pair[1].span.start));
    }
}
