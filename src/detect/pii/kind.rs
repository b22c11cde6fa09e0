//! A kind of number: what it must look like, which check it must pass, and which words speak for it.

use super::numbers::Number;

/// How much a match that passed its check is worth: its score alone, and with one of its words near.
/// A score of 0 means that it is not reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Evidence {
    pub(super) alone: f32,
    pub(super) with_words: f32,
}

/// Confirmed: hardly any other number passes.
pub(super) const PROOF: Evidence = Evidence { alone: 1.0, with_words: 1.0 };
/// Written as only this kind is, and its check digit fits.
pub(super) const FORM: Evidence = Evidence { alone: 0.7, with_words: 1.0 };
/// Its check digit fits, as it does for about every tenth number of that length: it needs words.
pub(super) const DIGITS: Evidence = Evidence { alone: 0.0, with_words: 1.0 };
/// It has no check digit, only ranges and a form: it needs words.
pub(super) const SHAPE: Evidence = Evidence { alone: 0.0, with_words: 0.8 };

/// A kind of number.
pub(super) struct Kind {
    /// The signal it raises.
    pub(super) signal: &'static str,
    /// How many characters it has without separators.
    pub(super) lengths: &'static [usize],
    /// The words that name it, in its country's languages, as [`Words`](super::context::Words) reads them.
    pub(super) words: &'static str,
    /// Whether a number passes, and what that is worth.
    pub(super) check: fn(&Number<'_>) -> Option<Evidence>,
}

/// The evidence when `passes`, else nothing: the usual last line of a check.
pub(super) fn when(passes: bool, evidence: Evidence) -> Option<Evidence> {
    passes.then_some(evidence)
}
