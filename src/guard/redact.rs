//! Redaction: values leave a text as placeholders, and may come back in the answer.
//!
//! A value that comes back is a *pseudonym* (`<EMAIL_1>`): the model sees that the same person is meant
//! twice, never who. A value that does not come back is *masked* (`[EMAIL]`).

mod placeholder;
mod restore;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use crate::verdict::Redaction;
pub use placeholder::Syntax;
pub use restore::Restorer;

/// The longest label that a placeholder carries, in bytes; longer signal names are cut.
const MAX_LABEL: usize = 40;

/// The pseudonyms of one request: which value stands behind which placeholder.
///
/// The same value of the same kind always gets the same placeholder. Values are compared letter by letter:
/// `4111 1111 1111 1111` and `4111111111111111` are two placeholders, so that each comes back exactly as it
/// was written.
///
/// `Debug` shows the placeholders and hides the values.
#[derive(Clone, Default)]
pub struct Pseudonyms {
    /// Label -> value -> placeholder name.
    names: HashMap<String, HashMap<String, String>>,
    /// Placeholder name such as `EMAIL_1` -> value; shared with the restorers of running streams.
    originals: Arc<BTreeMap<String, String>>,
    /// Placeholder names that the request's own texts contain; they are never given out.
    taken: BTreeSet<String>,
    /// Label -> the last number given out.
    last: HashMap<String, u64>,
}

impl Pseudonyms {
    /// Pseudonyms for a request with these texts. Give all of them, also those without a redaction: a
    /// placeholder that stands in any of them is not used, so what the model repeats is never confused.
    pub fn for_request<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut pseudonyms = Self::default();
        for text in texts {
            pseudonyms.reserve(text);
        }
        pseudonyms
    }

    /// Keeps the placeholder names that `text` contains from being given out. Linear in its length.
    fn reserve(&mut self, text: &str) {
        placeholder::each_name(text, |name| {
            // A name that was already given out is ours: the text was redacted before.
            if !self.originals.contains_key(&name) {
                self.taken.insert(name);
            }
        });
    }

    /// Takes the redactions of one segment out of its text: pseudonyms where the value is to come back in
    /// the answer, masks elsewhere. Spans are bytes of `text`; what overlaps or lies outside is cut to fit, a
    /// span inside a character is widened, so that no part of a value is left.
    pub fn apply(&mut self, text: &str, redactions: &[&Redaction]) -> String {
        self.reserve(text);
        replace_spans(text, redactions, |redaction, value| {
            let label = label(&redaction.signal);
            if redaction.restore {
                format!("<{}>", self.name_for(label, value))
            } else {
                format!("[{label}]")
            }
        })
    }

    fn name_for(&mut self, label: String, value: &str) -> String {
        if let Some(name) = self.names.get(&label).and_then(|of_label| of_label.get(value)) {
            return name.clone();
        }
        let number = self.last.entry(label.clone()).or_default();
        let name = loop {
            *number += 1;
            let name = format!("{label}_{number}");
            if !self.taken.contains(&name) {
                break name;
            }
        };
        Arc::make_mut(&mut self.originals).insert(name.clone(), value.to_owned());
        self.names.entry(label).or_default().insert(value.to_owned(), name.clone());
        name
    }

    /// Puts the originals back into a whole text of the answer; see [`Restorer`] for what is recognised.
    pub fn restore(&self, text: &str, syntax: Syntax) -> String {
        let mut restorer = self.restorer(syntax);
        let mut restored = restorer.push(text);
        restored.push_str(&restorer.finish());
        restored
    }

    /// Puts the originals back into one streamed text of the answer, piece by piece. It knows the
    /// pseudonyms given out so far.
    pub fn restorer(&self, syntax: Syntax) -> Restorer {
        Restorer::new(self.originals.clone(), syntax)
    }

    /// Whether nothing was replaced by a pseudonym: there is nothing to restore.
    pub fn is_empty(&self) -> bool {
        self.originals.is_empty()
    }

    /// How many values have a pseudonym.
    pub fn len(&self) -> usize {
        self.originals.len()
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms").field("placeholders", &self.originals.keys()).finish_non_exhaustive()
    }
}

/// Masks all redactions of one segment, also those that a policy wants restored: for answers, where a value
/// that came back would undo its redaction. Spans as in [`Pseudonyms::apply`].
pub fn mask(text: &str, redactions: &[&Redaction]) -> String {
    replace_spans(text, redactions, |redaction, _| masked(&redaction.signal))
}

/// What stands for a masked value.
pub fn masked(signal: &str) -> String {
    format!("[{}]", label(signal))
}

/// The label of a signal's placeholders: its last part in capitals, `pii.credit_card` -> `CREDIT_CARD`.
pub fn label(signal: &str) -> String {
    let part = signal.rsplit('.').next().unwrap_or_default();
    let words = part.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut label = words.collect::<Vec<_>>().join("_").to_ascii_uppercase();
    label.truncate(MAX_LABEL);
    let label = label.trim_end_matches('_');
    if label.is_empty() { "VALUE".into() } else { label.into() }
}

/// Replaces the span of every redaction by what `put` makes of it and of the text that stood there.
fn replace_spans(
    text: &str,
    redactions: &[&Redaction],
    mut put: impl FnMut(&Redaction, &str) -> String,
) -> String {
    let mut in_order = redactions.to_vec();
    in_order.sort_by_key(|redaction| (redaction.span.start, redaction.span.end));
    let mut replaced = String::with_capacity(text.len());
    let mut at = 0;
    for redaction in in_order {
        let start = text.floor_char_boundary(redaction.span.start).max(at);
        let end = text.ceil_char_boundary(redaction.span.end);
        let Some(value) = text.get(start..end).filter(|value| !value.is_empty()) else { continue };
        replaced.push_str(&text[at..start]);
        replaced.push_str(&put(redaction, value));
        at = end;
    }
    replaced.push_str(&text[at..]);
    replaced
}

#[cfg(test)]
mod tests;
