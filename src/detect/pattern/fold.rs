//! Case folding, one character for one, that keeps places.
//!
//! It follows the simple case folding of Unicode (`CaseFolding.txt`, status C and S), as the `regex` crate does
//! for `(?i)`: two characters that match each other there fold to the same one here.

use std::{borrow::Cow, ops::Range};

/// A folded text, with what is needed to find a place of it in the original.
pub(super) struct Folded<'a> {
    pub(super) text: Cow<'a, str>,
    /// Where places drift apart: from this place in the folded text on, the original's lies so much further.
    /// Empty when no character changed its length, which is nearly always.
    drift: Vec<(usize, isize)>,
}

impl<'a> Folded<'a> {
    /// ASCII is not copied: who searches it ignores its case.
    pub(super) fn new(text: &'a str) -> Self {
        if text.is_ascii() {
            return Self { text: Cow::Borrowed(text), drift: Vec::new() };
        }
        let mut folded = String::with_capacity(text.len());
        let mut drift = Vec::new();
        let mut by = 0;
        for c in text.chars() {
            let small = fold(c);
            folded.push(small);
            let change = c.len_utf8().cast_signed() - small.len_utf8().cast_signed();
            if change != 0 {
                by += change;
                drift.push((folded.len(), by));
            }
        }
        Self { text: Cow::Owned(folded), drift }
    }

    /// A range of the folded text as one of the original.
    pub(super) fn to_original(&self, range: &Range<usize>) -> Range<usize> {
        let place = |at: usize| {
            let before = self.drift.partition_point(|(from, _)| *from <= at);
            let by = before.checked_sub(1).map_or(0, |i| self.drift[i].1);
            at.saturating_add_signed(by)
        };
        place(range.start)..place(range.end)
    }
}

/// The simple case folding of a character.
pub(super) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    match c {
        // Characters that have a sibling with the same capital: their lower case is themselves.
        'ſ' => 's',
        'µ' => 'μ',
        'ς' => 'σ',
        'ϐ' => 'β',
        'ϑ' | 'ϴ' => 'θ',
        'ϕ' => 'φ',
        'ϖ' => 'π',
        'ϰ' => 'κ',
        'ϱ' => 'ρ',
        'ϵ' => 'ε',
        'ẛ' => 'ṡ',
        '\u{345}' | '\u{1fbe}' => 'ι',
        'ᲀ' => 'в',
        'ᲁ' => 'д',
        'ᲂ' => 'о',
        'ᲃ' => 'с',
        'ᲄ' | 'ᲅ' => 'т',
        'ᲆ' => 'ъ',
        'ᲇ' => 'ѣ',
        'ᲈ' => 'ꙋ',
        'ﬅ' => 'ﬆ',
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        _ => {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(one), None) => one,
                // One that becomes two (İ) has no simple folding.
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_regex_takes_for_one_folds_to_one() {
        let all = (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| c.is_lowercase() || c.is_uppercase());
        for c in all {
            let hir = regex_syntax::ParserBuilder::new()
                .case_insensitive(true)
                .build()
                .parse(&regex_syntax::escape(&c.to_string()))
                .unwrap();
            if let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = hir.kind() {
                for range in class.ranges() {
                    for sibling in range.start()..=range.end() {
                        assert_eq!(fold(sibling), fold(c), "{sibling} and {c}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn prop_places_map_back(text in "[aKſẞȺİß雪 ]{0,20}") {
            let folded = Folded::new(&text);
            let pairs = folded.text.char_indices().zip(text.char_indices());
            for ((at, small), (original, c)) in pairs {
                let range = folded.to_original(&(at..at + small.len_utf8()));
                prop_assert_eq!(range, original..original + c.len_utf8());
            }
        }
    }
}
