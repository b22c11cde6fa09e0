//! The report as one page: pictures, tables, no scripts, nothing fetched from elsewhere.

use std::collections::BTreeMap;

use minijinja::{Environment, Value, context, value::Serde};
use serde::Serialize;

use super::{Curves, Line, Report, Tax, Wrong};

/// Everything a report tells.
#[derive(Debug, Serialize)]
pub struct Book {
    /// The policy that judged, with its hash.
    pub policy: String,
    /// The quality table.
    pub quality: Vec<Line>,
    /// Of all files together.
    pub tax: Tax,
    /// File by file.
    pub files: Vec<Chapter>,
}

/// A file of the report.
#[derive(Debug, Serialize)]
pub struct Chapter {
    /// The figures.
    #[serde(flatten)]
    pub report: Report,
    /// The curves, by label.
    pub curves: BTreeMap<&'static str, Curves>,
    /// Harmless rows with high scores for harm.
    pub false_positives: Vec<Wrong>,
    /// Harmful rows with low ones.
    pub misses: Vec<Wrong>,
}

impl Chapter {
    /// A file's chapter. Rows stand in it by name; with their texts only `with_texts`.
    pub fn new(mut report: Report, with_texts: bool) -> Self {
        let curves = std::mem::take(&mut report.curves);
        let [mut false_positives, mut misses] = std::mem::take(&mut report.wrong);
        if !with_texts {
            false_positives.iter_mut().chain(&mut misses).for_each(|wrong| wrong.text = None);
        }
        Self { report, curves, false_positives, misses }
    }
}

/// The page.
///
/// # Errors
/// The template is broken, which a test rules out.
pub fn page(book: &Book) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template("report.html", include_str!("report.html"))?;
    environment.get_template("report.html")?.render(context! { book => Value::from(Serde(book)) })
}
