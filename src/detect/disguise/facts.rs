//! One look at a text's bytes that says which disguises it can wear at all, so that plain text costs little.

use std::ops::Range;

use super::backwards;

/// What a text holds, as far as it matters for disguises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Anything that is not ASCII.
    pub(super) non_ascii: bool,
    /// The longest run of characters that encoded data is written in.
    pub(super) longest_run: usize,
    /// `%` before a hexadecimal digit.
    pub(super) percents: usize,
    /// `&` before `#` or a letter.
    pub(super) ampersands: usize,
    /// Backslashes before `u`, `x` or `U`, and `U+`.
    pub(super) escapes: usize,
    /// Digits and signs that stand between letters, as in `m4ke`.
    pub(super) inner: usize,
    /// The longest row of letters that stand alone, as in `b o m b`.
    pub(super) alone: usize,
    /// Tokens of exactly two hexadecimal digits in a row, as in `68 65 6c`.
    pub(super) pairs: usize,
    /// Dots and dashes side by side.
    pub(super) dots_and_dashes: usize,
    /// The weight of common words, turned.
    pub(super) turned: usize,
}

const LETTER: u8 = 1;
const DIGIT: u8 = 2;
/// What encoded data is written in besides letters and digits.
const CODE: u8 = 4;
/// What stands for a letter in leetspeak.
const SIGN: u8 = 8;
const HEX: u8 = 16;

/// The classes of every byte.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        table[i] = if b.is_ascii_alphabetic() { LETTER } else { 0 }
            | if b.is_ascii_digit() { DIGIT } else { 0 }
            | if matches!(b, b'+' | b'/' | b'_' | b'-') { CODE } else { 0 }
            | if matches!(b, b'@' | b'$' | b'!' | b'|') { SIGN } else { 0 }
            | if b.is_ascii_hexdigit() { HEX } else { 0 };
        i += 1;
    }
    table
};

/// The length of `0x68`.
const LONGEST_PAIR: usize = 4;

impl Facts {
    /// Looks at a text once.
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let class = |i: usize| bytes.get(i).map_or(0, |b| CLASS[usize::from(*b)]);
        let mut facts = Self { non_ascii: !text.is_ascii(), ..Self::default() };
        let (mut run, mut word, mut alone, mut pairs) = (0, 0, 0, 0);
        for (i, &b) in bytes.iter().enumerate() {
            let this = CLASS[usize::from(b)];
            // Most of most texts.
            if this & LETTER != 0 {
                run += 1;
                word += 1;
                continue;
            }
            if this & (LETTER | DIGIT | CODE) != 0 {
                run += 1;
            } else {
                facts.longest_run = facts.longest_run.max(run);
                run = 0;
            }
            if this & (LETTER | DIGIT) != 0 {
                word += 1;
            } else {
                if word > 0 {
                    facts.end_of_word(bytes, i - word..i, &mut alone, &mut pairs);
                }
                word = 0;
            }
            if this & (DIGIT | SIGN) != 0 {
                let between =
                    i > 0 && class(i - 1) & LETTER != 0 && class(i + 1) & (LETTER | DIGIT | SIGN) != 0;
                facts.inner += usize::from(between);
            }
            match b {
                b'%' => facts.percents += usize::from(class(i + 1) & HEX != 0),
                b'&' => {
                    let next = bytes.get(i + 1).copied();
                    facts.ampersands += usize::from(next == Some(b'#') || class(i + 1) & LETTER != 0);
                }
                b'\\' => facts.escapes += usize::from(matches!(bytes.get(i + 1), Some(b'u' | b'x' | b'U'))),
                b'+' => facts.escapes += usize::from(i > 0 && matches!(bytes[i - 1], b'U' | b'u')),
                b'.' | b'-' => {
                    facts.dots_and_dashes += usize::from(matches!(bytes.get(i + 1), Some(b'.' | b'-')));
                }
                _ => {}
            }
        }
        facts.longest_run = facts.longest_run.max(run);
        if word > 0 {
            facts.end_of_word(bytes, bytes.len() - word..bytes.len(), &mut alone, &mut pairs);
        }
        facts
    }

    /// Counts rows of single letters and of single bytes (`68` or `0x68`).
    #[inline]
    fn end_of_word(&mut self, bytes: &[u8], word: Range<usize>, alone: &mut usize, pairs: &mut usize) {
        let word = &bytes[word];
        let is_letter = word.len() == 1 && word[0].is_ascii_alphabetic();
        let digits = if word.len() == LONGEST_PAIR { word.strip_prefix(b"0x").unwrap_or(word) } else { word };
        let is_byte = digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit);
        *alone = if is_letter { *alone + 1 } else { 0 };
        *pairs = if is_byte { *pairs + 1 } else { 0 };
        self.alone = self.alone.max(*alone);
        self.pairs = self.pairs.max(*pairs);
        self.turned += backwards::turned_weight(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_seen_for_what_it_holds() {
        let facts = Facts::of(
            "m4ke b o m b %41%zz &#65; \\u0041 U+0041 68 65 6c .- é abcdefghijklmnop ENY gur thguo",
        );
        let expected = Facts {
            non_ascii: true,
            longest_run: 16,
            percents: 1,
            ampersands: 1,
            escapes: 2,
            inner: 2,
            alone: 4,
            pairs: 3,
            dots_and_dashes: 1,
            turned: 2,
        };
        assert_eq!(facts, expected);
        assert_eq!(Facts::of(""), Facts::default());
    }
}
