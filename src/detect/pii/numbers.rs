//! Numbers as people write them: tokens joined by single separators, seen through every window of a few tokens.

use std::ops::Range;

/// The longest number that is looked at, in characters without separators: an IBAN has up to 34.
pub(super) const MAX_CHARS: usize = 34;
/// The most groups a number is written in: an IBAN of 34 in groups of four.
const MAX_GROUPS: usize = 9;

/// A maximal run of ASCII letters and digits.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Where it stands, in bytes.
    pub(super) span: Range<usize>,
    /// Whether it has a digit, and whether it has nothing else.
    pub(super) digit: bool,
    pub(super) all_digits: bool,
    /// What joins it to the next token: one of `- ./:+(`, or 0 when nothing simple does.
    pub(super) joint: u8,
}

/// All tokens of a text, in order.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 6);
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let start = at;
        let (mut digit, mut all_digits) = (false, true);
        while at < bytes.len() && bytes[at].is_ascii_alphanumeric() {
            let is_digit = bytes[at].is_ascii_digit();
            digit |= is_digit;
            all_digits &= is_digit;
            at += 1;
        }
        if let Some(last) = tokens.last_mut() {
            last.joint = joint(&text[last.span.end..start]);
        }
        tokens.push(Token { span: start..at, digit, all_digits, joint: 0 });
    }
    tokens
}

/// What a gap between two tokens stands for: single separators also with spaces around, and their typographic
/// variants (no-break, thin and figure spaces, the hyphens and dashes of U+2010 to U+2015, the minus sign).
fn joint(gap: &str) -> u8 {
    match gap {
        " " => return b' ',
        "-" => return b'-',
        _ if gap.len() > 5 => return 0,
        _ => {}
    }
    let mut found = 0;
    for char in gap.chars() {
        let sign = match char {
            ' ' | '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}' => b' ',
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' => b'-',
            '.' => b'.',
            '/' => b'/',
            ':' => b':',
            '+' => b'+',
            '(' => b'(',
            _ => return 0,
        };
        found = match (found, sign) {
            (0, sign) | (b' ', sign) => sign,
            (sign, b' ') => sign,
            _ => return 0,
        };
    }
    found
}

/// A number as a window over the tokens shows it.
#[derive(Debug)]
pub(super) struct Number<'a> {
    /// Its characters without separators, in upper case.
    pub(super) chars: &'a [u8],
    /// How many characters each group has.
    pub(super) groups: &'a [u8],
    /// What joins the groups, as [`Token::joint`] names it; one fewer than groups.
    pub(super) joints: &'a [u8],
    /// Whether it has letters in lower case.
    pub(super) lower: bool,
    /// Whether a space joins it to more digits on either side, so that it may be a part of something longer.
    pub(super) linked: bool,
}

impl Number<'_> {
    /// Whether it is written without separators.
    pub(super) fn is_bare(&self) -> bool {
        self.joints.is_empty()
    }

    /// Whether it is written in groups of these sizes with this joint throughout.
    pub(super) fn is_written(&self, groups: &[u8], joint: u8) -> bool {
        self.groups == groups && self.joints.iter().all(|found| *found == joint)
    }

    /// Whether it is written in groups of these sizes with exactly these joints between them.
    pub(super) fn has_form(&self, groups: &[u8], joints: &[u8]) -> bool {
        self.groups == groups && self.joints == joints
    }

    /// Whether it is bare, or in groups of these sizes joined by spaces or by hyphens throughout.
    pub(super) fn is_bare_or(&self, groups: &[u8]) -> bool {
        self.is_bare() || self.is_written(groups, b' ') || self.is_written(groups, b'-')
    }

    /// Whether it has nothing but digits.
    pub(super) fn is_digits(&self) -> bool {
        self.chars.iter().all(u8::is_ascii_digit)
    }
}

/// Calls `visit` with every window that could be a number and where it stands. Windows have a digit and start and
/// end where a person would start and end a number; at most nine windows start at a token, so this is linear.
pub(super) fn windows(text: &str, tokens: &[Token], mut visit: impl FnMut(&Number<'_>, Range<usize>)) {
    let bytes = text.as_bytes();
    for first in 0..tokens.len() {
        if !may_start(tokens, first) || !is_free_before(bytes, tokens, first) {
            continue;
        }
        let mut window = Window::new();
        let linked_before = first > 0 && is_linked(&tokens[first - 1], &tokens[first]);
        for (last, token) in tokens.iter().enumerate().skip(first).take(MAX_GROUPS) {
            if !window.push(&bytes[token.span.clone()]) {
                break;
            }
            if window.digit && is_free_after(bytes, tokens, last) {
                let linked = linked_before || tokens.get(last + 1).is_some_and(|next| is_linked(token, next));
                // The parenthesis that a joint opened belongs to the number, as in Hong Kong's `A123456(3)`.
                let closed = last > first
                    && tokens[last - 1].joint == b'('
                    && bytes.get(token.span.end) == Some(&b')');
                visit(&window.number(linked), tokens[first].span.start..token.span.end + usize::from(closed));
            }
            if token.joint == 0 {
                break;
            }
            window.joints[window.groups_len - 1] = token.joint;
        }
    }
}

/// The characters gathered so far.
struct Window {
    chars: [u8; MAX_CHARS],
    len: usize,
    groups: [u8; MAX_GROUPS],
    groups_len: usize,
    joints: [u8; MAX_GROUPS],
    lower: bool,
    digit: bool,
}

impl Window {
    fn new() -> Self {
        Self {
            chars: [0; MAX_CHARS],
            len: 0,
            groups: [0; MAX_GROUPS],
            groups_len: 0,
            joints: [0; MAX_GROUPS],
            lower: false,
            digit: false,
        }
    }

    /// Adds a token; false when it does not fit.
    fn push(&mut self, token: &[u8]) -> bool {
        if self.len + token.len() > MAX_CHARS {
            return false;
        }
        for byte in token {
            self.chars[self.len] = byte.to_ascii_uppercase();
            self.lower |= byte.is_ascii_lowercase();
            self.digit |= byte.is_ascii_digit();
            self.len += 1;
        }
        self.groups[self.groups_len] = token.len() as u8;
        self.groups_len += 1;
        true
    }

    fn number(&self, linked: bool) -> Number<'_> {
        Number {
            chars: &self.chars[..self.len],
            groups: &self.groups[..self.groups_len],
            joints: &self.joints[..self.groups_len - 1],
            lower: self.lower,
            linked,
        }
    }
}

/// Whether a number may start with this token: it has a digit, or is a short word joined to a token that has one
/// (the letters of `QQ 12 34 56 C`), or may be the first pair of a hardware address.
fn may_start(tokens: &[Token], at: usize) -> bool {
    let token = &tokens[at];
    if token.span.len() > MAX_CHARS {
        return false;
    }
    let short = token.span.len() <= 6 && token.joint != 0;
    token.digit
        || short && (matches!(token.joint, b':' | b'-') || tokens.get(at + 1).is_some_and(|next| next.digit))
}

fn is_linked(before: &Token, after: &Token) -> bool {
    before.joint == b' ' && before.all_digits && after.all_digits
}

/// Whether the text before a token lets a number start there: it is not the tail of a longer chain, a decimal
/// fraction, an amount of money or a path.
fn is_free_before(bytes: &[u8], tokens: &[Token], at: usize) -> bool {
    let start = tokens[at].span.start;
    let Some(before) = bytes[..start].last() else { return true };
    let after_digit = at > 0 && tokens[at - 1].digit && tokens[at - 1].span.end + 1 == start;
    match before {
        b'.' | b'-' | b':' | b'(' => !after_digit,
        b'+' | b'_' | b'/' | b'\\' | b'$' | b'^' | b'%' | b'~' => false,
        // Currency signs and Latin letters with marks end in such bytes; so do CJK characters, which carry on
        // without a space and must let a number start.
        0x80.. => {
            !std::str::from_utf8(last_char(&bytes[..start])).is_ok_and(|char| "€£¥₹₩₽₺÷×".contains(char))
        }
        _ => true,
    }
}

/// Whether the text after a token lets a number end there.
fn is_free_after(bytes: &[u8], tokens: &[Token], at: usize) -> bool {
    let end = tokens[at].span.end;
    let Some(after) = bytes.get(end) else { return true };
    let before_digit = tokens.get(at + 1).is_some_and(|next| next.digit && next.span.start == end + 1);
    match after {
        b'.' | b'-' | b':' | b'/' | b'(' => !before_digit,
        b'_' | b'@' | b'%' | b'\\' | b'^' => false,
        _ => true,
    }
}

/// The bytes of the last character.
fn last_char(bytes: &[u8]) -> &[u8] {
    let start = (0..bytes.len()).rev().take(4).find(|at| bytes[*at] & 0xC0 != 0x80).unwrap_or(0);
    &bytes[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<&str> {
        let mut seen = Vec::new();
        windows(text, &tokens(text), |_, span| seen.push(&text[span]));
        seen
    }

    #[test]
    fn windows_grow_over_joined_tokens() {
        assert_eq!(seen("is 12 34-56, ok"), ["is 12", "is 12 34-56", "12", "12 34-56", "34-56"]);
    }

    #[test]
    fn fractions_money_paths_and_tails_of_chains_start_no_number() {
        for text in ["0.123456789", "$123456789", "€123456789", "a/123456789", "1-123456789", "x_123456789"]
        {
            assert!(!seen(text).contains(&"123456789"), "{text}");
        }
        for text in ["号码123456789，", "(123456789)", "SSN:123456789.", "\"123456789\""] {
            assert!(seen(text).contains(&"123456789"), "{text}");
        }
    }

    #[test]
    fn typographic_separators_are_the_plain_ones() {
        for text in ["12\u{a0}34", "12 34", "12  34"] {
            assert_eq!(tokens(text)[0].joint, b' ', "{text}");
        }
        for text in ["12\u{2011}34", "12 - 34", "12-34"] {
            assert_eq!(tokens(text)[0].joint, b'-', "{text}");
        }
        assert_eq!(tokens("12--34")[0].joint, 0);
    }
}
