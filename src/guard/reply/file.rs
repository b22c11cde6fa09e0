//! One file of texts: `replies:` and `notices:`, each a name and a text.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

use super::error::{RepliesError, Spot};

/// The placeholders that a text may contain.
pub(super) const HELPLINES: &str = "{helplines}";
pub(super) const EMERGENCY: &str = "{emergency}";

/// Names of replies and notices that an operator adds begin so; a misspelt one of ours is never taken for one.
pub(super) const OWN: &str = "x-";

/// A reply or a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Reply,
    Notice,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Notice => "notice",
        }
    }
}

/// A file as it is written: only its shape is checked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TextFile {
    pub(super) replies: Entries,
    pub(super) notices: Entries,
}

/// A mapping in the order of the file, with the place of every key.
#[derive(Debug, Default)]
pub(super) struct Entries(pub(super) Vec<(Spanned<String>, String)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names to texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Reads YAML of any shape; an error says where and what.
pub(super) fn parse<T: DeserializeOwned>(yaml: &str, path: &Path) -> Result<T, RepliesError> {
    serde_saphyr::from_str(yaml).map_err(|error| {
        let spot = Spot::new(path, error.location().unwrap_or(Location::UNKNOWN));
        let plain = serde_saphyr::render_options! { snippets: serde_saphyr::SnippetMode::Off };
        RepliesError::Yaml { spot, message: error.render_with_options(plain) }
    })
}

/// Checks one kind of entries and adds them to `texts`, over what is there. `known` are the names that exist.
pub(super) fn add(
    entries: Entries,
    kind: Kind,
    known: &[&str],
    path: &Path,
    texts: &mut BTreeMap<String, String>,
) -> Result<(), RepliesError> {
    for (name, text) in entries.0 {
        let spot = || Spot::new(path, name.referenced);
        let text = text.trim();
        if !known.contains(&name.value.as_str()) && !name.value.starts_with(OWN) {
            let hint = hint(&name.value, known);
            return Err(RepliesError::UnknownName {
                spot: spot(),
                kind: kind.as_str(),
                name: name.value,
                hint,
            });
        }
        if text.is_empty() {
            return Err(RepliesError::Empty { spot: spot(), name: name.value });
        }
        if let Some(found) = stray_brace(text) {
            return Err(RepliesError::Placeholder { spot: spot(), name: name.value, found });
        }
        texts.insert(name.value, text.to_owned());
    }
    Ok(())
}

/// What to write instead of an unknown name.
fn hint(name: &str, known: &[&str]) -> String {
    let nearest =
        known.iter().max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    let own = format!("a name of your own begins with `{OWN}`");
    match nearest.filter(|known| strsim::jaro_winkler(name, known) > 0.8) {
        Some(known) => format!("did you mean `{known}`? ({own})"),
        None => format!("expected one of {}; {own}", known.join(", ")),
    }
}

/// The first use of braces that is not a placeholder.
fn stray_brace(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let here = &rest[at..];
        let placeholder = [HELPLINES, EMERGENCY].into_iter().find(|known| here.starts_with(known));
        match placeholder {
            Some(known) => rest = &here[known.len()..],
            None => {
                let end = here.find('}').map_or(here.len(), |end| end + 1);
                return Some(here[..end].chars().take(40).collect());
            }
        }
    }
    None
}
