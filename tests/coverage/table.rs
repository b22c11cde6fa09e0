//! A dialect's table: how its text fields are treated.

use serde::Deserialize;
use wildmatch::WildMatch;

/// What becomes of the text in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Treatment {
    /// A detector sees it.
    Judged,
    /// Neither the model nor a person reads it: ids, names of settings, cipher text.
    NotText,
    /// Images, audio and files: the policy says what becomes of them.
    PassedByPolicy,
    /// A body with it is not taken.
    Refused,
    /// The client's own words, judged in its request and said once more.
    Echoed,
}

/// One pattern and its treatment; the first that matches a field's path holds.
pub(crate) struct Entry {
    /// `*` stands for anything.
    pub(crate) pattern: WildMatch,
    pub(crate) treatment: Treatment,
}

pub(crate) struct Table {
    pub(crate) request: Vec<Entry>,
    pub(crate) response: Vec<Entry>,
    pub(crate) events: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    request: Vec<RawEntry>,
    response: Vec<RawEntry>,
    events: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    fields: Patterns,
    treatment: Treatment,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Patterns {
    One(String),
    Many(Vec<String>),
}

impl Table {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let raw: RawTable = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self {
            request: entries(raw.request)?,
            response: entries(raw.response)?,
            events: entries(raw.events)?,
        })
    }
}

fn entries(raw: Vec<RawEntry>) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for RawEntry { fields, treatment, why } in raw {
        let patterns = match fields {
            Patterns::One(pattern) => vec![pattern],
            Patterns::Many(patterns) => patterns,
        };
        if treatment != Treatment::Judged && why.is_none_or(|why| why.is_empty()) {
            return Err(format!("{patterns:?}: {treatment:?} needs a `why`"));
        }
        entries.extend(patterns.iter().map(|pattern| Entry { pattern: WildMatch::new(pattern), treatment }));
    }
    Ok(entries)
}
