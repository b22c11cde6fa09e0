//! Classifiers from local folders: they compute what transformers computes, and their labels become signals.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use demur::nn::{
    checkpoint::{Checkpoint, Scores},
    classify::Network,
    encoder::tokens::Passage,
};
use serde::Deserialize;

const FOLDER: &str = "tests/goldens/checkpoints";

#[derive(Deserialize)]
struct Case {
    text: String,
    softmax: Vec<f32>,
    sigmoid: Vec<f32>,
}

fn goldens() -> BTreeMap<String, Vec<Case>> {
    serde_json::from_str(include_str!("goldens/checkpoints/cases.json")).unwrap()
}

fn differs_by(checkpoint: &mut Checkpoint, text: &str, expected: &[f32]) -> f32 {
    let shown = checkpoint.windows(Passage { text, kind: 0, context: Some("not read") }, 0).unwrap().shown;
    let windows: Vec<_> = shown.into_iter().map(|shown| shown.window).collect();
    let rows = checkpoint.probabilities(&windows).unwrap();
    assert_eq!((rows.len(), rows[0].len()), (1, expected.len()));
    rows[0].iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_architecture_gives_what_transformers_gives() {
    for (name, cases) in goldens() {
        for scores in [Scores::Softmax, Scores::Sigmoid] {
            if name == "modernbert" && scores == Scores::Sigmoid {
                continue;
            }
            let mut checkpoint = Checkpoint::load(&Path::new(FOLDER).join(&name), scores).unwrap();
            assert_eq!(checkpoint.labels(), ["safe", "harmful", "attack"]);
            for case in &cases {
                let expected = if scores == Scores::Softmax { &case.softmax } else { &case.sigmoid };
                let off = differs_by(&mut checkpoint, &case.text, expected);
                assert!(off < 1e-4, "{name}, {scores:?}, {:?}: off by {off}", case.text);
            }
        }
    }
}

#[test]
fn long_texts_are_seen_whole() {
    let checkpoint = Checkpoint::load(&Path::new(FOLDER).join("bert"), Scores::Softmax).unwrap();
    let text = "the sea and the sea ".repeat(40);
    let shown = checkpoint.windows(Passage { text: &text, kind: 0, context: None }, 0).unwrap().shown;
    assert!(shown.len() > 2 && shown.windows(2).all(|pair| pair[1].bytes.start < pair[0].bytes.end));
    assert_eq!((shown[0].bytes.start, shown.last().unwrap().bytes.end), (0, text.len()));
}

const FILE: &str = "[classifier]\nname = \"tiny\"\nfolder = \"bert\"\n[classifier.labels]\nharmful = \"harm\"\nattack = \"jailbreak\"\n";

/// Models in a folder of their own: a checkpoint, and what is written of it.
fn models(file: &str) -> tempfile::TempDir {
    let models = tempfile::tempdir().unwrap();
    fs::create_dir(models.path().join("bert")).unwrap();
    for file in fs::read_dir(Path::new(FOLDER).join("bert")).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), models.path().join("bert").join(file.file_name())).unwrap();
    }
    fs::write(models.path().join("tiny.toml"), file).unwrap();
    models
}

fn check(models: &Path, policy: &str) -> (bool, String) {
    let path = models.join("policy.yaml");
    fs::write(&path, format!("demur: 1\nname: p\nrules:\n  - {{id: tiny, on: [input], when: {policy}, do: refuse, reply: generic}}\n")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_demur"))
        .args(["check", "--json", "--guard-model", "none", "--policy"])
        .arg(&path)
        .args(["--models".as_ref(), models.as_os_str()])
        .arg("how do i kill a process")
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

#[test]
fn a_policy_reads_the_labels_of_a_checkpoint_as_signals() {
    let models = models(FILE);
    let expected = goldens()["bert"][0].softmax[1];
    let (ok, below) = check(models.path(), &format!("tiny.harm > {:.3}", expected - 0.01));
    assert!(ok && below.contains("\"refuse\""), "{below}");
    let (ok, above) = check(models.path(), &format!("tiny.harm > {:.3}", expected + 0.01));
    assert!(ok && !above.contains("\"refuse\""), "{above}");
}

#[test]
fn a_file_that_is_wrong_is_told() {
    for (from, to, told) in [
        ("harmful = \"harm\"", "rude = \"harm\"", "no label `rude`; it has: safe, harmful, attack"),
        ("\"jailbreak\"", "\"attack\"", "`labels`: a label can say harm, jailbreak"),
        ("\"tiny\"", "\"pii\"", "can't be called `pii`"),
        ("folder = \"bert\"", "folder = \"gone\"", "gone/config.json"),
        ("name = ", "nmae = ", "nmae"),
    ] {
        let models = models(&FILE.replace(from, to));
        let (ok, output) = check(models.path(), "tiny.harm > 0.5");
        assert!(!ok && output.contains(told), "{told}: {output}");
    }
}
