//! What a policy asks the pattern detector to look for. Plain data: `detect::pattern` compiles it.

use std::sync::Arc;

use crate::verdict::Hazard;

/// A named search of a policy, read in conditions as `pattern.<name>` or `list.<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The signal's full name.
    pub signal: Arc<str>,
    /// The hazard a match speaks of.
    pub hazard: Option<Hazard>,
    /// What to look for.
    pub matcher: Matcher,
}

/// How a pattern looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// Regular expressions (the syntax of the `regex` crate, case-insensitive unless they say otherwise).
    Regex(Vec<String>),
    /// Words and phrases, found as whole words whatever their case.
    Words(Vec<String>),
}
