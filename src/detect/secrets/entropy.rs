//! How random a value looks, and whether it only stands in for a real one.

/// Shannon's entropy of the bytes of `text`, in bits per byte (C. E. Shannon, A Mathematical Theory of
/// Communication, 1948, section 6). Random hexadecimal digits come near 4, random Base64 near 6, English near 4
/// over long texts and near 3 over a single word.
pub(super) fn entropy(text: &[u8]) -> f32 {
    let mut counts = [0u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let total = text.len() as f32;
    let part = |count: &u32| *count as f32 / total;
    -counts.iter().filter(|count| **count > 0).map(|count| part(count) * part(count).log2()).sum::<f32>()
}

/// Parts of values that ask to be replaced, in lower case.
const MARKS: [&str; 22] = [
    "example",
    "your",
    "xxxx",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "replace",
    "insert",
    "dummy",
    "redacted",
    "****",
    "....",
    "<",
    "{{",
    "${",
    "$(",
    "%(",
    "#{",
    "my_secret",
    "enter_",
    "_here",
];
/// Whole values that are words of documentation or of code rather than secrets.
const WORDS: [&str; 28] = [
    "password",
    "passwd",
    "pass",
    "secret",
    "token",
    "apikey",
    "api_key",
    "key",
    "none",
    "null",
    "nil",
    "undefined",
    "true",
    "false",
    "test",
    "string",
    "str",
    "text",
    "value",
    "hunter",
    "admin",
    "root",
    "user",
    "username",
    "postgres",
    "guest",
    "required",
    "optional",
];

/// Whether a value stands in for a secret: a variable, a template, a word of documentation, one sign repeated.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let bytes = lower.as_bytes();
    let uniform = bytes.iter().all(|byte| *byte == bytes[0]);
    let variable = matches!(bytes, [b'$' | b'%' | b'@', next, ..] if next.is_ascii_alphabetic() || *next == b'_')
        && value[1..]
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'%'));
    bytes.is_empty()
        || uniform
        || variable
        || WORDS.contains(&&*lower)
        || MARKS.iter().any(|mark| lower.contains(mark))
}

/// Whether a value spells a run such as `12345678` or `abcdefgh`, as keys made up for documentation do.
pub(super) fn has_run(value: &[u8]) -> bool {
    const LONG: usize = 8;
    let mut run = 1;
    value.windows(2).any(|pair| {
        // `90` goes on counting, `9a` and `0a` pass from digits to letters.
        let next = pair[0].checked_add(1) == Some(pair[1])
            || matches!(pair, [b'9', b'0' | b'a' | b'A'] | [b'0', b'a' | b'A']);
        run = if next { run + 1 } else { 1 };
        run >= LONG
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_in_bits_per_byte() {
        assert_eq!(entropy(b"aaaa"), 0.0);
        assert_eq!(entropy(b"abab"), 1.0);
        assert!((entropy(b"0123456789abcdef") - 4.0).abs() < 1e-6);
    }

    #[test]
    fn stand_ins_are_told_from_secrets() {
        for value in [
            "",
            "YOUR_API_KEY",
            "xxxxxxxx",
            "${TOKEN}",
            "$TOKEN",
            "%TOKEN%",
            "<token>",
            "changeme",
            "{{ key }}",
            "-----",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in ["hunter2", "p4ssw0rd!", "$2b$10$abc", "correct horse", "Zq9#tL"] {
            assert!(!is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn runs_are_eight_long() {
        assert!(has_run(b"x1234567890") && has_run(b"abcdefgh") && has_run(b"567890ab"));
        assert!(!has_run(b"1234567") && !has_run(&[0xff; 9]) && !has_run(b"hgfedcba"));
    }
}
