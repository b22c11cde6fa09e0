//! What of a text can no longer become part of something that is taken out: personal data and secrets, which may reach
//! over several words.

/// How far apart, in words, the parts of one thing may stand: a street behind its number, a value behind its name.
const APART: usize = 5;
/// The most that is held back of words that may be part of something, in bytes: longer than any address or number.
const MOST: usize = 160;
/// The most that is held back of one word without an end, in bytes: longer than most tokens of access.
const MOST_OF_A_WORD: usize = 2048;
/// The most that is held back of a private key in PEM (RFC 7468), in bytes.
const MOST_OF_A_KEY: usize = 16 * 1024;
/// A word from here on is suspicious for its length alone.
const LONG: usize = 24;

/// The byte up to which the text is settled: what stands before it stays as it is, whatever follows.
pub(super) fn settled(text: &str) -> usize {
    let mut cut = open_key(text).unwrap_or(text.len());
    let mut end = text.len();
    if !text.ends_with(char::is_whitespace) {
        let start = word_start(text, end);
        if end - start <= MOST_OF_A_WORD {
            (cut, end) = (cut.min(start), start);
        }
    }
    // Words from the last one back, as long as a suspicious one is near.
    let (mut near, most) = (APART, text.len().saturating_sub(MOST));
    while near > 0 {
        let trimmed = text[..end].trim_end();
        if trimmed.is_empty() || trimmed.len() <= most {
            break;
        }
        let start = word_start(trimmed, trimmed.len());
        near -= 1;
        if is_suspicious(&trimmed[start..]) && start >= most {
            (cut, near) = (cut.min(start), APART);
        }
        end = start;
    }
    // A name may belong to what follows it: a month to its day.
    while let Some(before) = Some(text[..cut].trim_end()).filter(|before| !before.is_empty()) {
        let start = word_start(before, before.len());
        if start < most || !before[start..].starts_with(char::is_uppercase) {
            break;
        }
        cut = start;
    }
    cut
}

fn word_start(text: &str, end: usize) -> usize {
    text[..end].rfind(char::is_whitespace).map_or(0, |at| text.ceil_char_boundary(at + 1))
}

/// Whether a word may be part of something: it has a digit or a sign that such things have, or it is very long.
fn is_suspicious(word: &str) -> bool {
    word.len() >= LONG || word.chars().any(|c| c.is_numeric() || "@:=/\\+_<>[]{}()#$%&*|~\"'`-".contains(c))
}

/// Where a private key begins that has not ended.
fn open_key(text: &str) -> Option<usize> {
    let from = text.floor_char_boundary(text.len().saturating_sub(MOST_OF_A_KEY));
    let begin = from + text[from..].rfind("-----BEGIN")?;
    (!text[begin..].contains("-----END")).then_some(begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_are_settled_and_what_may_go_on_is_not() {
        let cases = [
            ("Just some words here ", "Just some words here "),
            ("Just some wor", "Just some "),
            ("call 0049 30 ", "call "),
            ("it was in March ", "it was in "),
            ("born on May 5, ", "born on "),
            ("She lives at 12 Baker ", "She lives at "),
            ("my password: ", "my "),
            ("after 5 come quite a few words more ", "after 5 come quite a few words more "),
            ("a -----BEGIN RSA PRIVATE KEY----- ab ", "a "),
        ];
        for (text, settled_part) in cases {
            assert_eq!(&text[..settled(text)], settled_part, "{text}");
        }
    }

    #[test]
    fn a_text_full_of_signs_is_not_held_forever() {
        let code = "let x = f(1); ".repeat(100);
        assert!(code.len() - settled(&code) <= MOST);
        let word = "a".repeat(5000);
        assert_eq!(settled(&word), word.len());
    }
}
