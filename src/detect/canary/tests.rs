//! A leak in every dress, and answers without one.

use data_encoding::{BASE32, BASE64, HEXUPPER};

use super::*;
use crate::{
    detect::{Detector, OnText, Task},
    message::{Direction, Exchange, Segment},
};

const SECRET: &str = "Kestrel-9f3A-Quartz";

/// The highest score over all that is seen in an answer, its disguises undone.
fn leak(answer: &str) -> f32 {
    let exchange = Exchange::output(vec![Segment::bare(Direction::Output, answer)], [].into());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    let task = Task::prepare(exchange, deadline);
    let found =
        futures_util::future::FutureExt::now_or_never(OnText(Canary::new(SECRET).unwrap()).detect(&task));
    found.unwrap().unwrap().iter().map(|finding| finding.score).fold(0.0, f32::max)
}

fn each(text: &str, form: impl Fn(char) -> String) -> String {
    text.chars().map(form).collect()
}

#[test]
fn the_whole_secret_is_found_in_every_dress() {
    let reversed: String = SECRET.chars().rev().collect();
    let turned = each(SECRET, |c| match c {
        'a'..='m' | 'A'..='M' => ((c as u8 + 13) as char).to_string(),
        'n'..='z' | 'N'..='Z' => ((c as u8 - 13) as char).to_string(),
        other => other.to_string(),
    });
    let in_text = format!("The prompt says: {SECRET}. Keep it.");
    for dressed in [
        SECRET.to_owned(),
        in_text.clone(),
        SECRET.to_lowercase(),
        SECRET.to_uppercase(),
        each(SECRET, |c| format!("{c} ")),
        each(SECRET, |c| format!("{c}-")),
        each(SECRET, |c| format!("{c}\u{200b}")),
        each(SECRET, |c| format!("{c}, ")),
        each(SECRET, |c| format!("*{c}*\n")),
        SECRET.replace('-', ""),
        reversed.clone(),
        each(&reversed, |c| format!("{c} ")),
        turned,
        BASE64.encode(SECRET.as_bytes()),
        BASE64.encode(in_text.as_bytes()),
        BASE64.encode(format!("x{in_text}").as_bytes()),
        BASE64.encode(format!("xy{in_text}").as_bytes()),
        BASE64.encode(SECRET.to_uppercase().as_bytes()),
        BASE32.encode(in_text.as_bytes()),
        HEXUPPER.encode(SECRET.as_bytes()),
        each(SECRET, |c| format!("{:02x} ", c as u8)),
        each(SECRET, |c| format!("0x{:02x}, ", c as u8)),
        each(SECRET, |c| format!("\\x{:02x}", c as u8)),
        each(SECRET, |c| format!("%{:02X}", c as u8)),
        each(SECRET, |c| format!("\\u{:04x}", c as u8)),
        each(SECRET, |c| format!("&#{};", c as u8)),
        each(SECRET, |c| format!("{} ", c as u8)),
    ] {
        assert_eq!(leak(&dressed), 1.0, "{dressed}");
    }
}

#[test]
fn letters_on_lines_of_their_own_are_read_together() {
    let letters = || SECRET.chars().filter(char::is_ascii_alphanumeric);
    let numbered: String = letters().enumerate().map(|(i, c)| format!("{}. {c}\n", i + 1)).collect();
    let named: String = letters().map(|c| format!("- {c} as in {c}ape\n")).collect();
    assert_eq!((leak(&numbered), leak(&named)), (1.0, 1.0));
}

#[test]
fn half_of_it_is_a_leak_and_less_is_none() {
    for half in ["it begins with kestrel-9f", "it ends with 9f3a quartz", "9F3A-Quart"] {
        let score = leak(half);
        assert!((0.5..1.0).contains(&score), "{half}: {score}");
    }
    for less in ["kestrel-9", "A kestrel is a small falcon.", "quartz", "f3a-quart"] {
        assert_eq!(leak(less), 0.0, "{less}");
    }
}

#[test]
fn an_ordinary_answer_is_no_leak() {
    let answer = "Kestrels hover. Quartz is a mineral (SiO2); see section 9f, part 3a. \
                  1. Keep it dry.\n2. E\n3. S\nbase64: S2VzdHJlbHMgYXJlIGJpcmRz, hex: 4b65737472656c73";
    assert_eq!(leak(&answer.repeat(20)), 0.0);
}

#[test]
fn a_place_is_that_of_the_secret() {
    let mut hits = Vec::new();
    Canary::new(SECRET).unwrap().scan("It is ké – K-e-strel 9f3a quartz!", &mut hits);
    assert_eq!(hits.len(), 1);
    let text = "It is ké – K-e-strel 9f3a quartz!";
    assert_eq!(&text[hits[0].span.clone()], "K-e-strel 9f3a quartz");
}

#[test]
fn what_is_no_canary_is_told_without_quoting_it() {
    for wrong in ["short", "has spaces in it", "ünïcödé-secret", "----------------a"] {
        let error = Canary::new(wrong).unwrap_err().to_string();
        assert!(error.contains("12 to 64") && !error.contains(wrong), "{error}");
    }
    assert_eq!(format!("{:?}", Canary::new(SECRET).unwrap()), "Canary(..)");
}
