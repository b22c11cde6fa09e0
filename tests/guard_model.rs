//! The shipped guard model: what it computes, and what happens when its files are not as shipped.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::{fs, path::Path};

use candle_core::{Device, safetensors};
use demur::nn::encoder::{
    Encoder, Engine, WEIGHTS, Window,
    tokens::{Passage, Shown, Tokens},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    folder: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    kind: u8,
    text: String,
    context: Option<String>,
    probabilities: Vec<Vec<f32>>,
}

/// All windows over a passage.
fn cut(tokens: &Tokens, passage: Passage<'_>) -> Vec<Shown> {
    let (mut shown, mut rest) = (Vec::new(), Some(0));
    while let Some(from) = rest {
        let cut = tokens.windows(passage, from).unwrap();
        assert!(cut.rest.is_none_or(|rest| rest > from), "no way on from byte {from}");
        shown.extend(cut.shown);
        rest = cut.rest;
    }
    shown
}

/// The largest and the mean difference to PyTorch over all cases and heads, for each shipped network.
fn differences(engine: Engine) -> Vec<(f32, f32)> {
    let goldens: Vec<Goldens> = serde_json::from_str(include_str!("goldens/encoder/cases.json")).unwrap();
    assert_eq!(goldens.iter().map(|of| of.cases.len()).sum::<usize>(), 200);
    let one = |of: &Goldens| {
        let mut encoder = Encoder::load(Path::new(&of.folder), engine, 1).unwrap();
        let (mut most, mut sum, mut n) = (0.0_f32, 0.0, 0);
        for case in &of.cases {
            let passage = Passage { text: &case.text, kind: case.kind, context: case.context.as_deref() };
            let windows: Vec<Window> = cut(encoder.tokens(), passage).into_iter().map(|s| s.window).collect();
            let found = encoder.probabilities(&windows).unwrap();
            assert_eq!(found.len(), case.probabilities.len(), "windows of {:?}", case.text);
            for (found, expected) in found.iter().flatten().zip(case.probabilities.iter().flatten()) {
                most = most.max((found - expected).abs());
                sum += (found - expected).abs();
                n += 1;
            }
        }
        (most, sum / n as f32)
    };
    goldens.iter().map(one).collect()
}

#[test]
fn candle_gives_what_pytorch_gives() {
    for (most, _) in differences(Engine::Reference) {
        assert!(most < 1e-3, "{most}");
    }
}

/// Int8 moves a probability by less than a hundredth in the mean; near one half a single one may move further.
#[test]
fn int8_gives_nearly_what_pytorch_gives() {
    for (most, mean) in differences(Engine::Fast) {
        assert!(most < 0.16 && mean < 0.006, "most {most}, mean {mean}");
    }
}

/// How much a pass of these windows differs between one thread and several.
fn threads_differ_by(windows: &[Window]) -> f32 {
    let [one, several] = [1, 3].map(|threads| {
        let mut encoder = Encoder::load(Path::new("models/guard"), Engine::Fast, threads).unwrap();
        encoder.probabilities(windows).unwrap()
    });
    assert_eq!(one.len(), several.len());
    let pairs = one.iter().flatten().zip(several.iter().flatten());
    pairs.map(|(one, several)| (one - several).abs()).fold(0.0, f32::max)
}

#[test]
fn threads_that_share_a_pass_change_nothing() {
    let window =
        |n: u32| Window { ids: (0..n).map(|i| 1000 + n + i * 7).collect(), types: vec![0; n as usize] };
    let one = [window(200)];
    let many = [5, 90, 40, 7, 120, 33, 61].map(window);
    let uneven = [200, 5].map(window);
    for windows in [&one[..], &many, &uneven] {
        let off = threads_differ_by(windows);
        assert!(off < 1e-5, "{} windows: off by {off}", windows.len());
    }
}

/// A copy of the shipped model.
fn copy() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir("models/guard").unwrap().map(Result::unwrap).filter(|f| f.path().is_file()) {
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

fn error(folder: &Path) -> String {
    format!("{:#}", Encoder::load(folder, Engine::Fast, 1).err().expect("it must not load"))
}

#[test]
fn files_that_are_not_as_shipped_are_named_with_the_hash_that_is_expected() {
    let folder = copy();
    let weights = folder.path().join(WEIGHTS);
    let sums = fs::read_to_string(folder.path().join("SHA256SUMS")).unwrap();
    let expected = sums.lines().find(|line| line.ends_with(WEIGHTS)).unwrap().split(' ').next().unwrap();

    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let truncated = error(folder.path());
    assert!(truncated.contains(WEIGHTS) && truncated.contains(expected), "{truncated}");

    let mut tampered = whole;
    *tampered.last_mut().unwrap() ^= 1;
    fs::write(&weights, tampered).unwrap();
    let tampered = error(folder.path());
    assert!(tampered.contains(WEIGHTS) && tampered.contains(expected), "{tampered}");

    fs::remove_file(&weights).unwrap();
    let missing = error(folder.path());
    assert!(missing.contains(WEIGHTS) && missing.contains(expected), "{missing}");
}

#[test]
fn weights_that_hold_no_numbers_are_refused() {
    let folder = copy();
    let weights = folder.path().join(WEIGHTS);
    for name in ["encoder.layer.0.output.dense.scale", "encoder.layer.1.attention.output.LayerNorm.bias"] {
        let mut tensors = safetensors::load(Path::new("models/guard").join(WEIGHTS), &Device::Cpu).unwrap();
        let nan = tensors[name].affine(0.0, f64::NAN).unwrap();
        tensors.insert(name.to_owned(), nan);
        safetensors::save(&tensors, &weights).unwrap();
        let hash = demur::nn::models::hash(&weights).unwrap();
        fs::write(folder.path().join("SHA256SUMS"), format!("{hash}  {WEIGHTS}\n")).unwrap();
        let error = error(folder.path());
        assert!(error.contains(name) && error.contains("NaN"), "{error}");
    }
}

#[test]
fn hostile_texts_are_covered_by_windows_and_judged() {
    let mut encoder = Encoder::load(Path::new("models/guard"), Engine::Fast, 1).unwrap();
    let texts = [
        String::new(),
        " \n\t ".to_owned(),
        "😀".repeat(3000),
        "\0\0\0 \u{0} a".to_owned(),
        "\u{fffd}\u{fffd} kill".to_owned(),
        "Привет hello 你好 مرحبا שלום ".repeat(200),
        "a".repeat(100_000),
        "word ".repeat(20_000),
    ];
    for text in texts {
        let context = Some("what is this?");
        let shown = cut(encoder.tokens(), Passage { text: &text, kind: 1, context });
        let mut covered = 0;
        for part in &shown {
            assert!(part.bytes.start <= covered, "a gap before byte {}", part.bytes.start);
            assert!(text.is_char_boundary(part.bytes.start) && text.is_char_boundary(part.bytes.end));
            covered = covered.max(part.bytes.end);
        }
        assert!(shown.is_empty() || covered == text.len(), "{covered} of {} bytes", text.len());
        let first: Vec<Window> = shown.into_iter().take(3).map(|shown| shown.window).collect();
        let rows = encoder.probabilities(&first).unwrap();
        assert!(rows.iter().flatten().all(|p| (0.0..=1.0).contains(p)));
    }
}

#[test]
fn what_can_not_be_judged_is_an_error() {
    let mut encoder = Encoder::load(Path::new("models/guard"), Engine::Fast, 1).unwrap();
    let window = |ids: Vec<u32>, kind| Window { types: vec![kind; ids.len()], ids };
    for (window, what) in [
        (window(vec![u32::MAX], 0), "vocabulary"),
        (window(vec![5; 513], 0), "longer"),
        (window(vec![5], 4), "nothing to judge"),
        (window(vec![5], 9), "unknown type"),
        (window(vec![], 0), "tokens"),
    ] {
        let error = encoder.probabilities(&[window]).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
