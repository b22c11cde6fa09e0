//! What the user reads: replies that decline politely and notices beside an answer, in the user's language.
//!
//! The texts are `policies/replies/<language>.yaml` and `policies/replies/helplines.yaml`; they are part of
//! the binary, and a directory of such files replaces them key by key.

mod error;
mod file;
mod helplines;
mod language;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use crate::{
    message::Direction,
    verdict::{Hazard, NoticeAt, OnFailure, Verdict},
};
pub use error::{RepliesError, Spot};
use file::{Kind, TextFile};
use helplines::Helplines;
pub use language::region_of;
use language::{ENGLISH, LANGUAGES};

/// The reply when nothing more fitting is known.
pub const GENERIC: &str = "generic";
/// The reply when it was the answer, not the question, that was stopped.
pub const OUTPUT: &str = "output";
/// The reply when a guard could not run and the policy is closed.
pub const UNAVAILABLE: &str = "unavailable";

/// Replies beside those that are named after the hazards.
const MORE_REPLIES: [&str; 8] =
    ["jailbreak", "injection", "crisis", "secret", "personal-data", UNAVAILABLE, OUTPUT, GENERIC];

/// The notices.
const NOTICES: [&str; 8] = [
    "not-a-doctor",
    "not-a-lawyer",
    "not-financial-advice",
    "sensitive-topic",
    "check-facts",
    "support",
    "redacted",
    "general",
];

/// Every built-in reply name.
fn reply_names() -> Vec<&'static str> {
    Hazard::ALL.iter().map(|hazard| hazard.as_str()).chain(MORE_REPLIES).collect()
}

/// The texts of one language, by name.
#[derive(Clone, Debug, Default)]
struct Texts {
    replies: BTreeMap<String, String>,
    notices: BTreeMap<String, String>,
}

impl Texts {
    fn of(&self, kind: Kind) -> &BTreeMap<String, String> {
        match kind {
            Kind::Reply => &self.replies,
            Kind::Notice => &self.notices,
        }
    }

    fn add(&mut self, file: TextFile, path: &Path) -> Result<(), RepliesError> {
        file::add(file.replies, Kind::Reply, &reply_names(), path, &mut self.replies)?;
        file::add(file.notices, Kind::Notice, &NOTICES, path, &mut self.notices)
    }
}

/// Every reply and notice in every language, and the help lines.
#[derive(Clone, Debug)]
pub struct Replies {
    /// Language tag in lower case -> texts. English has every name.
    languages: BTreeMap<String, Texts>,
    helplines: Helplines,
}

/// What a user reads instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The text.
    pub text: String,
    /// The name of the reply it was made from.
    pub reply: String,
    /// The tag of the language it is written in, such as `de`.
    pub language: String,
}

impl Replies {
    /// The texts in the box.
    pub fn builtin() -> Self {
        static BUILTIN: LazyLock<Replies> =
            LazyLock::new(|| Replies::parse_builtin().expect("the built-in replies are valid"));
        BUILTIN.clone()
    }

    fn parse_builtin() -> Result<Self, RepliesError> {
        let mut languages = BTreeMap::new();
        for language in LANGUAGES {
            let path = PathBuf::from(format!("policies/replies/{}.yaml", language.code));
            let mut texts = Texts::default();
            texts.add(file::parse(language.texts, &path)?, &path)?;
            languages.insert(language.code.to_owned(), texts);
        }
        Ok(Self { languages, helplines: Helplines::builtin()? })
    }

    /// The texts in the box, overridden key by key by the files `<language>.yaml` and `helplines.yaml`
    /// (region by region) of a directory. A file for a new language adds it; a name of the operator's own
    /// begins with `x-` and needs an English text. Files that are not YAML are passed over.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line and column; nothing is used then.
    pub fn load(dir: &Path) -> Result<Self, RepliesError> {
        let mut replies = Self::builtin();
        let mut own = Vec::new();
        let files = yaml_files(dir)?;
        if files.is_empty() {
            return Err(RepliesError::Nothing(dir.to_owned()));
        }
        for path in files {
            let yaml = fs::read_to_string(&path)
                .map_err(|source| RepliesError::Read { path: path.clone(), source })?;
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if stem == "helplines" {
                replies.helplines.override_with(&yaml, &path)?;
                continue;
            }
            let tag = language::normal(stem);
            if !language::is_tag(&tag) {
                return Err(RepliesError::Language(path));
            }
            let texts: TextFile = file::parse(&yaml, &path)?;
            for (kind, entries) in [(Kind::Reply, &texts.replies), (Kind::Notice, &texts.notices)] {
                let named = entries.0.iter().filter(|(name, _)| name.value.starts_with(file::OWN));
                own.extend(
                    named.map(|(name, _)| (kind, name.value.clone(), Spot::new(&path, name.referenced))),
                );
            }
            replies.languages.entry(tag).or_default().add(texts, &path)?;
        }
        for (kind, name, spot) in own {
            if !replies.languages[ENGLISH].of(kind).contains_key(&name) {
                return Err(RepliesError::NoEnglish { spot, kind: kind.as_str(), name });
            }
        }
        Ok(replies)
    }

    /// The names that a rule's `reply` may have.
    pub fn names(&self) -> BTreeSet<String> {
        self.languages[ENGLISH].replies.keys().cloned().collect()
    }

    /// The names that a rule's `notice` may have.
    pub fn notices(&self) -> BTreeSet<String> {
        self.languages[ENGLISH].notices.keys().cloned().collect()
    }

    /// The tags of the languages with texts of their own.
    pub fn languages(&self) -> BTreeSet<String> {
        self.languages.keys().cloned().collect()
    }

    /// What is read in English for want of a translation: `(language, name)`. A regional variant such as
    /// `pt-br` falls back to its language first.
    pub fn missing(&self) -> Vec<(String, String)> {
        let mut missing = Vec::new();
        for tag in self.languages.keys() {
            for kind in [Kind::Reply, Kind::Notice] {
                for name in self.languages[ENGLISH].of(kind).keys() {
                    if tag != ENGLISH && self.find(kind, name, tag).is_some_and(|(found, _)| found == ENGLISH)
                    {
                        missing.push((tag.clone(), name.clone()));
                    }
                }
            }
        }
        missing
    }

    /// The reply of that name, in a language given as a BCP 47 tag (`pt-BR`) or ISO 639-3 code (`cmn`), with
    /// the help lines of a region (ISO 3166-1), or of the language's main regions. English where the language
    /// is unknown, `generic` where the name is.
    pub fn reply(&self, name: &str, language: &str, region: Option<&str>) -> String {
        self.refusal(name, language, region).text
    }

    /// The notice of that name, as [`Replies::reply`]; `general` where the name is unknown.
    pub fn notice(&self, name: &str, language: &str, region: Option<&str>) -> String {
        let (_, text) = self
            .find(Kind::Notice, name, language)
            .or_else(|| self.find(Kind::Notice, "general", language))
            .expect("the built-in English notices are complete");
        self.fill(text, language, region)
    }

    fn refusal(&self, name: &str, language: &str, region: Option<&str>) -> Refusal {
        let found = self.find(Kind::Reply, name, language).map(|found| (name, found));
        let (name, (tag, text)) = found
            .or_else(|| self.find(Kind::Reply, GENERIC, language).map(|found| (GENERIC, found)))
            .expect("the built-in English replies are complete");
        Refusal { text: self.fill(text, language, region), reply: name.into(), language: tag.into() }
    }

    /// The text of that name in the nearest language that has it: the tag itself, its language, English.
    fn find(&self, kind: Kind, name: &str, language: &str) -> Option<(&str, &str)> {
        let tag = language::normal(language);
        let primary = match language::builtin(language) {
            Some(builtin) => builtin.code,
            None => tag.split('-').next().unwrap_or_default(),
        };
        [&tag, primary, ENGLISH].into_iter().find_map(|tag| {
            let (tag, texts) = self.languages.get_key_value(tag)?;
            Some((tag.as_str(), texts.of(kind).get(name)?.as_str()))
        })
    }

    fn fill(&self, text: &str, language: &str, region: Option<&str>) -> String {
        let mut text = text.to_owned();
        if text.contains(file::HELPLINES) {
            text = text.replace(file::HELPLINES, &self.helplines.list(region, language));
        }
        if text.contains(file::EMERGENCY) {
            text = text.replace(file::EMERGENCY, &self.helplines.emergency(region, language));
        }
        text
    }
}

/// The YAML files of a directory, in order of name.
fn yaml_files(dir: &Path) -> Result<Vec<PathBuf>, RepliesError> {
    let cant_read = |source| RepliesError::Read { path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(cant_read)? {
        let path = entry.map_err(cant_read)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The text for a refused exchange, in the user's language.
///
/// The reply is the one that the deciding rule names; else, for an answer, `output`; else the rule's hazard;
/// else `generic`. A refusal that no rule decided comes from a guard that could not run: `unavailable`. An
/// answer about suicide or self-harm keeps its hazard's reply, for the help lines in it.
pub fn compose(verdict: &Verdict, replies: &Replies, language: &str, region: Option<&str>) -> Refusal {
    replies.refusal(reply_for(verdict), language, region)
}

fn reply_for(verdict: &Verdict) -> &str {
    let Some(rule) = verdict.decided_by() else {
        let closed = verdict.failures.iter().any(|(_, outcome)| *outcome == OnFailure::Closed);
        return if closed { UNAVAILABLE } else { GENERIC };
    };
    match (&rule.reply, verdict.direction, rule.hazard) {
        (Some(reply), _, _) => reply,
        (None, _, Some(Hazard::SuicideSelfHarm)) => Hazard::SuicideSelfHarm.as_str(),
        (None, Direction::Output, _) => OUTPUT,
        (None, Direction::Input, Some(hazard)) => hazard.as_str(),
        (None, Direction::Input, None) => GENERIC,
    }
}

/// Puts a notice beside an answer, a blank line between; an answer without text becomes the notice.
pub fn place_notice(text: &str, notice: &str, at: NoticeAt) -> String {
    if text.is_empty() {
        return notice.to_owned();
    }
    match at {
        NoticeAt::Before => format!("{notice}\n\n{text}"),
        NoticeAt::After => format!("{text}\n\n{notice}"),
    }
}

#[cfg(test)]
mod tests;
