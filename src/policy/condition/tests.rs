//! Conditions as people write them.

use super::*;
use crate::verdict::SignalKind;

fn known() -> Vec<SignalInfo> {
    ["pii.credit_card", "pii.email", "guard.harm"]
        .map(|name| SignalInfo {
            name: name.into(),
            kind: SignalKind::Count,
            detector: "test",
            hazard: None,
            about: "".into(),
        })
        .to_vec()
}

/// Cards, e-mails and harm are 2, 0 and 0.7; the segment is a tool's result in German, sent with the key `backoffice`.
fn holds(source: &str) -> bool {
    let mut table: Vec<Arc<str>> = Vec::new();
    let condition = Condition::compile(source, &known(), |name| {
        table.push(Arc::clone(name));
        table.len() - 1
    });
    let values: Vec<f64> = table
        .iter()
        .map(|name| match &**name {
            "pii.credit_card" => 2.0,
            "guard.harm" => 0.7,
            _ => 0.0,
        })
        .collect();
    let facts = Facts {
        role: "tool",
        place: "tool_result",
        direction: "input",
        language: "de",
        key: "backoffice",
        chars: 40,
    };
    condition.unwrap().holds(&values, &facts)
}

fn error(source: &str) -> (usize, String) {
    let error = Condition::compile(source, &known(), |_| 0).unwrap_err();
    (error.offset, error.message)
}

#[test]
fn numbers_compare_whatever_their_kind() {
    for (source, expected) in [
        ("pii.credit_card > 0", true),
        ("pii.credit_card == 2", true),
        ("pii.credit_card >= 2.5", false),
        ("guard.harm > 0.6", true),
        ("guard.harm > 1", false),
        ("pii.credit_card + pii.email * 3 == 2", true),
        ("pii.email in [0, 1]", true),
        ("chars > 39 && chars < 41", true),
        ("-guard.harm < 0", true),
    ] {
        assert_eq!(holds(source), expected, "{source}");
    }
}

#[test]
fn facts_are_texts() {
    for (source, expected) in [
        ("place == 'tool_result'", true),
        ("role != \"tool\"", false),
        ("language in ['de', 'fr']", true),
        ("place.startsWith('tool')", true),
        ("key == 'backoffice'", true),
        ("role == 'tool' && key != 'backoffice'", false),
        ("direction == 'output' || !(pii.email > 0)", true),
        ("(direction == 'input' ? guard.harm : pii.email) > 0.5", true),
    ] {
        assert_eq!(holds(source), expected, "{source}");
    }
}

#[test]
fn mistakes_have_a_place_and_a_suggestion() {
    let (offset, message) = error("pii.credit_crad > 0");
    assert_eq!(
        (offset, message.as_str()),
        (0, "unknown signal `pii.credit_crad`; did you mean `pii.credit_card`?")
    );
    assert!(error("guard.harm").1.contains("compare it"));
    assert!(error("guard.harm == 'x'").1.contains("expected a number, found a text"));
    assert!(error("langauge == 'de'").1.contains("did you mean `language`"));
    assert!(error("pii > 0").1.contains("group of signals"));
    assert!(error("guard.harm > 0.5 &&").1.contains("not a CEL expression"));
    assert!(error("size(role) > 1").1.contains("can't be used"));
    assert!(error("role.matches('a')").1.contains("unknown function `matches`"));
    assert!(error("[1].exists(x, x > 0)").1.contains("macros"));
    assert_eq!(error("pii.email > 0 && pii.nothing > 1").0, 17);
}
