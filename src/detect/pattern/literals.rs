//! The texts one of which a regular expression needs: without any of them in a text it can't match.
//!
//! The idea is that of Cox, "Regular Expression Matching with a Trigram Index" (2012): a literal gives itself,
//! parts in a row give the best of theirs, a choice gives those of all its branches.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::fold::fold;

/// The most texts that one expression may need: beyond, they are looked for too often to be of use.
const MOST: usize = 256;

/// The fewest bytes of a text that is worth looking for.
const SHORTEST: usize = 3;

type Texts = BTreeSet<String>;

/// What is known of a part of an expression.
struct Known {
    /// All that it matches, when that is little.
    exact: Option<Texts>,
    /// Texts one of which is in everything it matches.
    needed: Option<Texts>,
}

/// Folded texts one of which is in everything that the expression matches; `None` when nothing useful is.
pub(super) fn needed(hir: &Hir) -> Option<Texts> {
    let known = known(hir);
    better(known.needed, known.exact)
}

fn known(hir: &Hir) -> Known {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => exactly([String::new()]),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => exactly([text.chars().map(fold).collect()]),
            Err(_) => nothing(),
        },
        HirKind::Class(Class::Unicode(class)) => {
            let size: usize =
                class.ranges().iter().map(|range| range.end() as usize - range.start() as usize + 1).sum();
            if size > MOST {
                return nothing();
            }
            exactly(class.ranges().iter().flat_map(|r| r.start()..=r.end()).map(|c| fold(c).to_string()))
        }
        HirKind::Class(Class::Bytes(_)) => nothing(),
        HirKind::Capture(capture) => known(&capture.sub),
        HirKind::Repetition(repetition) => {
            let inner = known(&repetition.sub);
            match (repetition.min, repetition.max) {
                (0, Some(1)) => Known {
                    exact: inner.exact.map(|mut exact| {
                        exact.insert(String::new());
                        exact
                    }),
                    needed: None,
                },
                (0, _) => nothing(),
                (1, Some(1)) => inner,
                (_, _) => Known { exact: None, needed: better(inner.needed, inner.exact) },
            }
        }
        HirKind::Concat(parts) => in_a_row(parts),
        HirKind::Alternation(branches) => any_of(branches),
    }
}

fn exactly(texts: impl IntoIterator<Item = String>) -> Known {
    Known { exact: Some(texts.into_iter().collect()), needed: None }
}

fn nothing() -> Known {
    Known { exact: None, needed: None }
}

fn in_a_row(parts: &[Hir]) -> Known {
    let mut best = None;
    // What the parts since the last one of which little is known match together.
    let mut run: Texts = [String::new()].into();
    let mut all_exact = true;
    for part in parts {
        let part = known(part);
        best = better(best, part.needed);
        match part.exact.filter(|exact| run.len() * exact.len() <= MOST) {
            Some(exact) => {
                run = run.iter().flat_map(|a| exact.iter().map(move |b| format!("{a}{b}"))).collect();
            }
            None => {
                all_exact = false;
                best = better(best, Some(std::mem::replace(&mut run, [String::new()].into())));
            }
        }
    }
    if all_exact {
        return Known { exact: Some(run), needed: best };
    }
    Known { exact: None, needed: better(best, Some(run)) }
}

fn any_of(branches: &[Hir]) -> Known {
    let mut exact = Some(Texts::new());
    let mut needed = Some(Texts::new());
    for branch in branches {
        let branch = known(branch);
        let of_branch = better(branch.needed, branch.exact.clone());
        needed = joined(needed, of_branch);
        exact = joined(exact, branch.exact);
    }
    Known { exact, needed }
}

fn joined(a: Option<Texts>, b: Option<Texts>) -> Option<Texts> {
    let mut all = a?;
    all.extend(b?);
    (all.len() <= MOST).then_some(all)
}

/// Of two sets that both do, the one whose shortest text is longer, then the smaller one.
fn better(a: Option<Texts>, b: Option<Texts>) -> Option<Texts> {
    let rank = |texts: &Texts| (shortest(texts), usize::MAX - texts.len());
    [a, b].into_iter().flatten().filter(|texts| shortest(texts) >= SHORTEST).max_by_key(rank)
}

fn shortest(texts: &Texts) -> usize {
    texts.iter().map(String::len).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Option<Vec<String>> {
        let hir = regex_syntax::ParserBuilder::new().case_insensitive(true).build().parse(pattern).unwrap();
        needed(&hir).map(|texts| texts.into_iter().collect())
    }

    #[test]
    fn the_longest_text_is_chosen() {
        assert_eq!(of(r"how\s+to\s+(make|build)\s+a\s+bomb").unwrap(), ["bomb"]);
        assert_eq!(of(r"\bPipe\s*Bombe?\b").unwrap(), ["pipe"]);
        assert_eq!(
            of(r"(kill|murder)s? him").unwrap(),
            ["kill him", "kills him", "murder him", "murders him"]
        );
        assert_eq!(of(r"ΣΊΣ.*").unwrap(), ["σίσ"]);
        assert_eq!(of(r"(abc)+").unwrap(), ["abc"]);
    }

    #[test]
    fn where_nothing_is_needed_there_is_nothing() {
        for pattern in [r"\d{16}", "a?", "(abc|.)", "ab", r"\w+"] {
            assert_eq!(of(pattern), None, "{pattern}");
        }
    }
}
