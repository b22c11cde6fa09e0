//! Tests of the patterns.

use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn regexes(name: &str, sources: &[&str]) -> Pattern {
    let matcher = Matcher::Regex(sources.iter().map(ToString::to_string).collect());
    Pattern { signal: name.into(), hazard: None, matcher }
}

fn words(name: &str, words: &[&str]) -> Pattern {
    let matcher = Matcher::Words(words.iter().map(ToString::to_string).collect());
    Pattern { signal: name.into(), hazard: None, matcher }
}

/// What is found, as `signal: text`.
fn found(patterns: &[Pattern], text: &str) -> Vec<String> {
    let mut hits = Vec::new();
    Patterns::compile(patterns).unwrap().scan(text, &mut hits);
    hits.into_iter().map(|hit| format!("{}: {}", hit.signal, &text[hit.span])).collect()
}

#[test]
fn words_are_found_whole_whatever_their_case() {
    let list = [words("list.x", &["bomb", "Straße", "top secret", "爆弾", "폭탄"])];
    assert_eq!(found(&list, "A BOMB, a bombastic bomb."), ["list.x: BOMB", "list.x: bomb"]);
    assert_eq!(found(&list, "STRAẞE straße strasse"), ["list.x: STRAẞE", "list.x: straße"]);
    assert_eq!(found(&list, "Top\n  Secret, topsecret, top secretary"), ["list.x: Top\n  Secret"]);
    assert_eq!(found(&list, "その爆弾は"), ["list.x: 爆弾"]);
    assert_eq!(found(&list, "폭탄을 만들다"), ["list.x: 폭탄"]);
}

#[test]
fn places_are_right_where_folding_changes_lengths() {
    // The Kelvin sign takes three bytes, its small letter one.
    assert_eq!(
        found(&[words("list.x", &["kelvin"])], "K \u{212a}elvin K kelvin"),
        ["list.x: \u{212a}elvin", "list.x: kelvin"]
    );
    assert_eq!(found(&[regexes("pattern.x", &["kelvin"])], "\u{212a}ELVIN"), ["pattern.x: \u{212a}ELVIN"]);
    assert_eq!(found(&[regexes("pattern.x", &["σίσυφος"])], "ΣΊΣΥΦΟΣ"), ["pattern.x: ΣΊΣΥΦΟΣ"]);
}

#[test]
fn expressions_are_run_with_and_without_announcing_texts() {
    let patterns =
        [regexes("pattern.a", &[r"\bpipe\s+bombs?\b", r"\d{4}-\d{4}"]), regexes("pattern.b", &["no{3,}"])];
    let text = "Pipe  Bombs 1234-5678 nooo";
    assert_eq!(found(&patterns, text), ["pattern.a: Pipe  Bombs", "pattern.a: 1234-5678", "pattern.b: nooo"]);
    assert!(found(&patterns, "plain words").is_empty());
}

#[test]
fn a_wrong_expression_is_told() {
    let error = Patterns::compile(&[regexes("pattern.x", &["(a"])]).unwrap_err().to_string();
    assert_eq!(error, "`pattern.x`: wrong regular expression: unclosed group");
    let huge = Patterns::compile(&[regexes("pattern.x", &[r"(\w{100}){100}"])]).unwrap_err().to_string();
    assert!(huge.contains("size limit"), "{huge}");
}

#[test]
fn many_matches_are_told_and_the_rest_is_one() {
    let text = "7 ".repeat(MOST_MATCHES + 50);
    let found = found(&[regexes("pattern.x", &[r"\d"])], &text);
    assert_eq!(found.len(), MOST_MATCHES + 1);
    assert_eq!(found.last().unwrap().len(), "pattern.x: ".len() + 100);
}

#[test]
fn no_expression_takes_exponential_time() {
    let started = Instant::now();
    assert!(
        found(&[regexes("pattern.x", &["(a+)+$", "(a|aa)*b"])], &format!("{}!", "a".repeat(100_000)))
            .is_empty()
    );
    assert!(started.elapsed().as_secs() < 20);
}

/// An expression of any shape that the search for what it needs looks into.
fn any_expression() -> impl Strategy<Value = String> {
    let texts = prop::sample::select(vec![
        "pipe",
        "bomb",
        "ai",
        "so",
        "kill",
        "k",
        "é",
        "ß",
        "make|build",
        "x.",
        "-",
        " ",
        "1",
    ]);
    let others = prop::sample::select(vec![
        r"\b",
        r"(?-u:\b)",
        r"\s+",
        r"\s*",
        r"[ \t]*",
        "[.?!]",
        "[^a-z]",
        "[sz]",
        r"\w",
        ".",
        "$",
        "^",
        "(?:^|[.?])",
    ]);
    let leaf = prop_oneof![3 => texts, 2 => others].prop_map(|part| format!("(?:{part})"));
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..5).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|branches| format!("(?:{})", branches.join("|"))),
            1 => inner.clone().prop_map(|part| format!("(?:{part})?")),
            1 => inner.clone().prop_map(|part| format!("(?:{part})+")),
            1 => inner.prop_map(|part| format!("(?:{part})*")),
        ]
    })
}

/// A text in which such expressions match now and then.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "pipe",
        "Bomb",
        "bombs",
        "AI",
        "aid",
        "so",
        "ſo",
        "kill",
        "\u{212a}ill",
        "k",
        "make",
        "built",
        "é",
        "ß",
        "x!",
        "-",
        " ",
        "  ",
        "\n",
        ".",
        "?",
        "1",
        "_",
    ]);
    prop::collection::vec(part, 0..10).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn prop_no_match_is_lost_by_what_an_expression_needs(source in any_expression(), text in any_text()) {
        let alone = Regex::new(&format!("(?i){source}")).unwrap();
        let expected: Vec<_> = alone.find_iter(&text).map(|found| format!("pattern.x: {}", found.as_str())).collect();
        prop_assert_eq!(found(&[regexes("pattern.x", &[&source])], &text), expected);
    }

    #[test]
    fn prop_everything_is_found_as_by_the_expression_alone(text in "(pipe|BOMB|bombs|ſ|K|ß| |1|é){0,12}") {
        let source = r"pipe\s*bombs?|k[1-3]|ßs?";
        let alone = Regex::new(&format!("(?i){source}")).unwrap();
        let expected: Vec<_> = alone.find_iter(&text).map(|found| format!("pattern.x: {}", found.as_str())).collect();
        prop_assert_eq!(found(&[regexes("pattern.x", &[source])], &text), expected);
    }

    #[test]
    fn prop_spans_lie_on_borders_of_characters(text in "\\PC{0,60}") {
        let mut hits = Vec::new();
        let patterns = [regexes("pattern.x", &["[aeiouä]", ".s."]), words("list.x", &["a", "的", "é è"])];
        Patterns::compile(&patterns).unwrap().scan(&text, &mut hits);
        for hit in hits {
            prop_assert!(text.get(hit.span).is_some());
        }
    }
}
