//! Words that are spelled so that a search misses them: `b o m b`, `b.o.m.b`, `m4k3 4 b0mb`.

use super::unicode::{Char, Mark};

/// From so many letters that stand alone in a row they are one word.
const ALONE: usize = 4;

/// Joins letters that stand apart. Two separators between letters are the end of a word.
pub(super) fn join_letters(characters: &[Char], seen: &mut Mark) -> Vec<Char> {
    let mut joined = Vec::with_capacity(characters.len());
    let mut at = 0;
    while at < characters.len() {
        let word = characters[at..].iter().take_while(|(c, _)| c.is_alphanumeric()).count();
        let end = if word == 1 { row_of_letters(characters, at) } else { at + word.max(1) };
        let row = &characters[at..end];
        let letters: Vec<char> = row.iter().map(|(c, _)| *c).filter(|c| c.is_alphabetic()).collect();
        if word != 1 || letters.len() < ALONE {
            joined.extend_from_slice(row);
            at = end;
            continue;
        }
        let span = row[0].1.start..row[row.len() - 1].1.end;
        seen.add(if is_a_list(&letters) { 0.2 } else { 0.8 }, &span);
        for (i, character) in row.iter().enumerate() {
            let ends_a_word = i > 0 && is_separator(row[i - 1].0) && !character.0.is_alphabetic();
            if character.0.is_alphabetic() {
                joined.push(character.clone());
            } else if ends_a_word && joined.last().is_some_and(|(last, _)| *last != ' ') {
                joined.push((' ', character.1.clone()));
            }
        }
        at = end;
    }
    joined
}

/// Where a row of letters with separators between them ends that begins here with a letter or digit alone.
fn row_of_letters(characters: &[Char], start: usize) -> usize {
    let at = |i: usize| characters.get(i).map(|(c, _)| *c);
    let mut end = start + 1;
    loop {
        let gap = (end..end + 3).take_while(|i| at(*i).is_some_and(is_separator)).count();
        let next = end + gap;
        let is_alone =
            at(next).is_some_and(char::is_alphabetic) && !at(next + 1).is_some_and(char::is_alphanumeric);
        if gap == 0 || !is_alone {
            return end;
        }
        end = next + 1;
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '.' | '-' | '_' | '*' | '/' | '|' | '·' | '•' | '~' | '+' | ',')
}

/// `A B C D`, `a, b, c, d`, initials: letters that are meant one by one.
fn is_a_list(letters: &[char]) -> bool {
    let in_order = letters.windows(2).all(|pair| u32::from(pair[0]) + 1 == u32::from(pair[1]));
    in_order || letters.len() < 6 && letters.iter().all(|c| c.is_uppercase())
}

/// So many words with digits inside make a text leetspeak.
const WORDS: usize = 2;

/// Puts letters in place of the digits and signs that stand for them.
pub(super) fn undo_leetspeak(characters: &mut [Char], seen: &mut Mark) {
    let words = words(characters);
    let leet: Vec<_> = words.iter().filter(|(start, end)| is_leet(&characters[*start..*end])).collect();
    if leet.is_empty() {
        return;
    }
    let score = if leet.len() >= WORDS && leet.len() * 4 >= words.len() { 0.8 } else { 0.4 };
    for (start, end) in &leet {
        seen.add(score, &(characters[*start].1.start..characters[end - 1].1.end));
    }
    // Where one word is written like that, `th3` is too; where several are, also `t0` and `4`.
    let several = leet.len() >= WORDS;
    let chosen = words.iter().copied().filter(|(start, end)| {
        let word: Vec<char> = characters[*start..*end].iter().map(|(c, _)| *c).collect();
        could_be_leet(&word) || several && word.len() <= 2
    });
    let chosen: Vec<(usize, usize)> = chosen.collect();
    for (start, end) in chosen {
        for i in start..end {
            let doubled = characters[i].0 == '1'
                && (i > start && characters[i - 1].0 == 'l' || i + 1 < end && characters[i + 1].0 == '1');
            if let Some(letter) = letter_for(characters[i].0) {
                characters[i].0 = if doubled { 'l' } else { letter };
            }
        }
    }
}

/// Runs of letters, digits and the signs that stand for letters.
fn words(characters: &[Char]) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (i, (c, _)) in characters.iter().enumerate() {
        match (c.is_alphanumeric() || letter_for(*c).is_some(), start) {
            (true, None) => start = Some(i),
            (false, Some(from)) => {
                words.push((from, i));
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|from| (from, characters.len())));
    words
}

/// Whether a word is leetspeak beyond doubt: it has digits or signs between its letters.
fn is_leet(word: &[Char]) -> bool {
    let trimmed = word.len() - word.iter().rev().take_while(|(c, _)| matches!(c, '!' | '$' | '@')).count();
    let word: Vec<char> = word[..trimmed].iter().map(|(c, _)| *c).collect();
    let stands_for = |c: char| letter_for(c).is_some();
    let is_inner = |three: &[char]| {
        three[0].is_alphabetic() && stands_for(three[1]) && (three[2].is_alphabetic() || stands_for(three[2]))
    };
    could_be_leet(&word) && word.windows(3).any(is_inner)
}

/// Whether a word could be said when letters take the place of its digits and signs, and is no number, hash,
/// name in code or version.
fn could_be_leet(word: &[char]) -> bool {
    let letters = word.iter().filter(|c| c.is_alphabetic()).count();
    let stand_for = word.iter().filter(|c| letter_for(**c).is_some()).count();
    let could_be_hex = word.len() >= 6 && word.iter().all(char::is_ascii_hexdigit);
    let capitals = word.iter().skip(1).filter(|c| c.is_uppercase()).count();
    let mixed_case = capitals > 0 && word.iter().any(|c| c.is_lowercase());
    // Years and versions (`cafe2024`) stand at the end.
    let digits_at_the_end = word.iter().rev().take_while(|c| c.is_ascii_digit()).count();
    letters >= 2
        && stand_for >= 1
        && letters + 1 >= stand_for
        && letters + stand_for == word.len()
        && word.len() <= 24
        && !could_be_hex
        && !mixed_case
        && digits_at_the_end <= 1
}

/// The letter that a digit or sign stands for.
fn letter_for(c: char) -> Option<char> {
    Some(match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '8' => 'b',
        '9' => 'g',
        _ => return None,
    })
}
