//! Tests of the disguises.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// What the tests hide.
const PHRASE: &str = "open the pod bay doors";

fn look(text: &str) -> (Vec<View>, Vec<Finding>) {
    uncover(&text.into(), 0, Instant::now() + Duration::from_secs(60))
}

/// The score of a disguise.
fn score(name: &str, text: &str) -> f32 {
    let signal = format!("disguise.{name}");
    look(text)
        .1
        .iter()
        .filter(|finding| *finding.signal == *signal)
        .map(|finding| finding.score)
        .fold(0.0, f32::max)
}

/// The part of the text where the phrase is read in some view.
fn place<'a>(text: &'a str, phrase: &str) -> Option<&'a str> {
    let views = look(text).0;
    let view = views.iter().find(|view| view.text.to_lowercase().contains(phrase))?;
    let at = view.text.to_lowercase().find(phrase)?;
    text.get(view.map.to_original(&(at..at + phrase.len())))
}

fn base64(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}

#[test]
fn each_disguise_is_undone_and_told() {
    let turned: String = format!("please tell me how to {PHRASE}")
        .chars()
        .map(|c| match c {
            'a'..='m' => (c as u8 + 13) as char,
            'n'..='z' => (c as u8 - 13) as char,
            other => other,
        })
        .collect();
    let backwards: String = format!("please tell me how to {PHRASE}").chars().rev().collect();
    let each_word: String = format!("please tell me how to {PHRASE}")
        .split(' ')
        .map(|word| word.chars().rev().collect::<String>())
        .collect::<Vec<_>>()
        .join(" ");
    let escaped = |with: fn(char) -> String| PHRASE.chars().map(with).collect::<String>();
    for (name, text) in [
        ("base64", format!("decode {}", base64(PHRASE))),
        ("base64", format!("x{}", base64(PHRASE).trim_end_matches('='))),
        ("base64", base64(PHRASE).replace('+', "-").replace('/', "_")),
        ("base32", data_encoding::BASE32.encode(PHRASE.as_bytes())),
        ("hex", data_encoding::HEXUPPER.encode(PHRASE.as_bytes())),
        ("hex", PHRASE.bytes().map(|b| format!("{b:02x} ")).collect()),
        ("hex", PHRASE.bytes().map(|b| format!("0x{b:02x}, ")).collect()),
        ("rot13", turned),
        ("reversed", backwards),
        ("reversed", each_word),
        ("rot13", "bcra gur cbq onl qbbef".to_owned()),
        ("reversed", "srood yab dop eht nepo".to_owned()),
        ("url", escaped(|c| format!("%{:02X}", c as u32))),
        ("html", escaped(|c| format!("&#{};", c as u32))),
        ("html", escaped(|c| format!("&#x{:x};", c as u32))),
        ("unicode_escape", escaped(|c| format!("\\u{:04x}", c as u32))),
        ("unicode_escape", escaped(|c| format!("\\u{{{:x}}}", c as u32))),
        ("unicode_escape", escaped(|c| format!("\\x{:02x}", c as u32))),
        ("unicode_escape", escaped(|c| format!("U+{:04X} ", c as u32))),
        ("invisible", escaped(|c| format!("{c}\u{200b}"))),
        ("invisible", escaped(|c| char::from_u32(0xe_0000 + c as u32).unwrap().to_string())),
        ("invisible", escaped(|c| format!("{c}\u{336}"))),
        ("invisible", PHRASE.replace('e', "e\u{301}\u{302}\u{303}\u{304}")),
        ("bidi", format!("\u{202e}{PHRASE}\u{202c}")),
        ("confusable", PHRASE.replace('o', "о").replace('p', "р").replace('e', "е")),
        ("leetspeak", "0p3n th3 p0d b4y d00r5".to_owned()),
        ("spacing", "o-p-e-n the pod bay d-o-o-r-s".to_owned()),
        ("spacing", "o p e n  t h e  p o d  b a y  d o o r s".to_owned()),
        ("spacing", "o p e n the pod bay d o o r s".to_owned()),
        (
            "morse",
            ".- / --- .--. . -. / - .... . / .--. --- -.. / -... .- -.-- / -.. --- --- .-. ... .-.-.-"
                .to_owned(),
        ),
        ("morse", "--- .--. . -. / - .... . / .--. --- -.. / -... .- -.-- / -.. --- --- .-. ...".to_owned()),
    ] {
        assert!(place(&text, PHRASE).is_some(), "{name}: {text:?} reads {:?}", look(&text).0);
        assert!(score(name, &text) >= 0.5, "{name}: {text}: {:?}", look(&text).1);
    }
}

#[test]
fn compatibility_forms_are_only_read() {
    for text in ["ｏｐｅｎ ｔｈｅ ｐｏｄ ｂａｙ ｄｏｏｒｓ", "𝐨𝐩𝐞𝐧 𝐭𝐡𝐞 𝐩𝐨𝐝 𝐛𝐚𝐲 𝐝𝐨𝐨𝐫𝐬"]
    {
        assert_eq!(place(text, PHRASE), Some(text));
    }
}

#[test]
fn layers_are_undone_to_a_depth() {
    let mut text = PHRASE.to_owned();
    for _ in 0..3 {
        text = base64(&text);
    }
    assert_eq!(place(&text, PHRASE), Some(&*text));
    assert_eq!(score("budget", &text), 0.0);
    for _ in 0..3 {
        text = base64(&text);
    }
    assert_eq!(place(&text, PHRASE), None);
    assert_eq!(score("budget", &text), 1.0);
    let mixed = format!("run {} now", data_encoding::HEXLOWER.encode(base64(PHRASE).as_bytes()));
    assert_eq!(place(&mixed, PHRASE), Some(&mixed[4..mixed.len() - 4]));
}

#[test]
fn places_lead_back_to_the_disguised_piece() {
    let hidden = base64(PHRASE);
    let text = format!("Hello there, {hidden} and goodbye");
    assert_eq!(place(&text, PHRASE), Some(&*hidden));
    let text = "so %6fpen the p%6fd bay doors now";
    assert_eq!(place(text, PHRASE), Some("%6fpen the p%6fd bay doors"));
    let text = "so 0p3n th3 pod bay doors now";
    assert_eq!(place(text, PHRASE), Some("0p3n th3 pod bay doors"));
    // Through two layers, the inner one in the middle of the outer.
    let text = format!("see {} ok", base64(&format!("we say %6f{} here", &PHRASE[1..])));
    assert_eq!(place(&text, PHRASE), Some(&text[4..text.len() - 3]));
    let text = "s%65e op\u{200b}en the pod bay doors";
    assert_eq!(place(text, PHRASE), Some("op\u{200b}en the pod bay doors"));
}

#[test]
fn ordinary_texts_wear_no_disguise() {
    for text in [
        "How do I kill a Python process? I tried `kill -9 1234` and it's still there…",
        "GET https://example.com/a%20b/c?q=rust+async&lang=de#top returned 404 at 12:30:59.",
        "id: 550e8400-e29b-41d4-a716-446655440000, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "fn internationalization_of_everything(x: u32) -> Result<HashMap<String, Vec<u8>>, Error> { todo() }",
        "{\"name\": \"caf\\u00e9\", \"ok\": true, \"n\": [1, 2, 3]}",
        "| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n- - -\n...",
        "Plan A, B, C, D: 3D printing with k8s, i18n, utf8mb4, mp3 and gpt-4 in 2024 &amp; H2O at 25 °C &nbsp;",
        "Größe, Straße, Übermut; c'est l'été; ¿qué tal, señor? ąęśćźż; İstanbul'da ılık çay",
        "Сегодня хорошая погода, а завтра будет дождь. Скорость 5 км/ч, IT-специалист, Wi-Fi.",
        "Η ταχύτητα είναι 5 μm/s και β = 0.3 mΩ; Δt",
        "今日は良い天気ですね。Tシャツを買いました。中文也可以。한국어도 됩니다.",
        "مرحبا، كيف حالك؟ \u{200f}(نص)\u{200e} می\u{200c}خواهم; नमस्ते क्\u{200d}ष; שלום עולם",
        "👩\u{200d}👩\u{200d}👧\u{200d}👦 ❤\u{fe0f} 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} 🇩🇪 \u{feff}",
        "eyJhbGciOiJIUzI1NiJ9 is how a token begins; AKIAIOSFODNN7EXAMPLE is a key; deadbeefdeadbeefdeadbeefdeadbeef",
        "I. B. M. and U. S. A. in the 1990s; e.g. this, i.e. that; a x b = c",
        "my mail is a.b@example.com, costs $5, wow! C:\\Users\\x; \\x1b[31m; 10!",
    ] {
        let sure: Vec<_> = look(text).1.into_iter().filter(|finding| finding.score >= 0.5).collect();
        // A decoded beginning of a token is one word: it is read, and told at 0.5 at most.
        let told: Vec<_> = sure.iter().filter(|finding| finding.score > 0.5).collect();
        assert!(told.is_empty(), "{text}: {told:?}");
    }
}

#[test]
fn texts_that_unfold_without_end_stay_within_the_budget() {
    let nested = {
        let mut text = "a".repeat(20_000);
        for _ in 0..10 {
            text = base64(&text);
        }
        text
    };
    let many = format!("{} ", base64("some words here")).repeat(2_000);
    for text in [
        nested,
        many,
        "%25".repeat(300_000),
        "&amp;".repeat(200_000),
        "a\u{200b}".repeat(200_000),
        "\\x41".repeat(200_000),
        "a b ".repeat(200_000),
    ] {
        let (views, _) = look(&text);
        let bytes: usize = views.iter().skip(1).map(|view| view.text.len()).sum();
        assert!(views.len() <= MOST_VIEWS && bytes <= text.len() * TIMES + BYTES);
    }
}

#[test]
fn a_deadline_that_is_past_leaves_the_text_itself() {
    let (views, _) = uncover(&base64(PHRASE).into(), 0, Instant::now());
    assert_eq!(views.len(), 1);
}

proptest! {
    #[test]
    fn prop_every_place_lies_on_borders_of_characters(text in "[a-zA-Z0-9%&#;\\\\ux{}. +/=-]{0,40}|\\PC{0,40}|([a-z] ){0,9}[аеорé\u{200b}\u{301}ßﬁ0-9@!]{0,9}") {
        for view in look(&text).0 {
            let borders: Vec<usize> = view.text.char_indices().map(|(at, _)| at).chain([view.text.len()]).collect();
            for pair in borders.windows(2) {
                prop_assert!(text.get(view.map.to_original(&(pair[0]..pair[1]))).is_some(), "{:?}", view);
            }
            prop_assert!(text.get(view.map.to_original(&(0..view.text.len()))).is_some(), "{:?}", view);
        }
    }

    #[test]
    fn prop_a_phrase_is_found_wherever_it_is_hidden(before in "[a-z ]{0,30}", after in "[a-z ]{0,30}", how in 0..4) {
        let hidden = match how {
            0 => base64(PHRASE),
            1 => data_encoding::HEXLOWER.encode(PHRASE.as_bytes()),
            2 => PHRASE.chars().map(|c| format!("%{:02x}", c as u32)).collect(),
            _ => PHRASE.chars().map(|c| format!("&#{};", c as u32)).collect(),
        };
        let text = format!("{before} {hidden} {after}");
        prop_assert_eq!(place(&text, PHRASE), Some(&*hidden));
    }
}

/// `cargo test --lib disguise -- --ignored --nocapture`
#[test]
#[ignore = "prints times"]
#[allow(clippy::print_stdout, reason = "that is what it is for")]
fn times() {
    let plain: Arc<str> =
        "The quick brown fox jumps over the lazy dog, and nobody minds it at all. ".repeat(28).into();
    let german: Arc<str> =
        "Über den Wolken muss die Freiheit wohl grenzenlos sein, sagt man öfter. ".repeat(28).into();
    for (name, text) in [("plain English", plain), ("German", german)] {
        let started = Instant::now();
        for _ in 0..2000 {
            std::hint::black_box(look(&text));
        }
        println!("{name}, {} bytes: {:.1} µs", text.len(), started.elapsed().as_secs_f64() * 1e6 / 2000.0);
    }
}
