//! Fragments: named parts of regular expressions, so that a phrase which many patterns need stands in one place.
//! A pattern writes `%{name}`, as in Logstash's grok; `{` after `%` means nothing to a regular expression.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::Compiler;
use crate::policy::error::suggest;

/// Every fragment by its name, as it is written; a later layer's takes the place of an earlier one's.
pub(super) type Fragments = BTreeMap<String, String>;

/// How deep fragments may stand in fragments; a circle ends here, too.
const MAX_DEPTH: usize = 4;

/// The longest regular expression, in bytes, that fragments may add up to.
const MAX_LENGTH: usize = 1 << 16;

impl Compiler<'_> {
    /// A regular expression with its fragments filled in, each as a group of its own; nothing if that fails.
    pub(super) fn expanded<T>(&mut self, regex: &str, place: &Spanned<T>) -> Option<String> {
        let mut expanded = String::with_capacity(regex.len());
        match fill(regex, &self.fragments, MAX_DEPTH, &mut expanded) {
            Ok(()) => Some(expanded),
            Err(message) => {
                self.error(place, message);
                None
            }
        }
    }
}

fn fill(regex: &str, fragments: &Fragments, depth: usize, to: &mut String) -> Result<(), String> {
    let mut rest = regex;
    while let Some((before, after)) = rest.split_once("%{") {
        to.push_str(before);
        let (name, after) =
            after.split_once('}').ok_or_else(|| format!("`%{{` without `}}` in `{regex}`"))?;
        let fragment = fragments.get(name).ok_or_else(|| {
            let hint = suggest(name, fragments.keys().map(String::as_str));
            format!("unknown fragment `{name}`{hint}")
        })?;
        if depth == 0 {
            return Err(format!(
                "`{name}` stands in too many fragments: at most {MAX_DEPTH} in one another, and no circle"
            ));
        }
        to.push_str("(?:");
        fill(fragment, fragments, depth - 1, to)?;
        to.push(')');
        rest = after;
    }
    to.push_str(rest);
    if to.len() > MAX_LENGTH {
        return Err(format!("fragments add up to more than {MAX_LENGTH} bytes"));
    }
    Ok(())
}
