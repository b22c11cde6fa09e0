//! Labelled rows: JSON Lines, compressed by gzip or not, read one line at a time.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::{
    message::{Direction, Exchange, Place, Role, Segment},
    verdict::{Hazard, RuleHit},
};

/// What a row can be labelled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Harmful content, or a request for it (`unsafe`).
    Harm,
    /// An attempt to make a model drop its rules.
    Jailbreak,
    /// Instructions hidden in somebody else's content.
    Injection,
    /// Abusive wording (`toxic`).
    Toxicity,
    /// An answer that declines.
    Refusal,
}

impl Label {
    /// Every label, in the order of a report.
    pub const ALL: [Self; 5] = [Self::Harm, Self::Jailbreak, Self::Injection, Self::Toxicity, Self::Refusal];

    /// Its name in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Harm => "harm",
            Self::Jailbreak => "jailbreak",
            Self::Injection => "injection",
            Self::Toxicity => "toxicity",
            Self::Refusal => "refusal",
        }
    }

    /// The guard model's signal for it.
    pub fn signal(self) -> String {
        format!("guard.{}", self.as_str())
    }

    /// Whether a rule is about it, as far as its hazard and its reply say.
    pub(super) fn is_about(self, hit: &RuleHit) -> bool {
        let reply = hit.reply.as_deref();
        match self {
            Self::Harm => hit.hazard.is_some() || matches!(reply, Some("jailbreak" | "injection")),
            Self::Jailbreak => reply == Some("jailbreak"),
            Self::Injection => reply == Some("injection"),
            Self::Toxicity => matches!(hit.hazard, Some(Hazard::Hate | Hazard::Harassment)),
            Self::Refusal => false,
        }
    }
}

/// A row. Members that are not named here are of no interest.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// What is judged.
    pub text: String,
    /// What it answers; for a tool's or document's content, the task at hand.
    #[serde(default)]
    pub context: Option<String>,
    /// Whose text it is.
    #[serde(default)]
    pub role: Option<Role>,
    #[serde(default, rename = "unsafe")]
    harmful: Option<Bit>,
    #[serde(default)]
    jailbreak: Option<Bit>,
    #[serde(default)]
    injection: Option<Bit>,
    #[serde(default)]
    toxic: Option<Bit>,
    #[serde(default)]
    refusal: Option<Bit>,
    /// Kinds of harm, by Demur's names; others are of no interest.
    #[serde(default)]
    hazards: Option<Vec<String>>,
    /// What it is called in a report; the file's name and its line where it has none.
    #[serde(default)]
    pub id: Option<String>,
}

/// A label's value: `0` or `1`, `false` or `true`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "serde_json::Value")]
struct Bit(bool);

impl TryFrom<serde_json::Value> for Bit {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        match value.as_bool().or_else(|| value.as_u64().filter(|bit| *bit <= 1).map(|bit| bit == 1)) {
            Some(bit) => Ok(Self(bit)),
            None => Err("a label is neither 0 nor 1 nor null".to_owned()),
        }
    }
}

impl Row {
    /// Its labels, in the order of [`Label::ALL`].
    pub fn labels(&self) -> [Option<bool>; Label::ALL.len()] {
        [self.harmful, self.jailbreak, self.injection, self.toxic, self.refusal]
            .map(|bit| bit.map(|bit| bit.0))
    }

    /// The kinds of harm it is labelled with.
    pub fn hazards(&self) -> Vec<Hazard> {
        self.hazards.iter().flatten().filter_map(|name| name.parse().ok()).collect()
    }

    /// What the guard judges: a question, an answer to the context, or a tool's result beside the task.
    pub fn into_exchange(self) -> Exchange {
        let context = self.context.map(|text| Segment::bare(Direction::Input, text));
        match (self.role, context) {
            (Some(Role::Tool), context) => {
                let content = Segment::bare(Direction::Input, self.text);
                let content = Segment { place: Place::ToolResult, role: Role::Tool, ..content };
                Exchange::input(context.into_iter().chain([content]).collect())
            }
            (None | Some(Role::User | Role::System | Role::Developer), None) => {
                let role = self.role.unwrap_or(Role::User);
                Exchange::input(vec![Segment { role, ..Segment::bare(Direction::Input, self.text) }])
            }
            (_, context) => {
                let context: Arc<[Segment]> = context.into_iter().collect();
                Exchange::output(vec![Segment::bare(Direction::Output, self.text)], context)
            }
        }
    }
}

/// Why rows can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The file.
    #[error("can't read `{path}`: {source}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line.
    #[error("{path}:{line}:{column}: {reason}; expected an object with `text`, and labels that are 0, 1 or null", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
}

/// The rows of a file.
pub struct Rows {
    path: PathBuf,
    lines: io::Lines<Box<dyn BufRead + Send>>,
    line: usize,
}

impl Rows {
    /// Opens a file; a name that ends in `.gz` is unpacked.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn open(path: &Path) -> Result<Self, RowsError> {
        let file = File::open(path).map_err(|source| RowsError::File { path: path.to_owned(), source })?;
        let packed = path.extension().is_some_and(|extension| extension == "gz");
        let reader: Box<dyn BufRead + Send> = if packed {
            Box::new(BufReader::new(MultiGzDecoder::new(file)))
        } else {
            Box::new(BufReader::new(file))
        };
        Ok(Self { path: path.to_owned(), lines: reader.lines(), line: 0 })
    }
}

impl Iterator for Rows {
    type Item = Result<Row, RowsError>;

    /// The next row; empty lines are passed over.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.line += 1;
            let line = match self.lines.next()? {
                Ok(line) => line,
                Err(source) => return Some(Err(RowsError::File { path: self.path.clone(), source })),
            };
            if line.trim().is_empty() {
                continue;
            }
            let row = serde_json::from_str::<Row>(&line);
            let place = || {
                let name = self.path.file_name().unwrap_or_default().to_string_lossy();
                Some(format!("{name}:{}", self.line))
            };
            return Some(row.map(|row| Row { id: row.id.clone().or_else(place), ..row }).map_err(|error| {
                let (column, text) = (error.column(), error.to_string());
                // The parser counts lines of its own.
                let reason = text.split(" at line ").next().unwrap_or_default().to_owned();
                RowsError::Line { path: self.path.clone(), line: self.line, column, reason }
            }));
        }
    }
}
