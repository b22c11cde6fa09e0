//! Lists and patterns: named searches that conditions read as `list.x` and `pattern.x`.

use std::{collections::BTreeMap, sync::Arc};

use regex::RegexBuilder;
use serde_saphyr::Spanned;

use super::{Compiler, Layers};
use crate::{
    policy::{
        pattern::{Matcher, Pattern},
        raw::{FullSearch, RawSearch},
    },
    verdict::{Hazard, SignalInfo, SignalKind},
};

/// The most that one regular expression may compile to, in bytes.
const REGEX_SIZE: usize = 1 << 20;

impl Compiler<'_> {
    /// Every search of the layers, later ones in place of earlier ones of the same name. Their signals join the
    /// catalog's.
    pub(super) fn patterns(&mut self, layers: &Layers) -> Vec<Pattern> {
        let mut all: BTreeMap<String, Pattern> = BTreeMap::new();
        for layer in layers {
            self.file = Arc::clone(&layer.file);
            for (name, list) in &layer.raw.lists {
                let RawSearch(FullSearch { any: words, hazard }) = &list.value;
                if words.iter().all(|word| word.trim().is_empty()) {
                    self.error(list, format!("the list `{name}` has no words"));
                }
                let pattern =
                    self.pattern("list", name, list, hazard.as_deref(), Matcher::Words(words.clone()));
                all.insert(pattern.signal.to_string(), pattern);
            }
            for (name, pattern) in &layer.raw.patterns {
                let RawSearch(FullSearch { any, hazard }) = &pattern.value;
                let any = self.regexes(name, pattern, any);
                let made = self.pattern("pattern", name, pattern, hazard.as_deref(), Matcher::Regex(any));
                all.insert(made.signal.to_string(), made);
            }
        }
        self.signals.extend(all.values().map(|pattern| SignalInfo {
            name: Arc::clone(&pattern.signal),
            kind: SignalKind::Count,
            detector: "pattern",
            hazard: pattern.hazard,
            about: "a search of this policy".into(),
        }));
        all.into_values().collect()
    }

    fn pattern<T>(
        &mut self,
        group: &str,
        name: &str,
        place: &Spanned<T>,
        hazard: Option<&str>,
        matcher: Matcher,
    ) -> Pattern {
        let identifier = |name: &str| {
            name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if !identifier(name) {
            self.error(
                place,
                format!("`{name}` can't be named in a condition: expected letters, digits and `_`"),
            );
        }
        let hazard: Option<Hazard> = hazard.and_then(|name| self.hazard(name, place));
        Pattern { signal: format!("{group}.{name}").into(), hazard, matcher }
    }

    /// The regular expressions of a pattern, checked, with their fragments filled in. Errors quote them as they
    /// are written.
    fn regexes<T>(&mut self, name: &str, place: &Spanned<T>, any: &[String]) -> Vec<String> {
        if any.is_empty() {
            self.error(place, format!("the pattern `{name}` has no regular expression"));
        }
        let mut regexes = Vec::with_capacity(any.len());
        for written in any {
            let Some(regex) = self.expanded(written, place) else { continue };
            let built = RegexBuilder::new(&regex).case_insensitive(true).size_limit(REGEX_SIZE).build();
            match built {
                Ok(built) if built.is_match("") => {
                    self.error(place, format!("the pattern `{name}` matches the empty text: `{written}`"));
                }
                Ok(_) => regexes.push(regex),
                Err(error) => {
                    // The last line says what is wrong; those above draw it.
                    let error = error.to_string();
                    let reason =
                        error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    self.error(
                        place,
                        format!("the pattern `{name}` has a wrong regular expression `{written}`: {reason}"),
                    );
                }
            }
        }
        regexes
    }
}
