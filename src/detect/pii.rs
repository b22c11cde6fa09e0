//! Personal data: found by form, confirmed by check digits, registries and the words around it.
//!
//! A text without a digit, an `@` or a `:` costs one look at its bytes. Else its runs of letters and digits are
//! gathered once; every window of a few of them that a person could mean as one number is handed to the kinds of
//! numbers that have its length. Words that name a kind are looked for once, and only when a match depends on them.

mod address;
mod birth;
mod card;
mod checksum;
mod context;
mod email;
mod iban;
mod kind;
mod national;
mod network;
mod numbers;
mod passport;
mod phone;
mod signals;
#[cfg(test)]
mod tests;
mod wallet;

use std::{collections::HashMap, fmt, ops::Range, sync::Arc};

use self::{
    context::{Context, Words},
    kind::Kind,
    numbers::{MAX_CHARS, Token},
    signals::SIGNALS,
};
use super::{
    Hit, TextDetector,
    overlap::{Candidate, keep_best},
};
use crate::verdict::{Hazard, SignalInfo, SignalKind};

/// Finds personal data in a text. Signals are named `pii.*`; see [`TextDetector::signals`].
pub struct Pii {
    names: HashMap<&'static str, Arc<str>>,
    kinds: Vec<&'static Kind>,
    /// For each length without separators, the kinds that have it, as indices into `kinds`.
    by_length: Vec<Vec<usize>>,
    topics: Topics,
    words: Words,
    patterns: Patterns,
}

/// Which topic of the vocabulary speaks of what; the topics before these are the kinds', in their order.
#[derive(Clone, Copy, Debug)]
struct Topics {
    ip: usize,
    mac: usize,
    /// The first of the three for dates of birth: labels, verbs before and verbs after the date.
    birth: usize,
    street: usize,
    announcing: usize,
    /// The first of the languages of phone numbers.
    phone: usize,
}

/// The compiled patterns.
struct Patterns {
    dates: birth::Dates,
    addresses: address::Forms,
}

/// One text on its way through the detector.
struct Scan<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    topics: Topics,
    words: &'a Words,
    patterns: &'a Patterns,
    /// The words around, once something has asked for them.
    context: Option<Context>,
    found: Vec<Candidate>,
}

/// Which of the signs a text has that everything here depends on.
struct Signs {
    at: bool,
    colon: bool,
    digit: bool,
}

impl Signs {
    fn of(text: &str) -> Self {
        Self {
            at: text.contains('@'),
            colon: text.contains(':'),
            digit: text.bytes().any(|byte| byte.is_ascii_digit()),
        }
    }
}

impl Scan<'_> {
    fn context(&mut self) -> &Context {
        self.context.get_or_insert_with(|| self.words.find(self.text))
    }

    /// Whether a token with a digit starts in a range of bytes.
    fn has_number_within(&self, range: Range<usize>) -> bool {
        let first = self.tokens.partition_point(|token| token.span.start < range.start);
        self.tokens[first..].iter().take_while(|token| token.span.start < range.end).any(|token| token.digit)
    }
}

impl Pii {
    /// The detector, with its vocabulary and patterns compiled and the numbering plans loaded.
    pub fn new() -> Self {
        let kinds: Vec<&'static Kind> =
            [&card::CARD, &iban::IBAN, &passport::PASSPORT].into_iter().chain(national::kinds()).collect();
        let mut by_length = vec![Vec::new(); MAX_CHARS + 1];
        for (index, kind) in kinds.iter().enumerate() {
            for length in kind.lengths {
                by_length[*length].push(index);
            }
        }
        let own = [
            network::IP_WORDS,
            network::MAC_WORDS,
            birth::LABELS,
            birth::VERBS,
            birth::VERBS_AFTER,
            address::WORDS,
            address::ANNOUNCING,
        ];
        let languages = phone::LANGUAGES.iter().map(|language| language.words);
        let words: Vec<_> = kinds.iter().map(|kind| kind.words).chain(own).chain(languages).collect();
        let first = kinds.len();
        phone::load();
        Self {
            names: SIGNALS.iter().map(|(name, _)| (*name, Arc::from(*name))).collect(),
            topics: Topics {
                ip: first,
                mac: first + 1,
                birth: first + 2,
                street: first + 5,
                announcing: first + 6,
                phone: first + 7,
            },
            kinds,
            by_length,
            words: Words::new(&words),
            patterns: Patterns { dates: birth::Dates::new(), addresses: address::Forms::new() },
        }
    }

    /// Adds every number of a known kind that passes its check and has the words it needs.
    fn numbers(&self, scan: &mut Scan<'_>) {
        let mut passed = Vec::new();
        numbers::windows(scan.text, &scan.tokens, |number, span| {
            for index in &self.by_length[number.chars.len()] {
                if let Some(evidence) = (self.kinds[*index].check)(number) {
                    passed.push((*index, evidence, span.clone()));
                }
            }
        });
        for (index, evidence, span) in passed {
            let decided = evidence.alone == evidence.with_words;
            let score = if !decided && scan.context().is_near(index, &span) {
                evidence.with_words
            } else {
                evidence.alone
            };
            if score > 0.0 {
                scan.found.push(Candidate { signal: self.kinds[index].signal, score, span });
            }
        }
    }
}

impl fmt::Debug for Pii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pii").field("kinds", &self.kinds.len()).finish_non_exhaustive()
    }
}

impl Default for Pii {
    fn default() -> Self {
        Self::new()
    }
}

impl TextDetector for Pii {
    fn name(&self) -> &'static str {
        "pii"
    }

    fn signals(&self) -> Vec<SignalInfo> {
        SIGNALS
            .iter()
            .map(|(name, about)| SignalInfo {
                name: self.names[name].clone(),
                kind: SignalKind::Score,
                detector: self.name(),
                hazard: Some(Hazard::Privacy),
                about: Arc::from(*about),
            })
            .collect()
    }

    fn scan(&self, text: &str, hits: &mut Vec<Hit>) {
        let mut scan = Scan {
            text,
            tokens: Vec::new(),
            topics: self.topics,
            words: &self.words,
            patterns: &self.patterns,
            context: None,
            found: Vec::new(),
        };
        let signs = Signs::of(text);
        if signs.at {
            email::scan(&mut scan);
        }
        if signs.colon {
            network::url_credentials(&mut scan);
            network::colons(&mut scan);
        }
        if signs.digit {
            scan.tokens = numbers::tokens(text);
            self.numbers(&mut scan);
            wallet::scan(&mut scan);
            network::ipv4(&mut scan);
            network::mac(&mut scan);
            passport::scan(&mut scan);
            if phone::is_possible(&scan.tokens) {
                phone::scan(&mut scan);
            }
            birth::scan(&mut scan);
            address::scan(&mut scan);
        }
        hits.extend(keep_best(scan.found).into_iter().map(|candidate| Hit {
            signal: self.names[candidate.signal].clone(),
            score: candidate.score,
            span: candidate.span,
        }));
    }
}
