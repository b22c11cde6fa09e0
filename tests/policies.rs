//! The shipped policies keep what they promise, and `demur policy` tells what is wrong with one that does not.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::{
    path::Path,
    process::{Command, Output},
};

use demur::{
    guard::{Detectors, reply::Replies},
    policy::{BUILTIN, Catalog, Policy},
    verdict::{Action, Mode},
};

/// What every shipped policy carries at least, of cases that act and of cases that must stay allowed.
const FEWEST_CASES: usize = 30;

fn catalog() -> Catalog {
    let replies = Replies::builtin();
    Detectors::builtin().catalog(replies.names(), replies.notices())
}

fn policy_command(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demur"))
        .arg("policy")
        .args(args)
        .env_remove("DEMUR_POLICY")
        .env_remove("DEMUR_REPLIES")
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A file in a fresh folder, which goes when the folder is dropped.
fn written(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}

#[test]
fn shipped_policies_pass_lint_without_a_warning() {
    let output = policy_command(&["lint", "--strict"]);
    assert!(output.status.success(), "{}", told(&output));
    for name in BUILTIN {
        assert!(told(&output).contains(&format!("({name}@")), "{name} is linted: {}", told(&output));
    }
}

#[test]
fn all_cases_of_all_shipped_policies_pass() {
    let output = policy_command(&["test"]);
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(told(&output).matches(" cases pass").count(), BUILTIN.len(), "{}", told(&output));
}

#[test]
fn shipped_policies_carry_cases_of_both_kinds() {
    for name in BUILTIN {
        let policy = Policy::builtin(name, &catalog()).unwrap();
        let allowed = policy.cases().iter().filter(|case| case.action == Action::Allow).count();
        let acting = policy.cases().len() - allowed;
        assert!(
            allowed >= FEWEST_CASES && acting >= FEWEST_CASES,
            "{name}: {acting} act, {allowed} are allowed"
        );
    }
}

#[test]
fn only_observe_is_a_shadow() {
    for name in BUILTIN {
        let mode = Policy::builtin(name, &catalog()).unwrap().mode();
        assert_eq!(mode == Mode::Shadow, name == "observe", "{name}");
    }
}

/// The files beside the program and those in it are the same: one edited without the other would mislead.
#[test]
fn shipped_policies_are_the_files_of_the_repository() {
    for name in BUILTIN {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("policies/{name}.yaml"));
        let file = Policy::load(&path, &catalog()).unwrap();
        assert_eq!(file.id(), Policy::builtin(name, &catalog()).unwrap().id());
    }
}

#[test]
fn lint_tells_every_mistake_with_its_place() {
    let (_folder, path) = written(
        "broken.yaml",
        "demur: 1\nrules:\n  - {id: a, on: [input], when: pii.emial > 0, do: log}\n  - {id: b, on: [input], when: pii.email > 0, do: refuze}\n",
    );
    let output = policy_command(&["lint", &path, "default"]);
    assert_eq!(output.status.code(), Some(1));
    let told = told(&output);
    assert!(told.contains(&format!("{path}:3:32: unknown signal `pii.emial`")), "{told}");
    assert!(told.contains(&format!("{path}:4:")) && told.contains("did you mean `refuse`?"), "{told}");
    assert!(told.contains("2 errors") && told.contains("(default@"), "the next one is linted, too: {told}");
}

#[test]
fn a_name_that_is_no_policy_is_a_usage_error() {
    let output = policy_command(&["lint", "defualt"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("`defualt`"), "{}", told(&output));
}

const CARDS: &str = "demur: 1
name: cards
extends: observe
mode: enforce
rules:
  - {id: payment-data, on: [input, output], when: pii.credit_card > 0.5, do: refuse}
cases:
  - {say: 4242 4242 4242 4242, expect: {action: refuse, rule: payment-data}}
  - {say: hello, answer: It is 4242 4242 4242 4242, expect: refuse}
  - {say: hello, expect: refuse, why: it should greet nobody}
  - {say: 4242 4242 4242 4242, expect: {action: refuse, rule: explosives}}
";

#[test]
fn a_failing_case_is_told_with_its_place_and_reason() {
    let (_folder, path) = written("cards.yaml", CARDS);
    let output = policy_command(&["test", &path]);
    assert_eq!(output.status.code(), Some(1));
    let told = told(&output);
    assert!(told.contains(&format!("{path}:10: expected refuse, came allow: hello")), "{told}");
    assert!(told.contains("it should greet nobody") && told.contains("rules that matched: none"), "{told}");
    assert!(told.contains(&format!("{path}:11: expected refuse (explosives), came refuse (payment-data)")));
    assert!(told.contains("2 of 4 cases fail"), "{told}");
}

#[test]
fn explain_says_what_matched_where_and_what_was_near() {
    let (_folder, path) = written(
        "near.yaml",
        "demur: 1\nrules:\n  - {id: one, on: [input], when: pii.email > 0.1, do: warn}\n  - {id: both, on: [input], when: pii.email > 0.1 && pii.iban > 0.1, do: refuse}\n",
    );
    let output = policy_command(&["explain", "-p", &path, "write to anna@example.com"]);
    assert!(output.status.success());
    let told = told(&output);
    for expected in
        ["warn (one)", "when pii.email > 0.1", "bytes 9..25  anna@example.com", "near: both would refuse"]
    {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(!told.contains('\u{1b}'), "no colours where there is no terminal");
}

#[test]
fn explain_lists_every_signal_with_its_line() {
    let output = policy_command(&["explain", "--list"]);
    let told = told(&output);
    for signal in Detectors::builtin().signals() {
        assert!(told.contains(&*signal.name) && told.contains(&*signal.about), "{}: {told}", signal.name);
    }
    assert!(told.contains("pattern.explosives"), "{told}");
}

#[test]
fn diff_shows_what_changes() {
    let (_cards, path) = written("cards.yaml", CARDS);
    let rows = "hello\n{\"text\": \"card 4242 4242 4242 4242\"}\n\n{\"text\": \"card 4242 4242 4242 4242\", \"role\": \"assistant\"}\n";
    let (_rows, texts) = written("texts.jsonl", rows);
    let output = policy_command(&["diff", "default", &path, &texts]);
    let shown = told(&output);
    assert!(shown.contains(&format!("{texts}:2: redact (payment-data) -> refuse (payment-data)")), "{shown}");
    assert!(shown.contains("2 of 3 texts change"), "{shown}");

    let output = policy_command(&["diff", "default", &path, &texts, "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["texts"], &report["changed"]), (&3.into(), &2.into()), "{report}");
    assert_eq!(report["changes"][1]["line"], 4);
    assert_eq!(report["changes"][1]["from"]["action"], "allow");
    assert!(!told(&output).contains("4242"), "the report names lines, not texts");
}

#[test]
fn a_row_that_is_none_is_told_with_its_line() {
    let (_rows, texts) = written("texts.jsonl", "hello\n{\"txt\": \"a\"}\n");
    let output = policy_command(&["diff", "default", "strict", &texts]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains(&format!("{texts}:2: expected a text")), "{}", told(&output));
}
