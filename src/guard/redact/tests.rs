//! Redaction there and back.

use proptest::prelude::*;

use super::*;

fn redaction(signal: &str, span: std::ops::Range<usize>, restore: bool) -> Redaction {
    Redaction { segment: 0, span, signal: signal.into(), restore }
}

/// Redactions of every occurrence of each value, in order of place.
fn find(text: &str, values: &[(&str, &str)], restore: bool) -> Vec<Redaction> {
    let mut found = Vec::new();
    for (signal, value) in values {
        found.extend(
            text.match_indices(value).map(|(at, value)| redaction(signal, at..at + value.len(), restore)),
        );
    }
    found
}

fn apply(pseudonyms: &mut Pseudonyms, text: &str, redactions: &[Redaction]) -> String {
    pseudonyms.apply(text, &redactions.iter().collect::<Vec<_>>())
}

/// Pseudonyms of one mail address, `<EMAIL_1>`.
fn of_email(email: &str) -> Pseudonyms {
    let mut pseudonyms = Pseudonyms::default();
    let redactions = [redaction("pii.email", 0..email.len(), true)];
    assert_eq!(apply(&mut pseudonyms, email, &redactions), "<EMAIL_1>");
    pseudonyms
}

#[test]
fn a_value_keeps_its_placeholder() {
    let text =
        "Ann is ann@example.org, Bob is bob@example.org, Ann's card is 4111 1111 1111 1111; ann@example.org";
    let values = [
        ("pii.email", "ann@example.org"),
        ("pii.email", "bob@example.org"),
        ("pii.credit_card", "4111 1111 1111 1111"),
    ];
    let mut pseudonyms = Pseudonyms::default();
    assert_eq!(
        apply(&mut pseudonyms, text, &find(text, &values, true)),
        "Ann is <EMAIL_1>, Bob is <EMAIL_2>, Ann's card is <CREDIT_CARD_1>; <EMAIL_1>"
    );
    let later = "Write to bob@example.org";
    assert_eq!(apply(&mut pseudonyms, later, &find(later, &values, true)), "Write to <EMAIL_2>");
    assert_eq!(pseudonyms.len(), 3);
}

#[test]
fn the_same_number_written_differently_comes_back_as_written() {
    let text = "4111 1111 1111 1111 or 4111111111111111";
    let values = [("pii.credit_card", "4111 1111 1111 1111"), ("pii.credit_card", "4111111111111111")];
    let mut pseudonyms = Pseudonyms::default();
    let redacted = apply(&mut pseudonyms, text, &find(text, &values, true));
    assert_eq!(redacted, "<CREDIT_CARD_1> or <CREDIT_CARD_2>");
    assert_eq!(pseudonyms.restore(&redacted, Syntax::Text), text);
}

#[test]
fn a_masked_value_never_comes_back() {
    let text = "card 4111111111111111";
    let redactions = find(text, &[("pii.credit_card", "4111111111111111")], false);
    let mut pseudonyms = Pseudonyms::default();
    let redacted = apply(&mut pseudonyms, text, &redactions);
    assert_eq!(redacted, "card [CREDIT_CARD]");
    assert_eq!(pseudonyms.restore(&redacted, Syntax::Text), redacted);
    assert!(pseudonyms.is_empty());
}

#[test]
fn an_answer_is_masked_whatever_the_rule_says() {
    let text = "mail ann@example.org";
    let redactions = find(text, &[("pii.email", "ann@example.org")], true);
    assert_eq!(mask(text, &redactions.iter().collect::<Vec<_>>()), "mail [EMAIL]");
}

/// Everything that is read as `<EMAIL_1>`.
const SPELLINGS: [&str; 13] = [
    "<EMAIL_1>",
    "<email_1>",
    "< EMAIL_1 >",
    "<EMAIL-1>",
    "<Email 1 >",
    "<_EMAIL__1_>",
    r"<EMAIL\_1>",
    r"\<EMAIL_1\>",
    r"\<EMAIL\_1\>",
    "&lt;EMAIL_1&gt;",
    r"\u003cEMAIL_1\u003e",
    r"\u003CEMAIL_1\u003E",
    r"\\u003cEMAIL_1\\u003e",
];

#[test]
fn restores_what_models_make_of_placeholders() {
    let pseudonyms = of_email("ann@example.org");
    for written in SPELLINGS {
        assert_eq!(pseudonyms.restore(written, Syntax::Text), "ann@example.org", "{written}");
        for (at, _) in written.char_indices() {
            let mut restorer = pseudonyms.restorer(Syntax::Text);
            let pieces = [restorer.push(&written[..at]), restorer.push(&written[at..]), restorer.finish()];
            assert_eq!(pieces.concat(), "ann@example.org", "{written} cut at {at}");
        }
    }
    for (answer, restored) in [
        ("Write to **<EMAIL_1>**.", "Write to **ann@example.org**."),
        ("Write to `EMAIL_1`.", "Write to `ann@example.org`."),
        ("Write to `<EMAIL_1>`.", "Write to `ann@example.org`."),
        ("[mail](mailto:<EMAIL_1>)", "[mail](mailto:ann@example.org)"),
        ("<<EMAIL_1>>", "<ann@example.org>"),
    ] {
        assert_eq!(pseudonyms.restore(answer, Syntax::Text), restored);
    }
}

#[test]
fn leaves_alone_what_is_no_known_placeholder() {
    let pseudonyms = of_email("ann@example.org");
    for text in [
        "<EMAIL_2>",
        "<EMAIL_12>",
        "EMAIL_1",
        "<EMAIL_1",
        "EMAIL_1>",
        "`Email 1`",
        r"\\\u003cEMAIL_1\\\u003e",
        "<MY_EMAIL_1>",
        "a < b && c > d",
        "&lt;EMAIL_1>",
        "&amp; &lt;",
        r"\",
        "`",
        "<",
        "[EMAIL_1]",
    ] {
        assert_eq!(pseudonyms.restore(text, Syntax::Text), text);
    }
}

#[test]
fn values_are_escaped_as_their_surroundings_are() {
    let value = r#""Ann \ Co" <ann&co@example.org>"#;
    let pseudonyms = of_email(value);

    let read =
        |json: &str| serde_json::from_str::<serde_json::Value>(json).expect("valid JSON")["to"].clone();
    for arguments in [r#"{"to":"<EMAIL_1>"}"#, r#"{"to":"\u003cEMAIL_1\u003e"}"#] {
        assert_eq!(read(&pseudonyms.restore(arguments, Syntax::Json)), value);
    }
    // JSON written in words shows that it is JSON by its escapes.
    assert_eq!(read(&pseudonyms.restore(r#"{"to":"\u003cEMAIL_1\u003e"}"#, Syntax::Text)), value);
    // JSON inside a string of JSON.
    let nested = pseudonyms.restore(r#"{"to":"{\"to\":\"\\u003cEMAIL_1\\u003e\"}"}"#, Syntax::Json);
    assert_eq!(read(read(&nested).as_str().expect("a string")), value);

    let html = pseudonyms.restore("<b>&lt;EMAIL_1&gt;</b>", Syntax::Text);
    assert_eq!(htmlize::unescape(html.trim_start_matches("<b>").trim_end_matches("</b>")), value);
}

#[test]
fn placeholders_of_the_users_own_text_are_not_confused() {
    for own in
        ["<EMAIL_1>", "<email 1>", "`EMAIL_1`", "EMAIL_1", r"EMAIL\_1", r"\u003cEMAIL_1\u003e", "email-1"]
    {
        let text = format!("What is {own}? I am ann@example.org");
        let mut pseudonyms = Pseudonyms::default();
        let redacted = apply(&mut pseudonyms, &text, &find(&text, &[("pii.email", "ann@example.org")], true));
        assert_eq!(redacted, format!("What is {own}? I am <EMAIL_2>"));
        assert_eq!(pseudonyms.restore(&redacted, Syntax::Text), text);
        assert_eq!(pseudonyms.restore("About <EMAIL_1>", Syntax::Text), "About <EMAIL_1>");
    }
}

#[test]
fn a_later_message_reserves_its_placeholders_too() {
    let mut pseudonyms = Pseudonyms::for_request(["I am ann@example.org", "What does <EMAIL_1> mean?"]);
    let text = "I am ann@example.org";
    let redactions = find(text, &[("pii.email", "ann@example.org")], true);
    assert_eq!(apply(&mut pseudonyms, text, &redactions), "I am <EMAIL_2>");
}

#[test]
fn a_placeholder_that_a_redaction_uncovers_is_not_confused() {
    // With its first backslash gone, the rest reads as a placeholder.
    let text = r"\\u003cEMAIL_1\u003e ann@example.org";
    let mut pseudonyms = Pseudonyms::default();
    let redactions = [redaction("pii.x", 0..1, true), redaction("pii.email", 21..36, true)];
    let redacted = apply(&mut pseudonyms, text, &redactions);
    assert_eq!(redacted, r"<X_1>\u003cEMAIL_1\u003e <EMAIL_2>");
    assert_eq!(pseudonyms.restore(&redacted, Syntax::Text), text);
}

#[test]
fn overlapping_and_outlying_spans_leave_no_part_of_a_value() {
    let text = "käse 12345";
    let redactions = [
        redaction("pii.a", 2..4, true),   // begins inside `ä`
        redaction("pii.b", 6..9, true),   // 123
        redaction("pii.c", 8..99, true),  // 345 and beyond
        redaction("pii.d", 50..60, true), // nowhere
        redaction("pii.e", 7..8, true),   // inside the others
    ];
    let mut pseudonyms = Pseudonyms::default();
    let redacted = apply(&mut pseudonyms, text, &redactions);
    assert_eq!(redacted, "k<A_1>e <B_1><C_1>");
    assert_eq!(pseudonyms.restore(&redacted, Syntax::Text), text);
}

#[test]
fn labels_are_plain_words() {
    assert_eq!(label("pii.credit_card"), "CREDIT_CARD");
    assert_eq!(label("pattern.kunden-nummer 7"), "KUNDEN_NUMMER_7");
    assert_eq!(label("list.名前"), "VALUE");
    assert_eq!(label(""), "VALUE");
    assert_eq!(label(&format!("pii.{}", "a".repeat(99))).len(), MAX_LABEL);
}

#[test]
fn debug_output_hides_values() {
    let pseudonyms = of_email("ann@example.org");
    let mut restorer = pseudonyms.restorer(Syntax::Text);
    restorer.push("my secret answer <EMAIL");
    let shown = format!("{pseudonyms:?} {restorer:?}");
    assert!(shown.contains("EMAIL_1"));
    assert!(!shown.contains("ann") && !shown.contains("secret"), "{shown}");
}

#[test]
fn a_stream_waits_only_for_a_possible_placeholder() {
    let pseudonyms = of_email("ann@example.org");
    let mut restorer = pseudonyms.restorer(Syntax::Text);
    assert_eq!(restorer.push("if a < b then <b>x</b> "), "if a < b then <b>x</b> ");
    assert_eq!(restorer.push("to <EM"), "to ");
    assert_eq!(restorer.push("AIL_"), "");
    assert_eq!(restorer.push("1> now, or <EMAIL_9"), "ann@example.org now, or <EMAIL_9");
    assert_eq!(restorer.push("<EMAIL_1"), "");
    assert_eq!(restorer.finish(), "<EMAIL_1");
    assert_eq!(restorer.finish(), "");
}

/// Text rich in what placeholders are made of.
fn texts() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<",
        ">",
        "&lt;",
        "&gt;",
        "&",
        "`",
        "\\",
        "\\<",
        "\\>",
        "\\u003c",
        "\\u003e",
        "\\\\u003c",
        "\\\\u003e",
        "EMAIL",
        "email",
        "CARD",
        "_",
        "-",
        " ",
        "1",
        "2",
        "12",
        "EMAIL_1",
        "<EMAIL_1>",
        "<email 2>",
        "`CARD_1`",
        "&lt;CARD_2&gt;",
        "\\u003cEMAIL_2\\u003e",
        "a",
        "ä",
        "漢",
        "\"",
        "\n",
        "[EMAIL]",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

/// Answers with placeholders as models write them, known and not, whole and torn.
fn answers() -> impl Strategy<Value = String> {
    let spelling =
        (prop::sample::select(SPELLINGS.to_vec()), 0..4u8, any::<prop::sample::Index>(), any::<bool>());
    let placeholder = spelling.prop_map(|(spelling, number, at, torn)| {
        let spelling = spelling.replace('1', &number.to_string());
        if torn { spelling[..at.index(spelling.len())].to_owned() } else { spelling }
    });
    let part = prop_oneof![texts(), placeholder, any::<String>()];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

/// `<EMAIL_1>`, `<EMAIL_2>` and `<CARD_1>`.
fn three_values() -> Pseudonyms {
    let text = "a@x \"b\"@x 4111";
    let values = [("pii.email", "a@x"), ("pii.email", "\"b\"@x"), ("pii.card", "4111")];
    let mut pseudonyms = Pseudonyms::default();
    assert_eq!(apply(&mut pseudonyms, text, &find(text, &values, true)), "<EMAIL_1> <EMAIL_2> <CARD_1>");
    pseudonyms
}

/// The same as `texts`, with values marked to be taken out.
fn marked_texts() -> impl Strategy<Value = (String, Vec<Redaction>)> {
    let value =
        prop_oneof![texts(), "[a-c]{1,3}@x", any::<String>()].prop_filter("not empty", |v| !v.is_empty());
    let part = (texts(), value, prop::sample::select(vec!["pii.email", "pii.card"]));
    (prop::collection::vec(part, 0..6), texts()).prop_map(|(parts, tail)| {
        let (mut text, mut redactions) = (String::new(), Vec::new());
        for (before, value, signal) in parts {
            text.push_str(&before);
            redactions.push(redaction(signal, text.len()..text.len() + value.len(), true));
            text.push_str(&value);
        }
        (text + &tail, redactions)
    })
}

/// Cuts `text` at character borders near the given places.
fn cut<'a>(text: &'a str, places: &[prop::sample::Index]) -> Vec<&'a str> {
    let mut cuts: Vec<_> =
        places.iter().map(|place| text.floor_char_boundary(place.index(text.len() + 1))).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn what_was_applied_is_restored((text, redactions) in marked_texts()) {
        let mut pseudonyms = Pseudonyms::default();
        let redacted = apply(&mut pseudonyms, &text, &redactions);
        prop_assert_eq!(pseudonyms.restore(&redacted, Syntax::Text), text);
    }

    #[test]
    fn several_messages_are_restored(messages in prop::collection::vec(marked_texts(), 1..4)) {
        let mut pseudonyms = Pseudonyms::for_request(messages.iter().map(|(text, _)| text.as_str()));
        for (text, redactions) in &messages {
            let redacted = apply(&mut pseudonyms, text, redactions);
            prop_assert_eq!(&pseudonyms.restore(&redacted, Syntax::Text), text);
        }
    }

    #[test]
    fn a_stream_equals_the_whole(
        answer in answers(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        json in any::<bool>(),
    ) {
        let pseudonyms = three_values();
        let syntax = if json { Syntax::Json } else { Syntax::Text };
        let whole = pseudonyms.restore(&answer, syntax);
        let mut restorer = pseudonyms.restorer(syntax);
        let mut streamed = String::new();
        for piece in cut(&answer, &places) {
            streamed.push_str(&restorer.push(piece));
            prop_assert!(restorer.held() <= 128);
        }
        streamed.push_str(&restorer.finish());
        prop_assert_eq!(streamed, whole);
    }

    #[test]
    fn no_span_makes_it_panic(text in any::<String>(), spans in prop::collection::vec((0usize..40, 0usize..40), 0..6)) {
        let redactions: Vec<_> =
            spans.iter().map(|&(start, end)| redaction("pii.x", start..end, true)).collect();
        let mut pseudonyms = Pseudonyms::default();
        let redacted = apply(&mut pseudonyms, &text, &redactions);
        prop_assert_eq!(pseudonyms.restore(&redacted, Syntax::Text), text);
    }
}
