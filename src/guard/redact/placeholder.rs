//! How a placeholder may look when it comes back from a model.
//!
//! Models copy `<EMAIL_1>` mostly as it is, but they also change its case, drop the brackets for backticks,
//! and escape it for the format they write: HTML (`&lt;EMAIL_1&gt;`), Markdown (`\<EMAIL\_1\>`), JSON
//! (`\u003cEMAIL_1\u003e`, doubled backslashes when JSON stands inside JSON).

/// The longest name between the brackets, in bytes, with separators as the model wrote them.
const MAX_NAME: usize = 96;

/// What a text of the answer is written in: it decides how a restored value is escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    /// Words for a person: values come back as they were.
    #[default]
    Text,
    /// JSON, such as the arguments of a tool call: values are escaped as inside a JSON string (RFC 8259,
    /// section 7).
    Json,
}

/// The way a placeholder is bracketed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brackets {
    /// `<EMAIL_1>`
    Plain,
    /// `&lt;EMAIL_1&gt;`
    Html,
    /// `\<EMAIL_1\>`
    Markdown,
    /// `` `EMAIL_1` ``
    Backticks,
    /// `\u003cEMAIL_1\u003e`, with this many backslashes before each `u`.
    Json(usize),
}

impl Brackets {
    /// Every way, tried in this order; a text can match only one of them.
    const ALL: [Self; 7] = [
        Self::Plain,
        Self::Html,
        Self::Markdown,
        Self::Backticks,
        Self::Json(1),
        Self::Json(2),
        Self::Json(4),
    ];

    fn open(self) -> &'static str {
        match self {
            Self::Plain => "<",
            Self::Html => "&lt;",
            Self::Markdown => r"\<",
            Self::Backticks => "`",
            Self::Json(1) => r"\u003c",
            Self::Json(2) => r"\\u003c",
            Self::Json(_) => r"\\\\u003c",
        }
    }

    fn close(self) -> &'static str {
        match self {
            Self::Plain => ">",
            Self::Html => "&gt;",
            Self::Markdown => r"\>",
            Self::Backticks => "`",
            Self::Json(1) => r"\u003e",
            Self::Json(2) => r"\\u003e",
            Self::Json(_) => r"\\\\u003e",
        }
    }
}

/// What stands at the start of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    /// No placeholder, whatever follows.
    No,
    /// The text ends before it is decided; the name so far, in its normal form, for ruling it out early.
    Partial(String),
    /// A placeholder of this many bytes.
    Whole { len: usize, name: String, brackets: Brackets },
}

/// Where in `text` a placeholder can begin, from byte `from` on. A backslash right after another one is
/// not a beginning: it belongs to the run that began before it.
pub(super) fn next_opener(text: &str, from: usize, after_backslash: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    (from..bytes.len()).find(|&at| match bytes[at] {
        b'<' | b'&' | b'`' => true,
        b'\\' if at == 0 => !after_backslash,
        b'\\' => bytes[at - 1] != b'\\',
        _ => false,
    })
}

/// Looks for a placeholder at the very start of `text`. Reads a bounded number of bytes.
pub(super) fn at_start(text: &str) -> Candidate {
    let mut undecided = None;
    for brackets in Brackets::ALL {
        match after(text, brackets.open()) {
            Prefix::Matches(rest) => match in_brackets(rest, text.len() - rest.len(), brackets) {
                Candidate::No => {}
                found => return found,
            },
            Prefix::TextEnds => undecided = Some(Candidate::Partial(String::new())),
            Prefix::Differs => {}
        }
    }
    undecided.unwrap_or(Candidate::No)
}

/// Calls `visit` with every name in `text` that a placeholder could have, known or not, in its normal form:
/// in brackets of any kind, or bare (`EMAIL_1`, for a model may put brackets around what it repeats). Every
/// backslash counts as a beginning here: the one before it may be redacted away.
pub(super) fn each_name(text: &str, mut visit: impl FnMut(String)) {
    for (opener, _) in text.match_indices(['<', '&', '`', '\\']) {
        if let Candidate::Whole { name, .. } = at_start(&text[opener..]) {
            visit(name);
        }
    }
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '\\');
    for bare in text.split(|c| !word(c)).map(|bare| bare.trim_end_matches(['_', '-', '\\'])) {
        // Most words end here, before anything is copied.
        if bare.len() > MAX_NAME || !bare.ends_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let mut name = String::new();
        for c in bare.chars().filter(|c| *c != '\\') {
            if c.is_ascii_alphanumeric() {
                name.push(c.to_ascii_uppercase());
            } else {
                separate(&mut name);
            }
        }
        if name.rsplit_once('_').is_some_and(|(_, number)| number.bytes().all(|b| b.is_ascii_digit())) {
            visit(name);
        }
    }
}

enum Prefix<'a> {
    Matches(&'a str),
    TextEnds,
    Differs,
}

/// Reads `literal` (ASCII) at the start of `text`, whatever its case.
fn after<'a>(text: &'a str, literal: &str) -> Prefix<'a> {
    let common = text.len().min(literal.len());
    if !text.as_bytes()[..common].eq_ignore_ascii_case(&literal.as_bytes()[..common]) {
        Prefix::Differs
    } else if common < literal.len() {
        Prefix::TextEnds
    } else {
        Prefix::Matches(&text[common..])
    }
}

/// Reads a name and the closing bracket; `before` is the length of the opening one.
fn in_brackets(rest: &str, before: usize, brackets: Brackets) -> Candidate {
    let mut name = String::new();
    let mut chars = rest.bytes().enumerate().peekable();
    while let Some((at, byte)) = chars.next() {
        if at >= MAX_NAME {
            return Candidate::No;
        }
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => name.push(byte.to_ascii_uppercase() as char),
            // Separators of any kind count as one underscore, at the ends as none. Not so a space between
            // backticks: `Email 1` is too likely the model's own words.
            b'_' | b'-' => separate(&mut name),
            b' ' if brackets != Brackets::Backticks => separate(&mut name),
            b'\\' if matches!(chars.peek(), Some((_, b'_'))) => {}
            _ => {
                name.truncate(name.trim_end_matches('_').len());
                return match after(&rest[at..], brackets.close()) {
                    Prefix::Matches(tail) if !name.is_empty() => {
                        Candidate::Whole { len: before + rest.len() - tail.len(), name, brackets }
                    }
                    Prefix::TextEnds => Candidate::Partial(name),
                    // A backslash that ends the text may still turn out to escape an underscore.
                    _ if byte == b'\\' && at + 1 == rest.len() => Candidate::Partial(name),
                    _ => Candidate::No,
                };
            }
        }
    }
    Candidate::Partial(name)
}

fn separate(name: &mut String) {
    if !name.is_empty() && !name.ends_with('_') {
        name.push('_');
    }
}
