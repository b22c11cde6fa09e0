//! Policies as people write them, and the promises that judging makes.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    message::Segment,
    verdict::{Failure, FailureReason, Finding, SignalKind, Verdict},
};

fn catalog() -> Catalog {
    let signal = |name: &str, kind, detector, hazard| SignalInfo {
        name: name.into(),
        kind,
        detector,
        hazard,
        about: "".into(),
    };
    Catalog {
        signals: vec![
            signal("pii.credit_card", SignalKind::Count, "pii", Some(Hazard::Privacy)),
            signal("pii.email", SignalKind::Count, "pii", Some(Hazard::Privacy)),
            signal("guard.suicide_self_harm", SignalKind::Score, "classifier", Some(Hazard::SuicideSelfHarm)),
        ],
        replies: ["crisis", "privacy", "unavailable"].map(String::from).into(),
        notices: ["not-a-doctor"].map(String::from).into(),
    }
}

fn policy(rules: &str) -> Policy {
    Policy::parse("test.yaml", &format!("demur: 1\nname: test\n{rules}"), &catalog()).unwrap()
}

fn errors(text: &str) -> Vec<String> {
    let errors = Policy::parse("test.yaml", text, &catalog()).unwrap_err();
    errors.0.iter().map(ToString::to_string).collect()
}

fn found(signal: &str, segment: usize, span: std::ops::Range<usize>, score: f32) -> Finding {
    Finding { signal: signal.into(), detector: "test", score, segment, span: Some(span) }
}

fn judge(policy: &Policy, findings: &[Finding]) -> Verdict {
    let segments =
        [Segment::bare(Direction::Input, "first text"), Segment::bare(Direction::Input, "second text")];
    policy.judge(Evidence {
        direction: Direction::Input,
        segments: &segments,
        languages: &[],
        key: None,
        findings,
        failures: &[],
        media: 0,
    })
}

const CARDS: &str = "
rules:
  - {id: cards, on: [input], when: pii.credit_card > 0, do: redact}
  - {id: self-harm, on: [input], when: guard.suicide_self_harm > 0.6, do: refuse, reply: crisis}
  - {id: many, on: [input], when: pii.email > 1, do: warn, notice: not-a-doctor, notice_at: before}
  - {id: out, on: [output], when: pii.email > 0, do: refuse}
";

#[test]
fn nothing_seen_is_allowed() {
    let verdict = judge(&policy(CARDS), &[]);
    assert_eq!((verdict.action, verdict.hits.len()), (Action::Allow, 0));
}

#[test]
fn the_strongest_action_wins_and_redactions_add_up() {
    let findings = [
        found("pii.credit_card", 0, 2..5, 1.0),
        found("pii.credit_card", 1, 0..3, 1.0),
        found("guard.suicide_self_harm", 1, 0..6, 0.9),
    ];
    let verdict = judge(&policy(CARDS), &findings);
    assert_eq!(verdict.action, Action::Refuse);
    assert_eq!(verdict.decided_by().unwrap().reply.as_deref(), Some("crisis"));
    assert_eq!(verdict.redactions.len(), 2);
    assert_eq!(verdict.hazards(), [Hazard::SuicideSelfHarm, Hazard::Privacy]);
}

#[test]
fn counts_are_counted_in_each_segment() {
    let policy = policy(CARDS);
    let apart = [found("pii.email", 0, 0..1, 1.0), found("pii.email", 1, 0..1, 1.0)];
    assert_eq!(judge(&policy, &apart).action, Action::Allow);
    let together = [found("pii.email", 0, 0..1, 1.0), found("pii.email", 0, 2..3, 1.0)];
    assert_eq!(judge(&policy, &together).action, Action::Warn);
}

#[test]
fn overlapping_redactions_become_one() {
    let findings = [found("pii.credit_card", 0, 0..4, 1.0), found("pii.credit_card", 0, 2..9, 1.0)];
    let redactions = judge(&policy(CARDS), &findings).redactions;
    let spans: Vec<_> = redactions.iter().map(|r| (r.span.start, r.span.end)).collect();
    assert_eq!(spans, [(0, 9)]);
}

#[test]
fn a_shadow_never_acts() {
    let findings = [found("pii.credit_card", 0, 2..5, 1.0)];
    for text in [format!("mode: shadow\n{CARDS}"), CARDS.replace("do: redact", "do: redact, mode: shadow")] {
        let verdict = judge(&policy(&text), &findings);
        assert_eq!((verdict.action, verdict.would), (Action::Allow, Action::Redact));
        assert!(verdict.redactions.is_empty());
    }
}

#[test]
fn a_failed_detector_closes_unless_the_policy_says_open() {
    let failures = [Failure { detector: "pii", reason: FailureReason::Late }];
    let segments = [Segment::bare(Direction::Input, "x")];
    let judge = |policy: &Policy| {
        policy.judge(Evidence {
            direction: Direction::Input,
            segments: &segments,
            languages: &[],
            key: None,
            findings: &[],
            failures: &failures,
            media: 0,
        })
    };
    let closed = judge(&policy("rules: []"));
    assert_eq!(closed.action, Action::Refuse);
    assert_eq!(&*closed.decided_by().unwrap().rule, GUARD_UNAVAILABLE);
    let open = judge(&policy("on_failure: {pii: open}\nrules: []"));
    assert_eq!((open.action, open.unprotected().count()), (Action::Allow, 1));
    assert_eq!(judge(&policy("on_failure: open\nrules: []")).action, Action::Allow);
    assert_eq!(judge(&policy("mode: shadow\nrules: []")).action, Action::Allow);
}

#[test]
fn who_calls_decides_where_nothing_was_found() {
    let policy = policy(
        "rules:
  - {id: operators, on: [input], when: 'role == \"system\" && key != \"backoffice\"', do: refuse}
  - {id: any-system, on: [input], when: 'chars > 0 && role == \"system\"', do: log}
",
    );
    let decided = |role, key| {
        let segments = [Segment { role, ..Segment::bare(Direction::Input, "Answer in Welsh.") }];
        let evidence = Evidence {
            direction: Direction::Input,
            segments: &segments,
            languages: &[],
            key,
            findings: &[],
            failures: &[],
            media: 0,
        };
        policy.judge(evidence).action
    };
    assert_eq!(decided(Role::System, Some("backoffice")), Action::Log);
    assert_eq!(decided(Role::System, Some("website")), Action::Refuse);
    assert_eq!(decided(Role::System, None), Action::Refuse);
    assert_eq!(decided(Role::User, None), Action::Allow);
}

#[test]
fn a_case_says_who_calls_and_what_was_said_before() {
    let policy = policy(
        "rules: []
cases:
  - {say: and then, key: backoffice, turns: [{user: first}, {assistant: well}], expect: allow}
",
    );
    let exchange = policy.cases()[0].exchange();
    let said: Vec<_> = exchange.segments.iter().map(|segment| (segment.role, &*segment.text)).collect();
    assert_eq!(said, [(Role::User, "first"), (Role::Assistant, "well"), (Role::User, "and then")]);
    assert_eq!(exchange.caller.as_deref(), Some("backoffice"));
    let wrong = errors("demur: 1\nrules: []\ncases:\n  - {say: x, turns: [{usr: first}], expect: allow}\n");
    assert!(wrong[0].starts_with("test.yaml:4:") && wrong[0].contains("assistant"), "{wrong:?}");
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = "demur: 1
name: test
rules:
  - {id: a, on: [input], when: pii.credit_crad > 0, do: redact}
  - {id: a, on: [inputs], when: pii.email, do: refuze}
  - {id: b, on: [input], when: pii.email > 0, do: refuse, reply: crisys, hazard: privasy}
  - {id: c, on: [input], when: pii.email > 0, do: steer}
  - {id: d, on: [input], when: pii.email > 0, do: log, notice: not-a-doctor}
patterns:
  broken: '(a'
";
    let errors = errors(text);
    for expected in [
        "test.yaml:4:",
        "unknown signal `pii.credit_crad`; did you mean `pii.credit_card`?",
        "two rules are named `a`",
        "unknown direction `inputs`",
        "compare it",
        "unknown action `refuze`",
        "did you mean `refuse`?",
        "unknown reply `crisys`; did you mean `crisis`?",
        "unknown hazard `privasy`; did you mean `privacy`?",
        "steers without `guidance`",
        "`notice` is for `do: warn`",
        "the pattern `broken` has a wrong regular expression",
    ] {
        assert!(errors.iter().any(|error| error.contains(expected)), "{expected}: {errors:#?}");
    }
    assert!(errors.iter().any(|error| error.starts_with("test.yaml:4:32: ")), "{errors:#?}");
}

#[test]
fn what_is_no_policy_is_told() {
    assert!(errors("rules: []")[0].contains("demur"));
    assert!(errors("demur: 2\nrules: []")[0].contains("version 2"));
    assert!(errors("demur: 1\nruels: []")[0].starts_with("test.yaml:2:"));
    assert!(errors("demur: 1\nrules: [")[0].starts_with("test.yaml:"));
}

#[test]
fn a_policy_extends_another_and_overrides_by_id() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("base.yaml", &format!("demur: 1\nname: base\n{CARDS}"));
    write(
        "top.yaml",
        "demur: 1\nname: top\nextends: base\nrules:\n  - {id: cards, on: [input], when: pii.credit_card > 5, do: refuse}\n",
    );
    let top = Policy::load(&folder.path().join("top.yaml"), &catalog()).unwrap();
    assert_eq!((&*top.id().name, top.rules().len(), top.sources().len()), ("top", 4, 2));
    assert_eq!(judge(&top, &[found("pii.credit_card", 0, 0..1, 1.0)]).action, Action::Allow);
    write("base.yaml", "demur: 1\nextends: top.yaml\n");
    let cycle = Policy::load(&folder.path().join("top.yaml"), &catalog()).unwrap_err();
    assert!(cycle.to_string().contains("extends itself"), "{cycle}");
    write("top.yaml", "demur: 1\nextends: defualt\n");
    let unknown = Policy::load(&folder.path().join("top.yaml"), &catalog()).unwrap_err().to_string();
    assert!(unknown.contains("did you mean `default`") && unknown.contains("top.yaml:2:"), "{unknown}");
}

#[test]
fn what_holds_for_all_texts_is_said_by_the_last_layer_that_names_it() {
    let plain = policy("rules: []");
    assert_eq!(
        (plain.stream(), plain.input(), plain.media()),
        (StreamMode::Hold, InputMode::Before, MediaMode::Pass)
    );
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("base.yaml", "demur: 1\nstream: audit\ninput: beside\nrules: []\n");
    write("top.yaml", "demur: 1\nextends: base\nstream: buffer\nmedia: strip\nrules: []\n");
    let top = Policy::load(&folder.path().join("top.yaml"), &catalog()).unwrap();
    assert_eq!(
        (top.stream(), top.input(), top.media()),
        (StreamMode::Buffer, InputMode::Beside, MediaMode::Strip)
    );
}

#[test]
fn a_wrong_word_is_told_with_the_right_ones() {
    let errors = errors("demur: 1\nstream: bufer\ninput: after\nmedia: drop\nrules: []\n");
    for (place, allowed) in [
        ("test.yaml:2:9: ", "unknown stream `bufer`; expected hold, buffer, audit; did you mean `buffer`?"),
        ("test.yaml:3:8: ", "unknown input `after`; expected before, beside"),
        ("test.yaml:4:8: ", "unknown media `drop`; expected pass, refuse, strip"),
    ] {
        assert!(errors.iter().any(|e| e.starts_with(place) && e.contains(allowed)), "{allowed}: {errors:#?}");
    }
}

#[test]
fn only_enforced_rules_redact() {
    let redacts = |text: &str| {
        let policy = policy(text);
        assert!(!policy.redacts(Direction::Output));
        let signals: Vec<_> =
            policy.redacting_signals(Direction::Input).map(|signal| signal.to_string()).collect();
        (policy.redacts(Direction::Input), signals)
    };
    assert_eq!(redacts(CARDS), (true, vec!["pii.credit_card".to_owned()]));
    assert_eq!(redacts(&format!("mode: shadow\n{CARDS}")), (false, vec![]));
    assert_eq!(redacts(&CARDS.replace("do: redact", "do: redact, mode: shadow")), (false, vec![]));
}

#[test]
fn fragments_stand_in_one_place() {
    let text = "
fragments: {ask: '%{how} (?:do i|to)', how: how, end: '[.?!]|$'}
patterns: {a: '%{ask} brew%{end}'}
rules: [{id: a, on: [input], when: pattern.a > 0, do: log}]
";
    let expected = "(?:(?:how) (?:do i|to)) brew(?:[.?!]|$)";
    let regex = pattern::Matcher::Regex(vec![expected.to_owned()]);
    assert_eq!(policy(text).patterns()[0].matcher, regex);
    let wrong =
        errors("demur: 1\nfragments: {question: x}\npatterns: {a: '%{quesiton} b', b: '%{ask'}\nrules: []\n");
    assert!(
        wrong[0].starts_with("test.yaml:3:") && wrong[0].contains("did you mean `question`"),
        "{wrong:?}"
    );
    assert!(wrong.iter().any(|error| error.contains("without `}`")), "{wrong:?}");
    let circle = errors("demur: 1\nfragments: {a: '%{b}', b: '%{a}'}\npatterns: {c: 'x%{a}'}\nrules: []\n");
    assert!(circle[0].starts_with("test.yaml:3:") && circle[0].contains("circle"), "{circle:?}");
}

#[test]
fn what_looks_like_a_mistake_is_told() {
    let text = "
lists: {unread: [x], read: [y]}
fragments: {spare: x}
rules:
  - {id: tested, on: [input], when: list.read > 0, do: log}
  - {id: untested, on: [input], when: list.read > 3, do: log}
  - {id: always, on: [input], when: list.read < 1, do: log}
  - {id: never, on: [input], when: guard.suicide_self_harm > 1, do: log}
cases: [{say: y, expect: {action: log, rule: tested}}]
";
    let warnings: Vec<String> = policy(text).warnings().iter().map(ToString::to_string).collect();
    for (line, expected) in [
        (4, "`list.unread`"),
        (5, "fragment `spare`"),
        (8, "no case expects the rule `untested`"),
        (9, "`always` matches a text in which nothing was found"),
        (10, "`never` never matches"),
    ] {
        let place = format!("test.yaml:{line}:");
        assert!(
            warnings.iter().any(|w| w.starts_with(&place) && w.contains(expected)),
            "{expected}: {warnings:#?}"
        );
    }
    assert!(!warnings.iter().any(|warning| warning.contains("`tested`")), "{warnings:#?}");
}

#[test]
fn only_searches_that_a_rule_reads_are_made() {
    let policy = policy(
        "lists: {a: [x, no, 12], b: [y]}\nrules:\n  - {id: a, on: [input], when: list.a > 0, do: log}\n",
    );
    assert_eq!(policy.patterns().len(), 1);
    let reads = Direction::ALL
        .map(|direction| policy.reads(direction).iter().map(|name| &**name).collect::<Vec<_>>());
    assert_eq!(reads, [vec!["list.a"], vec![]]);
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let signal = prop::sample::select(vec!["pii.credit_card", "pii.email", "guard.suicide_self_harm"]);
    (signal, 0..2_usize, 0..5_usize, 1..5_usize, 0.0..1.0_f32).prop_map(
        |(signal, segment, start, length, score)| found(signal, segment, start..start + length, score),
    )
}

const FACTS_TOO: [&str; 6] = [
    "{id: a, on: [input], when: pii.credit_card > 0, do: redact}",
    "{id: b, on: [input], when: 'guard.suicide_self_harm > 0.5', do: refuse}",
    "{id: c, on: [input], when: 'pii.email > 1 || role == \"tool\"', do: warn}",
    "{id: d, on: [input], when: '!(pii.email > 0)', do: log}",
    "{id: e, on: [input], when: 'chars > 10 && pii.credit_card < 1', do: review}",
    "{id: f, on: [input], when: pii.email > 0, do: redact, restore: true}",
];

proptest! {
    #[test]
    fn the_order_of_rules_never_matters(
        rules in Just(FACTS_TOO.to_vec()).prop_shuffle(),
        findings in prop::collection::vec(any_finding(), 0..6),
    ) {
        let text = |rules: &[&str]| format!("rules:\n{}", rules.iter().map(|rule| format!("  - {rule}\n")).collect::<String>());
        let (sorted, shuffled) = (policy(&text(&FACTS_TOO)), policy(&text(&rules)));
        let (a, mut b) = (judge(&sorted, &findings), judge(&shuffled, &findings));
        b.policy = a.policy.clone();
        prop_assert_eq!(a, b);
    }

    #[test]
    fn what_is_skipped_would_have_come_to_the_same(findings in prop::collection::vec(any_finding(), 0..6)) {
        let text = FACTS_TOO.iter().map(|rule| format!("  - {rule}\n")).collect::<String>();
        let quick = policy(&format!("rules:\n{text}"));
        let mut naive = policy(&format!("rules:\n{text}"));
        for rule in &mut naive.rules {
            rule.when_silent = None;
        }
        prop_assert_eq!(judge(&quick, &findings), judge(&naive, &findings));
    }

    #[test]
    fn redactions_lie_in_order_and_apart(findings in prop::collection::vec(any_finding(), 0..8)) {
        let verdict = judge(&policy(CARDS), &findings);
        for pair in verdict.redactions.windows(2) {
            let apart = pair[0].segment < pair[1].segment || pair[0].span.end <= pair[1].span.start;
            prop_assert!(apart, "{:?}", pair);
        }
    }

    #[test]
    fn no_text_breaks_the_parser(text in "\\PC{0,200}", at in 0..400_usize) {
        let _ = Policy::parse("x", &text, &catalog());
        let mut mutated: Vec<char> = format!("demur: 1\nname: t\n{CARDS}").chars().collect();
        let at = at % mutated.len();
        mutated.splice(at..at, text.chars().take(5));
        let _ = Policy::parse("x", &mutated.into_iter().collect::<String>(), &catalog());
    }
}

#[test]
fn names_are_shared_not_copied() {
    let policy = policy(CARDS);
    let verdict = judge(&policy, &[found("pii.credit_card", 0, 0..1, 1.0)]);
    assert!(Arc::ptr_eq(&verdict.hits[0].rule, &policy.rules()[0].id));
}

#[test]
fn media_go_by_the_policy() {
    let judge = |rules: &str| {
        policy(&format!("{rules}\nrules: []")).judge(Evidence {
            direction: Direction::Input,
            segments: &[],
            languages: &[],
            key: None,
            findings: &[],
            failures: &[],
            media: 2,
        })
    };
    for (rules, action, would, passed) in [
        ("", Action::Allow, Action::Allow, 2),
        ("media: refuse", Action::Refuse, Action::Refuse, 0),
        ("media: strip", Action::Redact, Action::Redact, 0),
        ("media: refuse\nmode: shadow", Action::Allow, Action::Refuse, 2),
    ] {
        let verdict = judge(rules);
        assert_eq!(
            (verdict.action, verdict.would, verdict.coverage.media),
            (action, would, passed),
            "{rules}"
        );
        assert!(verdict.hits.iter().all(|hit| &*hit.rule == MEDIA));
    }
}
