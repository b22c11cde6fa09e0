//! Verdicts on the parts of an answer as one on the whole.

use std::ops::Range;

use super::{Finding, Verdict};

/// Findings of the last windows, among which one is looked for again: an answer may have thousands.
const RECENT: usize = 256;

impl Verdict {
    /// Adds what was decided about another part of the same answer. Segments and spans must be those of the whole.
    pub fn absorb(&mut self, other: Self) {
        self.action = self.action.max(other.action);
        self.would = self.would.max(other.would);
        for hit in other.hits {
            match self.hits.iter_mut().find(|known| known.rule == hit.rule) {
                Some(known) => {
                    known.segments.extend(hit.segments);
                    known.segments.sort_unstable();
                    known.segments.dedup();
                }
                None => self.hits.push(hit),
            }
        }
        self.hits.sort_by_key(|hit| std::cmp::Reverse(hit.action));
        add_new(&mut self.redactions, other.redactions);
        for finding in other.findings {
            // The same place of a text is judged in more than one window: the surest counts.
            let same = |known: &&mut Finding| {
                known.signal == finding.signal
                    && known.segment == finding.segment
                    && meet(&known.span, &finding.span)
            };
            match self.findings.iter_mut().rev().take(RECENT).find(same) {
                Some(known) if known.score < finding.score => *known = finding,
                Some(_) => {}
                None => self.findings.push(finding),
            }
        }
        add_new(&mut self.failures, other.failures);
        self.coverage.characters += other.coverage.characters;
        self.coverage.judged += other.coverage.judged;
        self.coverage.media += other.coverage.media;
    }
}

/// Whether two spans have a byte in common; a whole text meets everything in it.
fn meet(a: &Option<Range<usize>>, b: &Option<Range<usize>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.start < b.end && b.start < a.end,
        _ => true,
    }
}

fn add_new<T: PartialEq>(known: &mut Vec<T>, others: Vec<T>) {
    for other in others {
        if !known.contains(&other) {
            known.push(other);
        }
    }
}
