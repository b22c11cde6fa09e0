//! The window over every way to cut a text, with real detectors and no clock.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use proptest::{prelude::*, sample::subsequence};

use super::{Shape, Windows};
use crate::{
    guard::{Detectors, Guard, Limits, redact::Pseudonyms, redact::Syntax, reply::Replies},
    message::{Direction, Exchange, Place, Segment},
    policy::Policy,
    telemetry::Metrics,
    verdict::Action,
};

fn guard(rules: &str) -> Guard {
    let detectors = Detectors::builtin();
    let replies = Replies::builtin();
    let catalog = detectors.catalog(replies.names(), replies.notices());
    let policy = Policy::parse("test.yaml", &format!("demur: 1\nname: test\n{rules}"), &catalog).unwrap();
    let limits = Limits { deadline: Duration::from_secs(60) };
    Guard::new(Arc::new(policy), &detectors, limits, Arc::new(Metrics::new())).unwrap()
}

static REDACT: LazyLock<Guard> = LazyLock::new(|| {
    guard(
        "
lists:
  project: [blue falcon rising]
rules:
  - {id: cards, on: [output], when: pii.credit_card > 0 || pii.email > 0 || pii.phone > 0 || pii.iban > 0, do: redact}
  - {id: secrets, on: [output], when: secret.any > 0, do: redact}
  - {id: project, on: [output], when: list.project > 0, do: redact}
"
        .replace("secret.any", "secret.private_key")
        .as_str(),
    )
});

static REFUSE: LazyLock<Guard> = LazyLock::new(|| {
    guard(
        "
lists:
  zork: [zork, plain zork words]
rules:
  - {id: no-zork, on: [output], when: list.zork > 0, do: refuse}
",
    )
});

/// What a client sees of a text that arrives in these pieces; whether it was refused. `every` pieces come between two
/// looks at what is due.
fn shown(guard: &Guard, pieces: &[&str], every: usize) -> (String, bool) {
    let mut windows = Windows::new(guard.shape());
    let text = windows.open(Place::Content, "/text", Pseudonyms::default().restorer(Syntax::Text));
    let mut now = Instant::now();
    let mut seen = String::new();
    let mut look = |windows: &mut Windows, now: Instant| {
        while let Some(due) = windows.due(now) {
            let exchange = Exchange::output(windows.segments(&due), Arc::from([]));
            let judged = guard.look(exchange).now_or_never().expect("nothing here waits");
            if judged.verdict.action == Action::Refuse {
                return true;
            }
            windows.judged(&due, &judged.verdict.redactions, Duration::ZERO, now);
        }
        seen.push_str(&windows.show(text, windows.cleared(text)));
        false
    };
    for (i, piece) in pieces.iter().enumerate() {
        windows.push(text, piece, now);
        now += Duration::from_millis(20);
        if i % every == 0 && look(&mut windows, now) {
            return (seen, true);
        }
    }
    windows.finish();
    let refused = look(&mut windows, now);
    (seen, refused)
}

fn cut<'a>(text: &'a str, at: &[usize]) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for &at in at.iter().chain([&text.len()]) {
        let at = text.floor_char_boundary(at);
        if at > from {
            pieces.push(&text[from..at]);
            from = at;
        }
    }
    pieces
}

const WORDS: [&str; 14] = [
    "the",
    "answer",
    "is",
    "42,",
    "she",
    "said:",
    "größer",
    "今天天气很好",
    "and",
    "then.",
    "A",
    "new",
    "day",
    "came\n",
];

const THINGS: [&str; 7] = [
    "4111 1111 1111 1111",
    "jane.doe@example.com",
    "+49 30 901820",
    "DE89 3704 0044 0532 0130 00",
    "blue falcon rising",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq2K1lX4m9u0bYcPz\nq8Jm3nT5vW7xZ9aB1cD3eF5gH7iJ9kL1mN3oP5qR7sT9\n-----END RSA PRIVATE KEY-----",
    "BLUE  FALCON RISING",
];

fn prose() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60).prop_map(|words| words.join(" "))
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0_usize..900, 0..80).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// However a text is cut, nothing that is taken out of answers is shown, not even its beginning.
    #[test]
    fn prop_what_is_taken_out_is_never_shown(
        before in prose(), thing in prop::sample::select(&THINGS[..]), after in prose(), cuts in cuts(), every in 1_usize..5,
    ) {
        let text = format!("{before} {thing} {after}");
        let (seen, _) = shown(&REDACT, &cut(&text, &cuts), every);
        let whole = shown(&REDACT, &[&text], 1).0;
        prop_assert!(whole.contains('['), "{whole}");
        prop_assert!(!seen.contains(thing), "{seen}");
        prop_assert_eq!(seen, whole);
    }

    /// However it is cut, a refused text shows nothing of what it is refused for.
    #[test]
    fn prop_what_is_refused_is_never_shown(before in prose(), after in prose(), cuts in cuts(), every in 1_usize..5) {
        let text = format!("{before} zork {after}");
        let (seen, refused) = shown(&REFUSE, &cut(&text, &cuts), every);
        prop_assert!(refused);
        prop_assert!(!seen.contains("zork"), "{seen}");
        prop_assert!(text.starts_with(&seen));
    }

    /// A text that no rule touches arrives as it is.
    #[test]
    fn prop_what_no_rule_touches_arrives_as_it_is(text in prose(), more in prose(), cuts in cuts(), every in 1_usize..5) {
        let text = text + &more;
        for guard in [&*REDACT, &*REFUSE] {
            prop_assert_eq!(&shown(guard, &cut(&text, &cuts), every).0, &text);
        }
    }

    /// What a question's pseudonyms stand for comes back, whatever is cut.
    #[test]
    fn prop_cuts_of_a_letter_each_change_nothing(picked in subsequence(WORDS.to_vec(), 0..WORDS.len())) {
        let text = picked.join(" ");
        let every_byte: Vec<usize> = (0..text.len()).collect();
        prop_assert_eq!(&shown(&REFUSE, &cut(&text, &every_byte), 1).0, &text);
    }
}

fn windows(mode: crate::verdict::StreamMode) -> (Windows, usize) {
    let shape = Shape { mode, ..REFUSE.shape() };
    let mut windows = Windows::new(shape);
    let text = windows.open(Place::Content, "/text", Pseudonyms::default().restorer(Syntax::Text));
    (windows, text)
}

#[test]
fn windows_begin_small_and_grow() {
    let (mut windows, text) = windows(crate::verdict::StreamMode::Hold);
    let now = Instant::now();
    let mut sizes = Vec::new();
    let mut judged = 0;
    for _ in 0..200 {
        windows.push(text, "word ", now);
        if let Some(due) = windows.due(now) {
            sizes.push(due[0].range.end - judged);
            judged = due[0].range.end;
            windows.judged(&due, &[], Duration::ZERO, now);
        }
    }
    assert!(sizes[0] <= 20, "{sizes:?}");
    assert!(sizes.windows(2).take(3).all(|pair| pair[0] < pair[1]), "{sizes:?}");
    assert!(sizes[5..].iter().all(|size| (120..=136).contains(size)), "{sizes:?}");
}

#[test]
fn words_do_not_wait_for_a_window_to_fill() {
    let (mut windows, text) = windows(crate::verdict::StreamMode::Hold);
    let now = Instant::now();
    windows.push(text, "well ", now);
    assert!(windows.due(now).is_none());
    let due_at = windows.due_at().unwrap();
    assert_eq!(windows.due(due_at).unwrap()[0].range, 0..5);
}

#[test]
fn while_one_is_judged_the_next_gathers() {
    let (mut windows, text) = windows(crate::verdict::StreamMode::Hold);
    let now = Instant::now();
    windows.push(text, &"word ".repeat(10), now);
    let due = windows.due(now).unwrap();
    windows.push(text, &"word ".repeat(200), now);
    assert!(windows.due(now).is_none() && windows.due_at().is_none());
    windows.judged(&due, &[], Duration::from_secs(1), now);
    assert_eq!(windows.due(now).unwrap()[0].range.end, 1050);
}

#[test]
fn a_busy_guard_is_asked_less_often_and_reads_less_again() {
    let read_again = |took| {
        let (mut windows, text) = windows(crate::verdict::StreamMode::Hold);
        let now = Instant::now();
        windows.push(text, &"word ".repeat(200), now);
        let due = windows.due(now).unwrap();
        windows.push(text, "more", now);
        let now = now + took;
        windows.judged(&due, &[], took, now);
        let waits = windows.due_at().unwrap() - now;
        let due = windows.due(now + waits).unwrap();
        // From one judgement's beginning to the next one's.
        (took + waits, 1000 - due[0].range.start)
    };
    let busy = Duration::from_millis(600);
    let (every, again) = read_again(Duration::from_millis(10));
    let (every_busy, again_busy) = read_again(busy);
    assert!(every_busy > 3 * every && every_busy + busy <= Limits::default().deadline);
    assert!(again >= super::OVERLAP && again_busy < again / 2 && again_busy >= super::LEAST_OVERLAP);
}

#[test]
fn a_refusal_in_the_middle_is_put_off_until_more_is_known() {
    let (mut windows, text) = windows(crate::verdict::StreamMode::Hold);
    let now = Instant::now();
    windows.push(text, &"word ".repeat(200), now);
    let due = windows.due(now).unwrap();
    windows.judged(&due, &[], Duration::ZERO, now);
    windows.push(text, &"more ".repeat(20), now);
    let first = windows.due(now).unwrap();
    assert!(windows.put_off(&first, now) && windows.is_put_off());
    // The same words are no news.
    assert!(windows.due(now).is_none());
    windows.push(text, &"more ".repeat(30), now);
    let second = windows.due(now).unwrap();
    assert!(second[0].range.start < first[0].range.start && second[0].range.end > first[0].range.end);
    assert_eq!(windows.cleared(text), 1000);
    // It is put off once.
    assert!(!windows.put_off(&second, now));
    windows.judged(&second, &[], Duration::ZERO, now);
    assert_eq!((windows.is_put_off(), windows.cleared(text)), (false, second[0].range.end));
    // The last words are looked at again with more before them.
    windows.push(text, "the end", now);
    windows.finish();
    let last = windows.due(now).unwrap();
    assert!(windows.put_off(&last, now));
    let again = windows.due(now).unwrap();
    assert!(again[0].range.start < last[0].range.start && again[0].range.end == last[0].range.end);
}

#[test]
fn a_refusal_of_a_whole_text_stands() {
    let (mut windows, text) = windows(crate::verdict::StreamMode::Hold);
    let now = Instant::now();
    windows.push(text, "no more than this", now);
    windows.finish();
    let due = windows.due(now).unwrap();
    assert!(!windows.put_off(&due, now));
}

#[test]
fn half_a_word_is_not_judged_while_the_other_half_is_due() {
    let (mut windows, text) = windows(crate::verdict::StreamMode::Hold);
    let now = Instant::now();
    windows.push(text, "a skill", now);
    let due_at = windows.due_at().unwrap();
    let due = windows.due(due_at).unwrap();
    assert_eq!(due[0].range, 0..2);
    windows.judged(&due, &[], Duration::ZERO, due_at);
    // A model that says no more may have said it all.
    let due_at = windows.due_at().unwrap();
    assert_eq!(windows.due(due_at).unwrap()[0].range, 0..7);
}

#[test]
fn a_refusal_that_was_put_off_waits_no_longer_than_a_window() {
    let (mut windows, text) = windows(crate::verdict::StreamMode::Hold);
    let now = Instant::now();
    windows.push(text, "well, some words ", now);
    let first = windows.due(now).unwrap();
    assert!(windows.put_off(&first, now));
    let due_at = windows.due_at().unwrap();
    assert_eq!(windows.due(due_at).unwrap(), first);
}

#[test]
fn what_a_pattern_found_is_not_put_off_and_a_score_is() {
    let scored = guard("rules:\n  - {id: mail, on: [output], when: pii.email > 0.5, do: refuse}\n");
    let text = "Write to jane.doe@example.com about zork";
    let may_change = |guard: &Guard| {
        let segment = Segment::bare(Direction::Output, text);
        let judged = guard.look(Exchange::output(vec![segment], Arc::from([]))).now_or_never().unwrap();
        assert_eq!(judged.verdict.action, Action::Refuse);
        guard.may_change(&judged.verdict)
    };
    assert_eq!((may_change(&REFUSE), may_change(&scored)), (false, true));
}

#[test]
fn a_buffered_answer_is_judged_at_its_end_and_an_audited_one_is_shown_at_once() {
    let (mut buffered, text) = windows(crate::verdict::StreamMode::Buffer);
    let now = Instant::now();
    buffered.push(text, &"word ".repeat(500), now);
    buffered.end(text);
    assert!(buffered.due(now).is_none() && buffered.cleared(text) == 0);
    buffered.finish();
    assert_eq!(buffered.due(now).unwrap()[0].range, 0..2500);
    let (mut audited, text) = windows(crate::verdict::StreamMode::Audit);
    let end = audited.push(text, "anything", now);
    assert_eq!(audited.cleared(text), end);
}

#[test]
fn what_came_and_what_was_judged_is_counted() {
    let (mut windows, text) = windows(crate::verdict::StreamMode::Hold);
    let now = Instant::now();
    windows.push(text, "größer als die Welt ", now);
    let due = windows.due(now).unwrap();
    windows.judged(&due, &[], Duration::ZERO, now);
    windows.push(text, "mehr", now);
    assert_eq!((windows.seen().characters, windows.seen().judged), (24, 20));
}
