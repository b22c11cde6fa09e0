//! Characters written as escapes: `%62` (RFC 3986), `&#98;` (HTML), `\u0062`, `\x62`, `U+0062`.

use std::{ops::Range, sync::LazyLock};

use percent_encoding::percent_decode_str;
use regex::Regex;

use super::reading::{Pieces, Reading};

/// This many letters and digits written as escapes, which need none, are a disguise.
const NEEDLESS: usize = 4;

static URL: LazyLock<Regex> = LazyLock::new(|| fixed(r"(?:%[0-9a-fA-F]{2})+"));
static HTML: LazyLock<Regex> =
    LazyLock::new(|| fixed(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});"));
static UNICODE: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?:\\u\{[0-9a-fA-F]{1,6}\}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\x[0-9a-fA-F]{2}|\bU\+[0-9a-fA-F]{4,6} ?)+",
    )
});
static ONE_UNICODE: LazyLock<Regex> = LazyLock::new(|| fixed(r"[0-9a-fA-F]{2,8}"));

fn fixed(source: &str) -> Regex {
    Regex::new(source).expect("a fixed expression")
}

/// The text without URL escapes.
pub(super) fn url(text: &str) -> Option<Reading> {
    replaced("url", text, &URL, |escapes| Some(percent_decode_str(escapes).decode_utf8().ok()?.into_owned()))
}

/// The text without HTML entities.
pub(super) fn html(text: &str) -> Option<Reading> {
    replaced("html", text, &HTML, |entity| {
        let plain = htmlize::unescape(entity);
        (plain != entity).then(|| plain.into_owned())
    })
}

/// The text without Unicode escapes of programming languages.
pub(super) fn unicode(text: &str) -> Option<Reading> {
    replaced("unicode_escape", text, &UNICODE, |escapes| {
        let units: Option<Vec<u32>> = ONE_UNICODE
            .find_iter(escapes)
            .map(|digits| u32::from_str_radix(digits.as_str(), 16).ok())
            .collect();
        let units = units?;
        // Escapes of JSON and Java are UTF-16: what is beyond the basic plane comes as two of them.
        let narrow: Result<Vec<u16>, _> = units.iter().map(|unit| u16::try_from(*unit)).collect();
        match narrow {
            Ok(narrow) => String::from_utf16(&narrow).ok(),
            Err(_) => units.into_iter().map(char::from_u32).collect(),
        }
    })
}

/// The text with every match of `escapes` read, where it can be.
fn replaced(
    by: &'static str,
    text: &str,
    escapes: &Regex,
    read: impl Fn(&str) -> Option<String>,
) -> Option<Reading> {
    let mut pieces = Pieces::default();
    let mut end = 0;
    let mut needless = 0;
    let mut span: Option<Range<usize>> = None;
    for found in escapes.find_iter(text) {
        let Some(plain) = read(found.as_str()) else { continue };
        pieces.push_plain(&text[end..found.start()], end);
        end = found.end();
        needless += plain.chars().filter(char::is_ascii_alphanumeric).count();
        // Each character has the whole match: it may take any part of it.
        plain.chars().for_each(|c| pieces.push(c, found.range()));
        span = Some(span.map_or(found.start(), |span| span.start)..end);
    }
    let span = span?;
    pieces.push_plain(&text[end..], end);
    let (text, map) = pieces.finish();
    let found = if needless >= NEEDLESS { vec![(by, 1.0, span)] } else { Vec::new() };
    Some(Reading { by, text: Some(text), map, found })
}
