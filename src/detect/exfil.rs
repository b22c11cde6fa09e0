//! What would carry data away when an answer is shown: images and links whose address holds text, active HTML,
//! data URLs, hidden characters.
//!
//! An attacker who gets words into a conversation (a document, a tool's result) can ask the model to write an
//! image whose address holds what it knows; the client fetches the image, and the data is gone without a click.
//! Sources: Rehberger, "Bing Chat: Data Exfiltration Exploit Explained" (embracethered.com, 2023) and his later
//! reports; OWASP Top 10 for LLM Applications 2025, LLM05 (improper output handling).

mod address;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

use regex::Regex;

use super::{Hit, TextDetector};
use crate::verdict::{SignalInfo, SignalKind};
use address::{Carries, carries};

const IMAGE: &str = "exfil.markdown_image";
const LINK: &str = "exfil.markdown_link";
const HTML: &str = "exfil.html";
const DATA_URL: &str = "exfil.data_url";
const TAGS: &str = "exfil.unicode_tags";

const SIGNALS: [(&str, &str); 5] = [
    (IMAGE, "A Markdown image from elsewhere; near 1 when its address carries data."),
    (LINK, "A Markdown link; above 0.5 when its address carries data."),
    (HTML, "HTML that runs or fetches something when it is shown."),
    (DATA_URL, "A data URL that holds a page or a script."),
    (TAGS, "Text in invisible tag characters (U+E0000 to U+E007F)."),
];

/// The detector.
#[derive(Debug)]
pub struct Exfil {
    names: [Arc<str>; 5],
    markdown: Regex,
    html: Regex,
    data_url: Regex,
    tags: Regex,
}

impl Default for Exfil {
    fn default() -> Self {
        Self::new()
    }
}

impl Exfil {
    /// The detector.
    pub fn new() -> Self {
        let regex = |source: &str| Regex::new(source).expect("a fixed expression");
        Self {
            names: SIGNALS.map(|(name, _)| Arc::from(name)),
            markdown: regex(
                r"(?m)(?P<image>!?)\[[^\]\n]*\](?:\(\s*<?(?P<inline>[^\s)>]+)|:\s*<?(?P<reference>[^\s>]+))",
            ),
            html: regex(
                r#"(?i)<(?:script|iframe|object|embed|form|meta|base|link|svg)\b[^>]*|<[a-z][^>]*?\bon[a-z]{3,20}\s*=|<(?:img|source|video|audio|input|image)\b[^>]*?\b(?:src|srcset|href|poster)\s*=\s*["']?(?P<src>[^\s"'>]+)"#,
            ),
            data_url: regex(
                r"(?i)\bdata:(?:text/html|image/svg\+xml|application/(?:xhtml\+xml|(?:java|ecma)script)|text/javascript)",
            ),
            tags: regex(r"[\x{e0000}-\x{e007f}]+"),
        }
    }
}

impl TextDetector for Exfil {
    fn name(&self) -> &'static str {
        "exfil"
    }

    fn signals(&self) -> Vec<SignalInfo> {
        let info = |(name, (_, about)): (&Arc<str>, (_, &str))| SignalInfo {
            name: Arc::clone(name),
            kind: SignalKind::Score,
            detector: "exfil",
            hazard: None,
            about: Arc::from(about),
        };
        self.names.iter().zip(SIGNALS).map(info).collect()
    }

    fn scan(&self, text: &str, hits: &mut Vec<Hit>) {
        if !may_match(text.as_bytes()) {
            return;
        }
        let code = fenced(text);
        let mut add = |signal: usize, score: f32, span: Range<usize>| {
            // What stands in a code block is shown, not rendered.
            if !code.iter().any(|block| block.contains(&span.start)) {
                hits.push(Hit { signal: Arc::clone(&self.names[signal]), score, span });
            }
        };
        for found in self.markdown.captures_iter(text) {
            let all = found.get_match().range();
            let address = found.name("inline").or_else(|| found.name("reference"));
            let Some(data) = address.and_then(|address| carries(address.as_str())) else { continue };
            // A reference may be used by an image elsewhere.
            let is_image = &found["image"] == "!" || found.name("reference").is_some();
            if is_image { add(0, image_score(data), all) } else { add(1, link_score(data), all) }
        }
        for found in self.html.captures_iter(text) {
            let all = found.get_match().range();
            match found.name("src") {
                Some(address) => {
                    if let Some(data) = carries(address.as_str()) {
                        add(2, image_score(data), all);
                    }
                }
                None => add(2, 0.8, all),
            }
        }
        for found in self.data_url.find_iter(text) {
            add(3, 0.8, found.range());
        }
        for found in self.tags.find_iter(text) {
            if !is_flag(text, &found.range()) {
                add(4, 1.0, found.range());
            }
        }
    }
}

/// Whether one of the expressions may match: each needs `](`, `]:`, `<`, `data:`, or a tag character, all of which
/// begin with the same two bytes in UTF-8. Prose has none of their first bytes.
fn may_match(text: &[u8]) -> bool {
    memchr::memchr3_iter(b']', b'<', 0xf3, text).any(|at| match text[at] {
        b']' => matches!(text.get(at + 1), Some(b'(' | b':')),
        0xf3 => text.get(at + 1) == Some(&0xa0),
        _ => true,
    }) || memchr::memchr_iter(b':', text)
        .any(|at| at.checked_sub(4).is_some_and(|start| text[start..at].eq_ignore_ascii_case(b"data")))
}

/// An image is fetched without a click.
fn image_score(data: Carries) -> f32 {
    match data {
        Carries::Nothing => 0.2,
        Carries::Name => 0.4,
        Carries::Opaque => 0.7,
        Carries::Text => 1.0,
    }
}

/// A link has to be clicked.
fn link_score(data: Carries) -> f32 {
    match data {
        Carries::Nothing => 0.1,
        Carries::Name => 0.2,
        Carries::Opaque => 0.4,
        Carries::Text => 0.6,
    }
}

/// The flags of England, Scotland and Wales are a black flag with tags (Unicode Technical Standard 51, annex C).
fn is_flag(text: &str, tags: &Range<usize>) -> bool {
    text[..tags.start].ends_with('\u{1f3f4}') && text[tags.clone()].chars().count() <= 7
}

/// Fenced code blocks (CommonMark 0.31, section 4.5). One that is not closed reaches to the end.
fn fenced(text: &str) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let mark = line.trim_start_matches(' ');
        let fence = ["```", "~~~"].into_iter().find(|fence| mark.starts_with(fence));
        match (open, fence) {
            (None, Some(fence)) => open = Some((fence, at)),
            (Some((begun, from)), Some(fence)) if begun == fence => {
                blocks.push(from..at + line.len());
                open = None;
            }
            _ => {}
        }
        at += line.len();
    }
    blocks.extend(open.map(|(_, from)| from..text.len()));
    blocks
}
