//! All texts in all languages: reading them, and finding the one to show.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use super::{
    GENERAL, GENERIC, NOTICES, Refusal,
    error::{RepliesError, Spot},
    file::{self, Kind, TextFile},
    helplines::Helplines,
    language::{self, ENGLISH, LANGUAGES},
    reply_names,
};

/// The texts of one language, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    pub(super) replies: BTreeMap<String, String>,
    pub(super) notices: BTreeMap<String, String>,
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
    pub(super) languages: BTreeMap<String, Texts>,
    pub(super) helplines: Helplines,
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
            .or_else(|| self.find(Kind::Notice, GENERAL, language))
            .expect("the built-in English notices are complete");
        self.fill(text, language, region)
    }

    /// The reply of that name with what it was made from.
    pub(super) fn refusal(&self, name: &str, language: &str, region: Option<&str>) -> Refusal {
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
