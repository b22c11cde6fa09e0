//! Tests of the evaluation.

use std::io::Write;

use serde_json::{Value, json};

use super::{
    figures::{Confusion, percentile},
    *,
};
use crate::{
    guard::{Detectors, Limits},
    message::Direction,
    policy::Policy,
    telemetry::Metrics,
};

#[test]
fn figures_are_those_of_scikit_learn() {
    let cases: Value = serde_json::from_str(include_str!("../../tests/goldens/eval/figures.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let scores = case["scores"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap());
        let labels = case["labels"].as_array().unwrap().iter().map(|label| label.as_bool().unwrap());
        let scored: Vec<(f64, bool)> = scores.zip(labels).collect();
        let at_half = Confusion::at(&scored, 0.5);
        for (name, ours) in [
            ("auroc", auroc(&scored)),
            ("auprc", average_precision(&scored)),
            ("f1", at_half.f1()),
            ("recall", at_half.recall()),
            ("fpr", at_half.false_positive_rate()),
        ] {
            let (ours, theirs) = (ours.unwrap(), case[name].as_f64().unwrap());
            assert!((ours - theirs).abs() < 1e-12, "{name}: {ours} and {theirs} for {} rows", scored.len());
        }
    }
}

#[test]
fn of_one_class_there_are_no_curves() {
    for scored in [vec![], vec![(0.5, true)], vec![(0.5, false), (0.1, false)]] {
        assert_eq!((auroc(&scored), average_precision(&scored)), (None, None));
    }
}

#[test]
fn percentiles_are_values_that_occurred() {
    let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
    assert_eq!((percentile(&sorted, 0.5), percentile(&sorted, 0.99)), (Some(100.0), Some(198.0)));
    assert_eq!(percentile(&[], 0.5), None);
}

/// A guard that refuses a made-up word as cyber crime, and warns of another.
fn guard() -> Arc<Guard> {
    let policy = "demur: 1\nname: test\nlists: {zork: [zork], blip: [blip]}\nrules:\n  \
        - {id: zork, on: [input, output], when: list.zork > 0, do: refuse, hazard: cyber}\n  \
        - {id: blip, on: [input], when: list.blip > 0, do: warn, hazard: hate, notice: general}\n";
    let detectors = Detectors::builtin();
    let catalog = detectors.catalog(["generic".into()].into(), ["general".into()].into());
    let policy = Policy::parse("test.yaml", policy, &catalog).unwrap();
    Arc::new(Guard::new(Arc::new(policy), &detectors, Limits::default(), Arc::new(Metrics::new())).unwrap())
}

/// A file of rows, packed when its name says so.
fn file(name: &str, rows: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let text = rows.join("\n");
    let mut bytes = text.clone().into_bytes();
    if name.ends_with(".gz") {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        bytes = packer.finish().unwrap();
    }
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

async fn report(name: &str, rows: &[&str]) -> Value {
    let (_folder, path) = file(name, rows);
    let outcomes = judge_all(&guard(), Rows::open(&path).unwrap(), 2, || ()).await.unwrap();
    let mut report = serde_json::to_value(Report::new("rows", &outcomes, 0.5)).unwrap();
    assert!(report["latency_ms"]["p50"].as_f64() <= report["latency_ms"]["p99"].as_f64());
    report.as_object_mut().unwrap().remove("latency_ms");
    report
}

const ROWS: [&str; 5] = [
    r#"{"text": "do zork", "unsafe": 1, "toxic": 0, "role": "user", "hazards": ["cyber"]}"#,
    r#"{"text": "a quiet day", "unsafe": 0, "toxic": null}"#,
    "",
    r#"{"text": "zork it is", "context": "what is it?", "unsafe": 1, "role": "assistant", "refusal": 0}"#,
    r#"{"text": "blip", "unsafe": 0, "toxic": 1}"#,
];

#[tokio::test]
async fn a_report_has_its_shape() {
    for name in ["rows.jsonl", "rows.jsonl.gz"] {
        let expected = json!({
            "file": "rows",
            "rows": 4,
            "signals": {
                "harm": {"n": 4, "positives": 2, "auroc": 1.0, "auprc": 1.0, "threshold": 0.5, "f1": 0.8, "recall": 1.0, "fpr": 0.5},
                "toxicity": {"n": 2, "positives": 1, "auroc": 1.0, "auprc": 1.0, "threshold": 0.5, "f1": 1.0, "recall": 1.0, "fpr": 0.0},
                "refusal": {"n": 1, "positives": 0, "auroc": null, "auprc": null, "threshold": 0.5, "f1": null, "recall": null, "fpr": null},
            },
            "hazards": {"cyber": {"n": 1, "refused": 1.0, "recall": 1.0, "named": 0.0}},
            "refused": {"all": 0.5, "unsafe": 1.0, "safe": 0.0},
            "actions": {"allow": 1, "log": 0, "review": 0, "warn": 1, "steer": 0, "redact": 0, "refuse": 2},
        });
        assert_eq!(report(name, &ROWS).await, expected);
    }
}

#[tokio::test]
async fn an_empty_file_has_a_report_too() {
    let report = report("rows.jsonl", &[]).await;
    assert_eq!(
        (&report["rows"], &report["refused"]["all"], &report["signals"]),
        (&json!(0), &Value::Null, &json!({}))
    );
}

#[test]
fn a_row_is_judged_as_what_it_is() {
    let exchange = |row: &str| serde_json::from_str::<Row>(row).unwrap().into_exchange();
    assert_eq!(exchange(r#"{"text": "a"}"#).direction, Direction::Input);
    let answer = exchange(r#"{"text": "a", "context": "b"}"#);
    assert_eq!((answer.direction, &*answer.context[0].text), (Direction::Output, "b"));
    assert_eq!(exchange(r#"{"text": "a", "role": "assistant"}"#).direction, Direction::Output);
    let tool = exchange(r#"{"text": "a", "role": "tool", "context": "b"}"#);
    assert_eq!((tool.direction, tool.segments.len()), (Direction::Input, 2));
}

#[test]
fn a_row_that_is_none_is_told_by_its_place() {
    for (row, at, says) in [
        ("{\"text\": 1}", "rows.jsonl:3:", "expected a string"),
        ("{\"text\": \"a\", \"unsafe\": 2}", "rows.jsonl:3:", "neither 0 nor 1"),
        ("nothing", "rows.jsonl:3:", "expected an object"),
        ("{}", "rows.jsonl:3:", "missing field `text`"),
    ] {
        let (_folder, path) = file("rows.jsonl", &["{\"text\": \"fine\"}", "", row]);
        let error = Rows::open(&path).unwrap().find_map(Result::err).unwrap().to_string();
        assert!(error.contains(at) && error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_page_shows_rows_by_name_and_their_texts_when_asked() {
    let (_folder, path) = file("openai_moderation.jsonl", &ROWS);
    let outcomes = judge_all(&guard(), Rows::open(&path).unwrap(), 2, || ()).await.unwrap();
    let missed = Outcome { scores: [0.1; Label::ALL.len()], ..outcomes[0].clone() };
    let outcomes = [outcomes, vec![missed]].concat();
    let book = |with_texts| Book {
        policy: "test".to_owned(),
        quality: table(&[("openai_moderation".to_owned(), outcomes.clone())].into()),
        tax: Tax::new(outcomes.iter()),
        files: vec![Chapter::new(Report::new("openai_moderation", &outcomes, 0.5), with_texts)],
    };
    let (without, with) = (page(&book(false)).unwrap(), page(&book(true)).unwrap());
    assert!(without.contains("openai_moderation.jsonl:1") && !without.contains("do zork"), "{without}");
    assert!(with.contains("do zork") && with.contains("<polyline"), "{with}");
    let book = book(false);
    assert_eq!((book.quality.len(), book.quality[0].what), (1, "prompt harm, AUPRC"));
    assert_eq!(
        (book.tax.harmless, book.tax.harmful, book.tax.refused, book.tax.passed),
        (2, 3, Some(0.0), Some(0.0))
    );
}
