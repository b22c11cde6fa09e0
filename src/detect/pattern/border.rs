//! Whether parts of a regular expression can only begin, or end, beside a word and not within one. "Word" means
//! the letters and digits of ASCII and `_`: what stands beside a text can be looked at as a byte.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Which end of a part is looked at.
#[derive(Clone, Copy, PartialEq)]
enum End {
    First,
    Last,
}

/// Whether no word goes on where these parts begin, whatever they match; `None` when they may match nothing, and
/// what comes behind them decides.
pub(super) fn follows(parts: &[Hir]) -> Option<bool> {
    row(parts.iter(), End::First).decided()
}

/// Whether no word goes on behind these parts, whatever they match; `None` when they may match nothing, and what
/// comes before them decides.
pub(super) fn precedes(parts: &[Hir]) -> Option<bool> {
    row(parts.iter().rev(), End::Last).decided()
}

/// Whether a part keeps its end apart from a word.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Always,
    /// Whenever it matches anything at all.
    UnlessEmpty,
    No,
}

impl Beside {
    fn decided(self) -> Option<bool> {
        match self {
            Self::Always => Some(true),
            Self::UnlessEmpty => None,
            Self::No => Some(false),
        }
    }
}

fn row<'a>(parts: impl Iterator<Item = &'a Hir>, end: End) -> Beside {
    for part in parts {
        match beside(part, end) {
            Beside::UnlessEmpty => {}
            found => return found,
        }
    }
    Beside::UnlessEmpty
}

fn beside(hir: &Hir, end: End) -> Beside {
    let sure = |apart: bool| if apart { Beside::Always } else { Beside::No };
    match hir.kind() {
        HirKind::Empty => Beside::UnlessEmpty,
        HirKind::Look(look) => match (look, end) {
            (Look::End | Look::EndLF | Look::EndCRLF, End::First)
            | (Look::Start | Look::StartLF | Look::StartCRLF, End::Last) => Beside::Always,
            // Beside a letter; who asks drops the answer beside anything else.
            (Look::WordAscii | Look::WordUnicode, _) => Beside::Always,
            _ => Beside::UnlessEmpty,
        },
        HirKind::Literal(literal) => {
            let byte = if end == End::First { literal.0.first() } else { literal.0.last() };
            sure(byte.is_some_and(|byte| !is_word(*byte)))
        }
        HirKind::Class(class) => sure(!has_word(class)),
        HirKind::Repetition(repetition) => match beside(&repetition.sub, end) {
            Beside::Always if repetition.min == 0 => Beside::UnlessEmpty,
            found => found,
        },
        HirKind::Capture(capture) => beside(&capture.sub, end),
        HirKind::Concat(parts) if end == End::First => row(parts.iter(), end),
        HirKind::Concat(parts) => row(parts.iter().rev(), end),
        HirKind::Alternation(branches) => {
            let all: Vec<Beside> = branches.iter().map(|branch| beside(branch, end)).collect();
            if all.contains(&Beside::No) {
                Beside::No
            } else if all.contains(&Beside::UnlessEmpty) {
                Beside::UnlessEmpty
            } else {
                Beside::Always
            }
        }
    }
}

/// Whether this byte of a UTF-8 text is a letter or digit of ASCII, or `_`.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn has_word(class: &Class) -> bool {
    let words = (0..128_u8).filter(|byte| is_word(*byte));
    match class {
        Class::Unicode(class) => {
            let ranges = class.ranges();
            words
                .map(char::from)
                .any(|c| ranges.iter().any(|range| (range.start()..=range.end()).contains(&c)))
        }
        Class::Bytes(class) => {
            let ranges = class.ranges();
            words
                .into_iter()
                .any(|byte| ranges.iter().any(|range| (range.start()..=range.end()).contains(&byte)))
        }
    }
}
