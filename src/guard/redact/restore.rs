//! Putting originals back into an answer that arrives piece by piece.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    ops::Bound::{Included, Unbounded},
    sync::Arc,
};

use super::placeholder::{self, Brackets, Candidate, Syntax};

/// Puts the originals back into one text of an answer, however it is cut: the result is the same for every
/// way to cut it. Only what may still become a known placeholder is held back, about 100 bytes at most.
///
/// Recognised, in any case and with `-`, ` ` or `\_` for `_` (no space between backticks): `<EMAIL_1>`, `&lt;EMAIL_1&gt;` (the value is
/// then escaped for HTML), `\<EMAIL_1\>`, `` `EMAIL_1` `` (the backticks stay), `\u003cEMAIL_1\u003e` (the
/// value is then escaped for JSON). Anything else, also a placeholder that was never given out, is left alone.
///
/// `Debug` hides the values.
pub struct Restorer {
    originals: Arc<BTreeMap<String, String>>,
    syntax: Syntax,
    /// What came but is not decided.
    held: String,
    /// Whether the last byte given out was a backslash.
    after_backslash: bool,
}

impl Restorer {
    pub(super) fn new(originals: Arc<BTreeMap<String, String>>, syntax: Syntax) -> Self {
        Self { originals, syntax, held: String::new(), after_backslash: false }
    }

    /// Takes the next piece and gives out everything that is decided.
    pub fn push(&mut self, piece: &str) -> String {
        if self.originals.is_empty() {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        self.advance(false)
    }

    /// Ends the text and gives out what was held back.
    pub fn finish(&mut self) -> String {
        self.advance(true)
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn advance(&mut self, at_end: bool) -> String {
        let text = std::mem::take(&mut self.held);
        let mut restored = String::with_capacity(text.len());
        // `text[..given]` is in `restored`; openers before `from` are known to open nothing.
        let (mut given, mut from) = (0, 0);
        let mut keep = text.len();
        while let Some(opener) = placeholder::next_opener(&text, from, self.after_backslash) {
            from = opener + 1;
            match placeholder::at_start(&text[opener..]) {
                Candidate::Whole { len, name, brackets } => {
                    if let Some(value) = self.originals.get(&name) {
                        restored.push_str(&text[given..opener]);
                        put(&mut restored, value, brackets, self.syntax);
                        given = opener + len;
                        from = given;
                    }
                }
                Candidate::Partial(name) if !at_end && self.may_become_known(&name) => {
                    keep = opener;
                    break;
                }
                Candidate::Partial(_) | Candidate::No => {}
            }
        }
        restored.push_str(&text[given..keep]);
        if let Some(last) = text[..keep].bytes().last() {
            self.after_backslash = last == b'\\';
        }
        text[keep..].clone_into(&mut self.held);
        restored
    }

    fn may_become_known(&self, name: &str) -> bool {
        // A separator at the end may be the last thing before the bracket, where it does not count.
        if self.originals.contains_key(name.trim_end_matches('_')) {
            return true;
        }
        let mut from_here = self.originals.range::<str, _>((Included(name), Unbounded));
        from_here.next().is_some_and(|(known, _)| known.starts_with(name))
    }
}

impl fmt::Debug for Restorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restorer")
            .field("placeholders", &self.originals.keys())
            .field("syntax", &self.syntax)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

/// Writes a value where its placeholder stood, escaped as its surroundings are.
fn put(out: &mut String, value: &str, brackets: Brackets, syntax: Syntax) {
    let mut value = Cow::Borrowed(value);
    // The brackets show how often the text was escaped already; plain ones inside JSON show nothing, but a
    // value there always stands inside a string.
    let times = match (brackets, syntax) {
        (Brackets::Json(backslashes), _) => backslashes.ilog2() + 1,
        (_, Syntax::Json) => 1,
        (_, Syntax::Text) => 0,
    };
    if brackets == Brackets::Html {
        value = escape_html(&value).into();
    }
    for _ in 0..times {
        value = escape_json(&value).into();
    }
    if brackets == Brackets::Backticks {
        out.push('`');
        out.push_str(&value);
        out.push('`');
    } else {
        out.push_str(&value);
    }
}

/// The inside of a JSON string that reads as `value`.
fn escape_json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Text that reads as `value` in HTML, inside an attribute too.
fn escape_html(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
