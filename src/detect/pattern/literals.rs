//! The texts that a regular expression needs: without them in a text it can't match.
//!
//! The idea is that of Cox, "Regular Expression Matching with a Trigram Index" (2012): a literal needs itself,
//! parts in a row need what each of them does, a choice needs one of what its branches do.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::{border, fold::fold, trigrams::Trigrams};

/// The most texts of a set: more are found too often to be of use.
const MOST: usize = 256;

/// The most characters of a class that are told one by one.
const MOST_OF_CLASS: usize = 16;

/// The most sets that are told of one expression: its rarest.
const MOST_SETS: usize = 3;

/// Of so many places in prose, a set that is of use stands at one at most.
const RARE: f64 = 1000.0;

/// Stands in a text for the edge of a word. Unicode assigns no character to it.
const EDGE: char = '\u{ffff}';
const EDGE_STR: &str = "\u{ffff}";

/// Texts of which one is needed.
type Texts = BTreeSet<String>;

/// A text that an expression may need, folded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Needed {
    pub(super) text: String,
    /// Whether no letter, digit or `_` of ASCII stands before it, and after it.
    pub(super) edges: [bool; 2],
}

impl Needed {
    fn new(text: &str) -> Self {
        let bare = text.replace(EDGE, "");
        // Beside anything but a letter the edge that `\b` asks for is one where a word begins, not one where it
        // ends. What folds to a letter of ASCII without being one is left out by who searches.
        let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| border::is_word(*byte));
        let edges = [
            text.starts_with(EDGE) && is_word(bare.as_bytes().first()),
            text.ends_with(EDGE) && is_word(bare.as_bytes().last()),
        ];
        Self { text: bare, edges }
    }
}

/// For each branch of a choice that is the whole expression, sets of texts: everything that the branch matches has a text
/// of each set. None when nothing useful is known; the rarest comes first.
pub(super) fn needed(hir: &Hir) -> Vec<Vec<Vec<Needed>>> {
    match hir.kind() {
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Alternation(branches) => branches.iter().flat_map(needed).collect(),
        _ => {
            let texts = |set: &Texts| set.iter().map(|text| Needed::new(text)).collect();
            vec![sets_of(known(hir, [false; 2])).iter().map(texts).collect()]
        }
    }
}

/// What is known of a part of an expression.
struct Known {
    /// All that it matches, when that is little.
    exact: Option<Texts>,
    /// Sets of texts; everything it matches has a text of each. The rarest comes first.
    needed: Vec<Texts>,
}

/// `beside` says whether no word goes on before the part, and behind it.
fn known(hir: &Hir, beside: [bool; 2]) -> Known {
    match hir.kind() {
        HirKind::Empty => exactly([String::new()], beside),
        HirKind::Look(Look::WordAscii | Look::WordUnicode) => exactly([EDGE.to_string()], beside),
        HirKind::Look(_) => exactly([String::new()], beside),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) if !text.contains(EDGE) => exactly([text.chars().map(fold).collect()], beside),
            _ => nothing(),
        },
        HirKind::Class(Class::Unicode(class)) => {
            let size: usize =
                class.ranges().iter().map(|range| range.end() as usize - range.start() as usize + 1).sum();
            if size > MOST_OF_CLASS {
                return nothing();
            }
            let all = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            exactly(all.map(|c| fold(c).to_string()), beside)
        }
        HirKind::Class(Class::Bytes(_)) => nothing(),
        HirKind::Capture(capture) => known(&capture.sub, beside),
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (0, Some(1)) => {
                let empty = exactly([String::new()], beside).exact;
                let exact = known(&repetition.sub, beside).exact.zip(empty);
                Known { exact: exact.map(|(texts, empty)| &texts | &empty), needed: Vec::new() }
            }
            (0, _) => nothing(),
            (1, Some(1)) => known(&repetition.sub, beside),
            // What stands before the first time does not stand before the second.
            (_, _) => Known { exact: None, needed: sets_of(known(&repetition.sub, [false; 2])) },
        },
        HirKind::Concat(parts) => in_a_row(parts, beside),
        HirKind::Alternation(branches) => {
            any_of(branches.iter().map(|branch| known(branch, beside)).collect())
        }
    }
}

fn exactly(texts: impl IntoIterator<Item = String>, beside: [bool; 2]) -> Known {
    let [before, behind] = beside.map(|edge| if edge { EDGE_STR } else { "" });
    let texts = texts.into_iter().map(|text| format!("{before}{text}{behind}"));
    Known { exact: Some(texts.collect()), needed: Vec::new() }
}

fn nothing() -> Known {
    Known { exact: None, needed: Vec::new() }
}

fn in_a_row(parts: &[Hir], beside: [bool; 2]) -> Known {
    let mut needed = Vec::new();
    let none = || Texts::from([String::new()]);
    // What the parts since the last one of which little is known match together.
    let mut run = none();
    let mut all_exact = true;
    for (i, part) in parts.iter().enumerate() {
        let before = border::precedes(&parts[..i]).unwrap_or(beside[0]);
        let behind = border::follows(&parts[i + 1..]).unwrap_or(beside[1]);
        let part = known(part, [before, behind]);
        needed.extend(part.needed);
        match part.exact {
            Some(exact) if run.len() * exact.len() <= MOST => run = joined(&run, &exact),
            exact => {
                all_exact = false;
                needed.push(std::mem::replace(&mut run, none()));
                needed.extend(exact);
            }
        }
    }
    if all_exact {
        return Known { exact: Some(run), needed };
    }
    needed.push(run);
    Known { exact: None, needed: rarest(needed) }
}

fn joined(before: &Texts, after: &Texts) -> Texts {
    before.iter().flat_map(|a| after.iter().map(move |b| format!("{a}{b}"))).collect()
}

fn any_of(branches: Vec<Known>) -> Known {
    let exact = branches.iter().map(|branch| branch.exact.as_ref()).collect::<Option<Vec<_>>>();
    let exact: Option<Texts> = exact.map(|texts| texts.into_iter().flatten().cloned().collect());
    // The rarest set of one branch or the rarest of another, and so on.
    let sets: Vec<Vec<Texts>> = branches.into_iter().map(sets_of).collect();
    let fewest = sets.iter().map(Vec::len).min().unwrap_or(0);
    let needed = (0..fewest).map(|i| sets.iter().flat_map(|of_branch| &of_branch[i]).cloned().collect());
    Known { exact: exact.filter(|texts| texts.len() <= MOST), needed: rarest(needed) }
}

/// All that something needs.
fn sets_of(known: Known) -> Vec<Texts> {
    rarest(known.needed.into_iter().chain(known.exact))
}

/// The rarest of the sets that are of use, without those that a rarer one makes needless, each without texts that
/// another one of it makes needless.
fn rarest(sets: impl IntoIterator<Item = Texts>) -> Vec<Texts> {
    let has_part = |set: &Texts, text: &str, less: usize| {
        set.iter().any(|part| part.len() + less <= text.len() && text.contains(&**part))
    };
    let mut ranked: Vec<(f64, Texts)> = Vec::new();
    for set in sets {
        let set: Texts = set.iter().filter(|text| !has_part(&set, text, 1)).cloned().collect();
        let often: f64 = set.iter().map(|text| frequency(text)).sum();
        if often * RARE <= 1.0 && set.len() <= MOST {
            ranked.push((often, set));
        }
    }
    ranked.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut rarest: Vec<Texts> = Vec::new();
    for (_, set) in ranked {
        let is_implied = |rarer: &Texts| rarer.iter().all(|text| has_part(&set, text, 0));
        if rarest.len() < MOST_SETS && !rarest.iter().any(is_implied) {
            rarest.push(set);
        }
    }
    rarest
}

/// The words that are in any prose, and the next that English uses most: Norvig, "English Letter Frequency Counts"
/// (2013).
const EVERYWHERE: [&str; 10] = ["the", "of", "and", "to", "in", "a", "is", "that", "for", "it"];
const COMMON: [&str; 50] = [
    "as", "was", "with", "be", "by", "on", "not", "he", "i", "this", "are", "or", "his", "from", "at",
    "which", "but", "have", "an", "had", "they", "you", "were", "their", "one", "all", "we", "can", "her",
    "has", "there", "been", "if", "more", "when", "will", "would", "who", "so", "no", "do", "what", "how",
    "my", "me", "your", "could", "should", "out", "some",
];

/// At how many of the places of a prose text this text stands, roughly: as if each character came by chance, unless
/// it is a common word or a syllable.
fn frequency(text: &str) -> f64 {
    let bare = text.trim_matches(EDGE);
    // Too short to be found fast.
    let edges = [text.starts_with(EDGE), text.ends_with(EDGE)];
    let is_syllable = bare.is_ascii() && !Trigrams::can_find(bare, edges);
    let by_chance = text.chars().map(share).product();
    match bare {
        _ if is_syllable || EVERYWHERE.contains(&bare) => 1.0,
        _ if COMMON.contains(&bare) => f64::max(by_chance, 0.2 / RARE),
        _ => by_chance,
    }
}

/// The share that a character has of a prose text: Norvig, "English Letter Frequency Counts" (2013), with a
/// space after every 4.8 letters.
fn share(c: char) -> f64 {
    // Of ten thousand letters.
    const LETTERS: [u16; 26] = [
        804, 148, 334, 382, 1249, 240, 187, 505, 757, 16, 54, 407, 251, 723, 764, 214, 12, 628, 651, 928,
        273, 105, 168, 23, 166, 9,
    ];
    match c {
        'a'..='z' => f64::from(LETTERS[c as usize - 'a' as usize]) / 10_000.0 * 0.83,
        ' ' => 0.17,
        // A word has two edges.
        EDGE => 0.34,
        '\0'..='\u{7f}' => 0.005,
        // Of a script that has few letters much more, but then the text is in that script.
        _ => 0.0001,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sets of an expression of one branch, with `|` for an edge.
    fn of(pattern: &str) -> Vec<Vec<String>> {
        branches(pattern).swap_remove(0)
    }

    fn branches(pattern: &str) -> Vec<Vec<Vec<String>>> {
        let hir = regex_syntax::ParserBuilder::new().case_insensitive(true).build().parse(pattern).unwrap();
        let shown = |Needed { text, edges: [left, right] }: Needed| {
            format!("{}{text}{}", if left { "|" } else { "" }, if right { "|" } else { "" })
        };
        let of_set = |set: Vec<Needed>| set.into_iter().map(shown).collect();
        needed(&hir).into_iter().map(|branch| branch.into_iter().map(of_set).collect()).collect()
    }

    #[test]
    fn every_part_in_a_row_is_needed_the_rarest_first() {
        assert_eq!(
            of(r"how\s+to\s+(make|build)\s+a\s+bomb"),
            [vec!["|bomb"], vec!["|build|", "|make|"], vec!["how|"]]
        );
        assert_eq!(of(r"(?:please )?kill"), [["kill"]]);
        assert_eq!(of(r"(abc)+"), [["abc"]]);
        assert_eq!(of(r"ΣΊΣ.*"), [["σίσ"]]);
    }

    #[test]
    fn a_choice_needs_one_of_its_branches() {
        assert_eq!(of(r"(kill|murder)s? him"), [["kills him", "kill him", "murders him", "murder him"]]);
        assert_eq!(of(r"(?:make\s+soap|cook\s+rice)\s"), [["cook|", "make|"], ["|rice|", "|soap|"]]);
        assert_eq!(of(r"(?:make\s+soap|rice)\s"), [["make|", "rice|"]]);
    }

    #[test]
    fn branches_of_the_whole_need_texts_of_their_own() {
        assert_eq!(
            branches(r"make\s+soap|(rice|a+)"),
            [vec![vec!["make|"], vec!["|soap"]], vec![vec!["rice"]], vec![]]
        );
    }

    #[test]
    fn a_text_within_another_one_is_enough() {
        assert_eq!(of(r"Pipe\s*(bomb|bombs|bombe)"), [["bomb"], ["pipe"]]);
    }

    #[test]
    fn words_that_must_end_are_not_sought_within_others() {
        assert_eq!(of(r"\b(ghb|lsd)\b"), [["|ghb|", "|lsd|"]]);
        assert_eq!(of(r"\w+\s(ghb)[ \t]*(?:[.?!]|$)"), [["|ghb|"]]);
        assert_eq!(of(r"ghb[ \t]*"), [["ghb"]]);
    }

    #[test]
    fn what_stands_around_a_choice_is_beside_each_of_its_branches() {
        assert_eq!(of(r"\s(crystal\s+meth|ghb|lsd)[ \t]*(?:[.?!]|$)"), [["|crystal|", "|ghb|", "|lsd|"]]);
        assert_eq!(of(r"\s(?:bombs?)\s"), [["|bombs|", "|bomb|"]]);
        assert_eq!(of(r"\s(?:ghb|lsd)+\s"), [["ghb", "lsd"]]);
    }

    #[test]
    fn where_nothing_is_needed_there_is_nothing() {
        for pattern in [r"\d{16}", "a?", "(abc|.)", "a", r"\w+", r"\b"] {
            assert!(branches(pattern).iter().any(Vec::is_empty), "{pattern}");
        }
    }
}
