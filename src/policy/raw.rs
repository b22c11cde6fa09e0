//! A policy as it is written. Only the shape is checked here; [`super::compile`] gives it meaning.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

/// A text with its place in the file.
pub(super) type Text = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPolicy {
    /// The version of the format.
    pub(super) demur: Spanned<u64>,
    pub(super) name: Option<Text>,
    pub(super) description: Option<String>,
    pub(super) mode: Option<Text>,
    pub(super) stream: Option<Text>,
    pub(super) input: Option<Text>,
    pub(super) media: Option<Text>,
    pub(super) extends: Option<Spanned<OneOrMany>>,
    pub(super) on_failure: Option<Spanned<RawOnFailure>>,
    /// Whether what is redacted from a question comes back in the answer.
    pub(super) restore: Option<bool>,
    #[serde(default)]
    pub(super) lists: BTreeMap<String, Spanned<RawSearch>>,
    /// Parts of regular expressions, which patterns name as `%{name}`.
    #[serde(default)]
    pub(super) fragments: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) patterns: BTreeMap<String, Spanned<RawSearch>>,
    #[serde(default)]
    pub(super) guidance: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) rules: Vec<Spanned<RawRule>>,
    #[serde(default)]
    pub(super) cases: Vec<Spanned<RawCase>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawOnFailure {
    All(String),
    /// By detector; `default` for the others.
    Each(BTreeMap<String, String>),
}

/// A named search: one text, several, or several with a hazard (`words` of a list, `any` of a pattern).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FullSearch {
    #[serde(alias = "words")]
    pub(super) any: Vec<String>,
    pub(super) hazard: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct RawSearch(pub(super) FullSearch);

impl<'de> Deserialize<'de> for RawSearch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SearchVisitor)
    }
}

/// Not an untagged enum: those read `no` and `123` as something else than a word.
struct SearchVisitor;

impl<'de> Visitor<'de> for SearchVisitor {
    type Value = RawSearch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list of texts, or `any` (or `words`) with a `hazard`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawSearch, E> {
        Ok(RawSearch(FullSearch { any: vec![text.to_owned()], hazard: None }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<RawSearch, A::Error> {
        let mut any = Vec::new();
        while let Some(text) = texts.next_element()? {
            any.push(text);
        }
        Ok(RawSearch(FullSearch { any, hazard: None }))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<RawSearch, A::Error> {
        FullSearch::deserialize(de::value::MapAccessDeserializer::new(members)).map(RawSearch)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) id: Text,
    /// One line for people: what the rule is for.
    pub(super) about: Option<String>,
    pub(super) on: Spanned<Vec<Text>>,
    pub(super) when: Text,
    #[serde(rename = "do")]
    pub(super) action: Text,
    pub(super) hazard: Option<Text>,
    pub(super) reply: Option<Text>,
    pub(super) notice: Option<Text>,
    pub(super) notice_at: Option<Text>,
    pub(super) guidance: Option<Text>,
    pub(super) restore: Option<bool>,
    pub(super) mode: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCase {
    pub(super) say: String,
    /// When given, it is judged as the answer to `say`.
    pub(super) answer: Option<String>,
    pub(super) role: Option<Text>,
    pub(super) place: Option<Text>,
    /// The name of the API key that it comes with.
    pub(super) key: Option<String>,
    /// What was said before.
    #[serde(default)]
    pub(super) turns: Vec<RawTurn>,
    pub(super) expect: Spanned<RawExpect>,
    /// One line for people: why the case is there.
    pub(super) why: Option<String>,
}

/// One message of a conversation: `{user: …}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawTurn {
    System(String),
    Developer(String),
    User(String),
    Assistant(String),
    Tool(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawExpect {
    Action(String),
    Full(FullExpect),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FullExpect {
    pub(super) action: String,
    pub(super) rule: Option<String>,
}
