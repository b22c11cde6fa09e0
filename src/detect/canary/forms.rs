//! What a secret looks like when it is dressed up: every text to search for, as its ASCII letters and digits in lower case.

use std::collections::BTreeMap;

use data_encoding::{BASE32_NOPAD, BASE64_NOPAD};

use super::plain;

/// How a byte is written when texts are escaped: hexadecimal plainly (signs such as `%` fall away), with a mark, as
/// Unicode escapes do, and in decimal.
const ESCAPES: [fn(u8) -> String; 5] = [
    |byte| format!("{byte:02x}"),
    |byte| format!("x{byte:02x}"),
    |byte| format!("0x{byte:02x}"),
    |byte| format!("u00{byte:02x}"),
    |byte| byte.to_string(),
];

/// Every form of the secret and of each part of it that is long enough (half of it, and no less than `shortest`), with
/// the share of the secret that it shows. A form that is found by more than one way has the highest share.
pub(super) fn all(secret: &str, shortest: usize) -> BTreeMap<String, f32> {
    let mut forms = Forms(BTreeMap::new());
    let letters: String = plain(secret).map(|(_, letter)| letter as char).collect();
    let backwards: String = letters.chars().rev().collect();
    for text in [&letters, &backwards] {
        let turned: String = text.chars().map(rot13).collect();
        for (part, share) in parts(text, shortest).into_iter().chain(parts(&turned, shortest)) {
            forms.add(part, share);
        }
    }
    for written in [secret.to_owned(), secret.to_lowercase(), secret.to_uppercase()] {
        for (part, share) in parts(&written, shortest) {
            forms.add_encoded(part.as_bytes(), share);
        }
    }
    forms.0
}

/// The whole text, and every run of half of it.
fn parts(text: &str, shortest: usize) -> Vec<(&str, f32)> {
    let length = text.len();
    let run = length.div_ceil(2).max(shortest).min(length);
    let share = run as f32 / length as f32;
    let mut parts = vec![(text, 1.0)];
    parts.extend((0..=length - run).map(|at| (&text[at..at + run], share)));
    parts
}

fn rot13(letter: char) -> char {
    match letter {
        'a'..='m' => (letter as u8 + 13) as char,
        'n'..='z' => (letter as u8 - 13) as char,
        other => other,
    }
}

struct Forms(BTreeMap<String, f32>);

impl Forms {
    fn add(&mut self, form: &str, share: f32) {
        let form: String = plain(form).map(|(_, letter)| letter as char).collect();
        // Cutting may leave a stub that stands anywhere.
        if form.len() >= super::SHORTEST {
            let known = self.0.entry(form).or_default();
            *known = known.max(share);
        }
    }

    fn add_encoded(&mut self, part: &[u8], share: f32) {
        for escape in ESCAPES {
            let escaped: String = part.iter().map(|byte| escape(*byte)).collect();
            self.add(&escaped, share);
        }
        // Base64 writes three bytes as four characters, base32 five as eight. Within a longer text the part begins at any
        // of a group's bytes; what depends on its neighbours is cut off.
        for before in 0..3 {
            self.add(&inner(part, before, 6, |bytes| BASE64_NOPAD.encode(bytes)), share);
        }
        for before in 0..5 {
            self.add(&inner(part, before, 5, |bytes| BASE32_NOPAD.encode(bytes)), share);
        }
    }
}

/// The characters of an encoding, of so many bits each, that hold nothing but `part` when `before` bytes stand before it.
fn inner(part: &[u8], before: usize, bits: usize, encode: impl Fn(&[u8]) -> String) -> String {
    let bytes = [&vec![0; before], part].concat();
    let encoded = encode(&bytes);
    let (first, end) = ((before * 8).div_ceil(bits), bytes.len() * 8 / bits);
    encoded[first..end].to_owned()
}
