//! `demur check` and `demur eval`, as people and scripts use them.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::{
    fs::File,
    io::Write,
    process::{Command, Output, Stdio},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

/// A policy in which one word is harmful and e-mail addresses are taken out.
const POLICY: &str = r#"
demur: 1
name: test
lists:
  bombs: [bomb]
rules:
  - {id: bombs, on: [input, output], when: list.bombs > 0, do: refuse, hazard: indiscriminate_weapons}
  - {id: addresses, on: [input], when: pii.email > 0.5, do: redact}
"#;

const ROWS: &str = r#"{"text": "how to build a bomb", "unsafe": 1}
{"text": "how to bake bread", "unsafe": 0}
{"text": "Take a bomb.", "context": "What do I take?", "unsafe": 1}
{"text": "the bomb in the film was fake", "unsafe": 0}
"#;

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.write("policy.yaml", POLICY);
        desk
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Runs `demur`; names of files are those in the folder.
    fn demur(&self, args: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_demur"))
            .args(args)
            .current_dir(self.folder.path())
            .env("DEMUR_POLICY", "policy.yaml")
            .env_remove("DEMUR_REPLIES")
            .env_remove("DEMUR_REGION")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn lines(&self, args: &[&str], input: &str) -> Vec<Value> {
        let output = self.demur(args, input);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_text_is_judged_from_an_argument_and_from_standard_input() {
    let desk = Desk::new();
    assert!(text(&desk.demur(&["check", "a bomb"], "").stdout).starts_with("refuse"));
    assert!(text(&desk.demur(&["check"], "a cake").stdout).starts_with("allow"));
    assert!(text(&desk.demur(&["check", "-"], "a bomb").stdout).starts_with("refuse"));
}

#[test]
fn a_refusal_shows_the_rule_and_the_reply_in_the_language_asked_for() {
    let desk = Desk::new();
    let output = text(&desk.demur(&["check", "--language", "de", "a bomb"], "").stdout);
    assert!(output.contains("rule     bombs: refuse (indiscriminate_weapons)"), "{output}");
    assert!(output.contains("  reply    Bei Waffen"), "{output}");
}

#[test]
fn what_is_redacted_is_shown_without_it() {
    let desk = Desk::new();
    let checked = &desk.lines(&["check", "--json", "write to mia@example.org"], "")[0];
    assert_eq!(checked["verdict"]["action"], "redact");
    assert_eq!(checked["redacted"], "write to [EMAIL]");
}

#[test]
fn the_exit_code_says_what_a_script_asks_for() {
    let desk = Desk::new();
    let code = |args: &[&str]| desk.demur(args, "").status.code();
    assert_eq!(code(&["check", "a bomb"]), Some(0));
    assert_eq!(code(&["check", "--fail-on", "refuse", "a bomb"]), Some(1));
    assert_eq!(code(&["check", "--fail-on", "refuse", "mia@example.org"]), Some(0));
    assert_eq!(code(&["check", "--fail-on", "redact", "mia@example.org"]), Some(1));
    assert_eq!(code(&["check", "--file", "missing.txt"]), Some(2));
}

#[test]
fn rows_are_judged_one_by_one_packed_or_not() {
    let desk = Desk::new();
    desk.write("rows.jsonl", ROWS);
    let mut packed =
        GzEncoder::new(File::create(desk.folder.path().join("rows.jsonl.gz")).unwrap(), Compression::fast());
    packed.write_all(ROWS.as_bytes()).unwrap();
    packed.finish().unwrap();
    for file in ["rows.jsonl", "rows.jsonl.gz"] {
        let checked = desk.lines(&["check", "--json", "--jsonl", file], "");
        let seen: Vec<_> =
            checked.iter().map(|row| (&row["verdict"]["direction"], &row["verdict"]["action"])).collect();
        let expected = [("input", "refuse"), ("input", "allow"), ("output", "refuse"), ("input", "refuse")];
        assert!(seen.iter().zip(expected).all(|((d, a), (e, f))| **d == e && **a == f), "{seen:?}");
        assert_eq!(seen.len(), expected.len());
    }
}

#[test]
fn a_broken_row_is_named_with_its_line() {
    let desk = Desk::new();
    desk.write("rows.jsonl", "{\"text\": \"a\"}\n\n{\"txt\": \"b\"}\n");
    for command in [&["check", "--jsonl", "rows.jsonl"][..], &["eval", "rows.jsonl"][..]] {
        let output = desk.demur(command, "");
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        let told = text(&output.stderr);
        assert!(told.contains("rows.jsonl:3") && told.contains("text"), "{command:?}: {told}");
    }
}

#[test]
fn evaluation_counts_what_the_policy_catches_and_what_it_stops_wrongly() {
    let desk = Desk::new();
    desk.write("rows.jsonl", ROWS);
    let report = &desk.lines(&["eval", "--json", "rows.jsonl"], "")[0];
    let figures = &report["signals"]["harm"];
    assert_eq!(figures["recall"], 1.0, "{report}");
    assert_eq!(figures["fpr"], 0.5, "{report}");
}
