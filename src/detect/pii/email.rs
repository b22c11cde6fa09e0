//! E-mail addresses: the dot-atom form of RFC 5322 with a domain name, around each `@`.

use super::{super::overlap::Candidate, Scan};

/// The longest local part and domain (RFC 5321, section 4.5.3.1).
const LOCAL: usize = 64;
const DOMAIN: usize = 255;
/// File names such as `icon@2x.png` end like a domain.
const FILE_ENDINGS: [&str; 9] = ["png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts"];

/// Adds every e-mail address.
pub(super) fn scan(scan: &mut Scan<'_>) {
    for (at, _) in scan.text.match_indices('@') {
        let Some(span) = address(scan.text, at) else { continue };
        scan.found.push(Candidate { signal: "pii.email", score: 1.0, span });
    }
}

/// The address around the `@` that stands at `at`.
fn address(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let before = &text[..at];
    let local = tail_while(before, LOCAL, |char| is_letter(char) || "._%+-!#$&'*/=?^`{|}~".contains(char));
    let local = local.trim_start_matches(|char: char| !char.is_alphanumeric() && char != '_' && char != '+');
    let start = at - local.len();
    let valid_local = !local.is_empty() && !local.ends_with('.') && !local.contains("..");
    let after = &text[at + 1..];
    let domain = head_while(after, DOMAIN, |char| is_letter(char) || char == '-' || char == '.');
    let domain = domain.trim_end_matches(['.', '-']);
    let end = at + 1 + domain.len();
    // The password of `scheme://user:password@host`, and the user of `git@host:path`.
    let in_url = before[..start].ends_with([':', '/']) && follows_scheme(&before.as_bytes()[..start]);
    let remote = local == "git" && text[end..].starts_with([':', '/']);
    (valid_local && is_domain(domain) && !in_url && !remote).then_some(start..end)
}

/// Whether `//` stands shortly before, with no space since.
fn follows_scheme(before: &[u8]) -> bool {
    let near = &before[before.len().saturating_sub(LOCAL)..];
    let word = near.rsplit(u8::is_ascii_whitespace).next().unwrap_or(near);
    word.windows(2).any(|pair| pair == b"//")
}

/// Whether this is a domain name of two labels or more, the last one made of letters (RFC 1123, section 2.1).
fn is_domain(domain: &str) -> bool {
    let Some((rest, top)) = domain.rsplit_once('.') else { return false };
    let label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    let top_is_name =
        top.starts_with("xn--") || top.chars().count() >= 2 && top.chars().all(char::is_alphabetic);
    let is_file = FILE_ENDINGS.iter().any(|ending| top.eq_ignore_ascii_case(ending));
    rest.split('.').all(label) && label(top) && top_is_name && !is_file
}

/// Letters and digits of the scripts that put spaces between words; others would swallow the words before.
fn is_letter(char: char) -> bool {
    char.is_ascii_alphanumeric() || char < '\u{0590}' && char.is_alphanumeric()
}

fn tail_while(text: &str, most: usize, keep: impl Fn(char) -> bool) -> &str {
    let start = text.char_indices().rev().take(most).take_while(|(_, char)| keep(*char)).last();
    &text[start.map_or(text.len(), |(at, _)| at)..]
}

fn head_while(text: &str, most: usize, keep: impl Fn(char) -> bool) -> &str {
    let end = text.char_indices().take(most).find(|(_, char)| !keep(*char));
    match end {
        Some((at, _)) => &text[..at],
        None => text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        text.match_indices('@').filter_map(|(at, _)| Some(&text[address(text, at)?])).collect()
    }

    #[test]
    fn addresses_are_found_whole() {
        assert_eq!(found("Write to Ann.O'Neil+x@mail.example.co.uk."), ["Ann.O'Neil+x@mail.example.co.uk"]);
        assert_eq!(found("<mailto:a_b@b.de>, \"c@d.org\""), ["a_b@b.de", "c@d.org"]);
        assert_eq!(
            found("邮箱是zhang@qq.com。müller@bücher.example"),
            ["zhang@qq.com", "müller@bücher.example"]
        );
    }

    #[test]
    fn look_alikes_are_left_alone() {
        for text in [
            "react@18.2.0",
            "icon@2x.png",
            "@decorator",
            "a@b",
            "user@localhost",
            "x@-.com",
            "git@host.org:me/repo",
            "https://me:secret@host.org/",
            "3 @ 4.50",
            "a@@b.com",
            ".@.com",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }
}
