//! What can be wrong with a file of replies.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use serde_saphyr::Location;

/// A place in a file of replies, shown as `file:line:column`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 when only the file is known.
    pub line: u64,
    /// The column in characters, from 1.
    pub column: u64,
}

impl Spot {
    pub(super) fn new(file: &Path, location: Location) -> Self {
        Self { file: file.to_owned(), line: location.line(), column: location.column() }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{line}:{}", self.file.display(), self.column),
        }
    }
}

/// Why a directory of replies can't be used. The replies in use stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum RepliesError {
    /// The directory or a file can't be read.
    #[error("can't read `{}`: {source}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory holds no file of replies.
    #[error("`{}` holds no replies; expected files such as `en.yaml` or `helplines.yaml`", .0.display())]
    Nothing(PathBuf),
    /// A file's name is not a language.
    #[error("`{}` is not named after a language; expected a tag such as `en.yaml` or `pt-br.yaml`", .0.display())]
    Language(PathBuf),
    /// The file is not the YAML that was expected.
    #[error("{spot}: {message}")]
    Yaml {
        /// Where.
        spot: Spot,
        /// What is wrong, in the parser's words.
        message: String,
    },
    /// A reply or notice of that name does not exist.
    #[error("{spot}: unknown {kind} `{name}`; {hint}")]
    UnknownName {
        /// Where.
        spot: Spot,
        /// `reply` or `notice`.
        kind: &'static str,
        /// The name in the file.
        name: String,
        /// What to do about it.
        hint: String,
    },
    /// A text is empty.
    #[error("{spot}: `{name}` is empty; expected a text, or leave the key out to keep the built-in one")]
    Empty {
        /// Where.
        spot: Spot,
        /// The reply or notice.
        name: String,
    },
    /// A text uses braces for something that is not a placeholder.
    #[error(
        "{spot}: `{name}` contains `{found}`; expected `{{helplines}}` or `{{emergency}}`, and no other braces"
    )]
    Placeholder {
        /// Where.
        spot: Spot,
        /// The reply or notice.
        name: String,
        /// The braces and what is between them.
        found: String,
    },
    /// A name of the operator's own has no English text to fall back to.
    #[error(
        "{spot}: {kind} `{name}` has no English text; add it to `en.yaml`, which every language falls back to"
    )]
    NoEnglish {
        /// Where.
        spot: Spot,
        /// `reply` or `notice`.
        kind: &'static str,
        /// The name in the file.
        name: String,
    },
    /// A region's code is not one.
    #[error("{spot}: `{code}` is not a region; expected an ISO 3166-1 code such as `DE`")]
    Region {
        /// Where.
        spot: Spot,
        /// The code in the file.
        code: String,
    },
}
