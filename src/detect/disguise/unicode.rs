//! Disguises of Unicode: characters that are not seen, that turn the direction, or that look like others.

use std::ops::Range;

use unicode_normalization::{IsNormalized, UnicodeNormalization, char::is_combining_mark, is_nfkc_quick};
use unicode_security::confusable_detection::skeleton;

/// A character of a reading, and the bytes that it stands for. Half the size of a range of `usize`: there is one
/// of these for every character of a text.
pub(super) type Char = (char, Range<u32>);

/// What was found on the way; a score of 0 means nothing.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) invisible: Mark,
    pub(super) bidi: Mark,
    pub(super) confusable: Mark,
}

/// How sure, and from where to where.
#[derive(Clone, Debug, Default)]
pub(super) struct Mark {
    pub(super) score: f32,
    pub(super) span: Option<Range<u32>>,
}

impl Mark {
    pub(super) fn add(&mut self, score: f32, at: &Range<u32>) {
        self.score = self.score.max(score);
        self.span = Some(match self.span.take() {
            Some(span) => span.start.min(at.start)..span.end.max(at.end),
            None => at.clone(),
        });
    }
}

/// More marks than this on one letter are there to break it up.
const MARKS: usize = 2;

/// The characters of a text in compatibility form (NFKC, Unicode Annex 15), without what is not seen. The text is
/// shorter than 4 GiB.
pub(super) fn plain_characters(text: &str, seen: &mut Seen) -> Vec<Char> {
    let right_to_left = text.chars().any(is_right_to_left);
    let mut plain: Vec<Char> = Vec::with_capacity(text.len());
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let mut range = at as u32..(at + c.len_utf8()) as u32;
        if c.is_ascii() && characters.peek().is_none_or(|(_, next)| next.is_ascii()) {
            plain.push((c, range));
            continue;
        }
        if let Some(hidden) = tag_letter(c) {
            if !is_flag(&plain, text, at) {
                seen.invisible.add(1.0, &range);
                plain.push((hidden, range));
            }
            continue;
        }
        if let Some(score) = bidi_score(c, right_to_left) {
            seen.bidi.add(score, &range);
            continue;
        }
        if is_invisible(c) {
            let next = characters.peek().map(|(_, next)| *next);
            seen.invisible.add(invisible_score(plain.last().map(|(c, _)| *c), next), &range);
            continue;
        }
        let stands_alone = characters.peek().is_none_or(|(_, next)| !is_combining_mark(*next));
        if stands_alone && is_nfkc_quick(std::iter::once(c)) == IsNormalized::Yes {
            plain.push((c, range));
            continue;
        }
        let mut cluster = String::from(c);
        let mut marks = 0;
        while let Some((at, mark)) = characters.next_if(|(_, next)| is_combining_mark(*next)) {
            range.end = (at + mark.len_utf8()) as u32;
            marks += 1;
            if marks <= MARKS {
                cluster.push(mark);
            }
        }
        if marks > MARKS && c.is_ascii_alphabetic() {
            seen.invisible.add(0.8, &range);
            cluster.truncate(c.len_utf8());
        }
        let mut composed = cluster.nfkc();
        let first = composed.next().unwrap_or(c);
        plain.push((first, range.clone()));
        for c in composed {
            // Strokes and rings that no letter of ASCII is written with (`x̄` is, in formulas).
            if (first.is_ascii_alphabetic() || first == ' ') && is_combining_mark(c) {
                seen.invisible.add(0.5, &range);
            } else {
                plain.push((c, range.clone()));
            }
        }
    }
    plain
}

/// The letter that a tag character hides (U+E0020 to U+E007E mirror ASCII).
fn tag_letter(c: char) -> Option<char> {
    let hidden = u32::from(c).checked_sub(0xe_0000).filter(|code| *code < 0x80)?;
    char::from_u32(hidden).filter(|c| c.is_ascii_graphic() || *c == ' ').or(Some(' '))
}

/// Tags behind a black flag spell a region (Unicode Technical Standard 51).
fn is_flag(plain: &[Char], text: &str, at: usize) -> bool {
    let before = text[..at].chars().rev().take(7).find(|c| tag_letter(*c).is_none());
    before == Some('\u{1f3f4}') && plain.last().is_some_and(|(c, _)| *c == '\u{1f3f4}')
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}')
}

/// How suspicious a character that turns the direction is (Boucher and Anderson, "Trojan Source", 2021).
fn bidi_score(c: char, right_to_left: bool) -> Option<f32> {
    match c {
        // Overrides.
        '\u{202d}' | '\u{202e}' => Some(1.0),
        // Embeddings, isolates and their ends.
        '\u{202a}'..='\u{202c}' | '\u{2066}'..='\u{2069}' => Some(if right_to_left { 0.1 } else { 0.6 }),
        // Marks.
        '\u{200e}' | '\u{200f}' | '\u{61c}' => Some(if right_to_left { 0.0 } else { 0.2 }),
        _ => None,
    }
}

/// Characters without a shape: default ignorable code points (Unicode Annex 44) and blank letters.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0100}'..='\u{e01ef}')
}

/// Between letters of a script that needs none they are put to break words; joiners of emoji, of Indic scripts
/// and of Persian, soft hyphens of long words and byte order marks are in ordinary use.
fn invisible_score(before: Option<char>, next: Option<char>) -> f32 {
    let latin =
        |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic() || ('\u{c0}'..='\u{52f}').contains(&c));
    let strange = |c: Option<char>| c.is_some_and(is_invisible);
    if latin(before) && (latin(next) || strange(next)) { 0.7 } else { 0.0 }
}

/// Puts Latin letters in place of their look-alikes, in words that mix them, and in whole words when the text is
/// Latin besides (Unicode Technical Standard 39).
pub(super) fn undo_look_alikes(characters: &mut [Char], seen: &mut Mark) {
    let latin = characters.iter().filter(|(c, _)| c.is_ascii_alphabetic()).count();
    let foreign = characters.iter().filter(|(c, _)| is_foreign(*c)).count();
    if foreign == 0 {
        return;
    }
    let only_look_alikes = characters.iter().all(|(c, _)| !is_foreign(*c) || look_alike(*c).is_some());
    let words = words(characters);
    let count = |word: &Range<usize>, is: fn(char) -> bool| {
        characters[word.clone()].iter().filter(|(c, _)| is(*c)).count()
    };
    let is_mixed =
        |word: &Range<usize>| count(word, is_foreign) > 0 && count(word, |c| c.is_ascii_alphabetic()) > 0;
    // µm, Ωm, Δt: short ones are units and symbols, unless a long one shows what is meant.
    let mixes = words.iter().any(|word| word.len() >= 4 && is_mixed(word));
    let all_latin = only_look_alikes && latin > foreign;
    let chosen: Vec<(Range<usize>, bool)> = words
        .iter()
        .map(|word| (word.clone(), mixes && is_mixed(word)))
        .filter(|(word, mixed)| *mixed || all_latin && count(word, is_foreign) == word.len())
        .collect();
    for (word, mixed) in chosen {
        for (c, range) in &mut characters[word] {
            if let Some(ascii) = look_alike(*c).or_else(|| near_look_alike(*c).filter(|_| mixed)) {
                seen.add(if mixed { 1.0 } else { 0.7 }, range);
                *c = ascii;
            }
        }
    }
}

/// Runs of letters.
fn words(characters: &[Char]) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut at = 0;
    for run in characters.split(|(c, _)| !c.is_alphabetic()) {
        if !run.is_empty() {
            words.push(at..at + run.len());
        }
        at += run.len() + 1;
    }
    words
}

/// A letter of a script whose letters look like Latin ones: Greek, Cyrillic, Armenian, Cherokee, and the letters
/// of phonetics.
fn is_foreign(c: char) -> bool {
    matches!(c, '\u{250}'..='\u{2af}' | '\u{370}'..='\u{58f}' | '\u{13a0}'..='\u{13ff}' | '\u{1d00}'..='\u{1d7f}'
        | '\u{2c80}'..='\u{2cff}' | '\u{a640}'..='\u{a69f}' | '\u{ab30}'..='\u{abbf}')
}

/// The ASCII letter that a foreign one looks like.
fn look_alike(c: char) -> Option<char> {
    if !is_foreign(c) {
        return None;
    }
    let mut buffer = [0; 4];
    let mut alike = skeleton(c.encode_utf8(&mut buffer));
    match (alike.next(), alike.next()) {
        (Some(one), None) if one.is_ascii_alphabetic() => Some(one),
        _ => None,
    }
}

/// Letters that are only near in shape, taken for Latin ones in words that mix scripts.
fn near_look_alike(c: char) -> Option<char> {
    Some(match c {
        'к' | 'κ' => 'k',
        'м' => 'm',
        'т' | 'τ' => 't',
        'в' | 'ь' | 'β' => 'b',
        'н' => 'h',
        'и' | 'п' | 'η' => 'n',
        'г' => 'r',
        'ω' | 'ш' => 'w',
        'ε' | 'є' => 'e',
        'λ' => 'l',
        'σ' => 'o',
        'υ' => 'u',
        'ν' => 'v',
        'з' => 'z',
        _ => return None,
    })
}
