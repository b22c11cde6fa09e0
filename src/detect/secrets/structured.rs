//! Secrets known by their structure: key blocks, key files, web tokens, webhooks, bot tokens.

use std::ops::Range;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};

use super::{
    Match,
    entropy::{entropy, is_placeholder},
};

/// A sign to look for, the signal it may raise, and the function that looks around it.
pub(super) struct Landmark {
    pub(super) sign: &'static str,
    pub(super) signal: &'static str,
    /// Gets the text and where the sign stands.
    pub(super) find: fn(&str, Range<usize>) -> Option<Match>,
}

const fn landmark(
    signal: &'static str,
    sign: &'static str,
    find: fn(&str, Range<usize>) -> Option<Match>,
) -> Landmark {
    Landmark { sign, signal, find }
}

/// How a key block begins (RFC 7468).
pub(super) const PEM: &str = "-----BEGIN ";

/// Every landmark.
pub(super) const LANDMARKS: &[Landmark] = &[
    landmark("secret.private_key", PEM, pem),
    landmark("secret.private_key", "PuTTY-User-Key-File-", putty),
    landmark("secret.gcp_service_account", "\"service_account\"", service_account),
    landmark("secret.jwt", "eyJ", jwt),
    landmark("secret.slack_webhook", "hooks.slack.com/", slack_webhook),
    landmark("secret.discord_webhook", "discord.com/api/webhooks/", discord_webhook),
    landmark("secret.discord_webhook", "discordapp.com/api/webhooks/", discord_webhook),
    landmark("secret.telegram_token", ":AA", telegram),
    landmark("secret.azure_client_secret", "Q~", azure_client_secret),
    landmark("secret.mail_token", "-us", mailchimp),
    landmark("secret.discord_token", "MD", discord),
    landmark("secret.discord_token", "MT", discord),
    landmark("secret.discord_token", "Mj", discord),
    landmark("secret.discord_token", "Mz", discord),
    landmark("secret.discord_token", "ND", discord),
    landmark("secret.discord_token", "NT", discord),
    landmark("secret.discord_token", "Nj", discord),
    landmark("secret.discord_token", "Nz", discord),
    landmark("secret.discord_token", "OD", discord),
    landmark("secret.discord_token", "OT", discord),
    landmark("secret.wallet_key", "5H", wif),
    landmark("secret.wallet_key", "5J", wif),
    landmark("secret.wallet_key", "5K", wif),
    landmark("secret.wallet_key", "Kw", wif),
    landmark("secret.wallet_key", "Kx", wif),
    landmark("secret.wallet_key", "Ky", wif),
    landmark("secret.wallet_key", "Kz", wif),
    landmark("secret.wallet_key", "L1", wif),
    landmark("secret.wallet_key", "L2", wif),
    landmark("secret.wallet_key", "L3", wif),
    landmark("secret.wallet_key", "L4", wif),
    landmark("secret.wallet_key", "L5", wif),
    landmark("secret.wallet_key", "xprv", extended_key),
    landmark("secret.wallet_key", "yprv", extended_key),
    landmark("secret.wallet_key", "zprv", extended_key),
];

/// The longest key block, and the least Base64 that makes a block more than its own first line.
const LONGEST_BLOCK: usize = 16 << 10;
const LEAST_KEY: usize = 40;

/// A private key between its encapsulation boundaries (RFC 7468), PGP's (RFC 9580) or OpenSSH's; also one with `\n`
/// written out, and one that is cut off.
fn pem(text: &str, sign: Range<usize>) -> Option<Match> {
    let rest = &text[sign.end..text.floor_char_boundary(sign.end + LONGEST_BLOCK)];
    let (label, body) = rest.split_once("-----")?;
    let known = label.ends_with("PRIVATE KEY") || label == "PGP PRIVATE KEY BLOCK";
    if !known || label.len() > 32 {
        return None;
    }
    let body_at = sign.end + label.len() + 5;
    // Without the closing boundary the key is cut off: it ends with what still looks like a key.
    let ends = |char: char| !(char.is_ascii_alphanumeric() || "+/=\\\r\n\t ,:".contains(char));
    let (body, close) = match body.split_once("-----") {
        Some((body, after)) if after.starts_with("END ") => {
            (body, after.find("-----").filter(|at| *at < 40).map_or(0, |at| at + 2 * "-----".len()))
        }
        _ => (body.split(ends).next().unwrap_or("").trim_end(), 0),
    };
    let signs =
        body.bytes().filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count();
    let wide = body.split_ascii_whitespace().any(|word| word.len() >= LEAST_KEY) || body.contains("\\n");
    (signs >= LEAST_KEY && wide).then(|| Match { span: sign.start..body_at + body.len() + close, score: 1.0 })
}

/// PuTTY's key files: only those with private lines.
fn putty(text: &str, sign: Range<usize>) -> Option<Match> {
    let rest = &text[sign.end..text.floor_char_boundary(sign.end + LONGEST_BLOCK)];
    let private = rest.find("Private-Lines:")?;
    let end = rest[private..].find("Private-MAC:").map_or(rest.len(), |mac| private + mac);
    Some(Match { span: sign.start..sign.end + rest[..end].trim_end().len(), score: 1.0 })
}

/// A key file of a Google service account: the JSON object around its `type`.
fn service_account(text: &str, sign: Range<usize>) -> Option<Match> {
    const AROUND: usize = 4096;
    let from = text.floor_char_boundary(sign.start.saturating_sub(AROUND));
    let to = text.floor_char_boundary(sign.end + AROUND);
    let start = text[from..sign.start].rfind('{').map_or(sign.start, |at| from + at);
    let end = text[sign.end..to].find('}').map_or(to, |at| sign.end + at + 1);
    let object = &text[start..end];
    let key = object.contains("\"private_key\"") && object.contains("PRIVATE KEY-----");
    key.then_some(Match { span: start..end, score: 1.0 })
}

/// Header, payload and signature in Base64url, the header a JSON object that names an algorithm (RFC 7519, 7515).
fn jwt(text: &str, sign: Range<usize>) -> Option<Match> {
    const LONGEST_HEADER: usize = 2048;
    const LONGEST_PART: usize = 32 << 10;
    let bytes = text.as_bytes();
    if !starts(bytes, sign.start) {
        return None;
    }
    let part = |at: usize, most: usize| run(bytes, at, most, is_url);
    let header = part(sign.start, LONGEST_HEADER);
    let decoded = BASE64URL_NOPAD.decode(&bytes[header.clone()]).ok()?;
    let header_fields: serde_json::Value = serde_json::from_slice(&decoded).ok()?;
    let payload = (bytes.get(header.end) == Some(&b'.')).then(|| part(header.end + 1, LONGEST_PART))?;
    let signature = (bytes.get(payload.end) == Some(&b'.')).then(|| part(payload.end + 1, LONGEST_PART))?;
    let whole = header_fields.get("alg").is_some() && !payload.is_empty();
    // Without a signature nobody need believe it, but its claims are there to read.
    let score = if signature.is_empty() { 0.6 } else { 1.0 };
    whole.then_some(Match { span: sign.start..signature.end, score })
}

/// `hooks.slack.com/services/T…/B…/…`, or the workflow triggers of the same host.
fn slack_webhook(text: &str, sign: Range<usize>) -> Option<Match> {
    let bytes = text.as_bytes();
    let path = run(bytes, sign.end, 200, |byte| byte.is_ascii_alphanumeric() || byte == b'/');
    let parts: Vec<&str> = text[path.clone()].split('/').collect();
    let real = matches!(parts[..], ["services" | "workflows" | "triggers", team, app, .., secret]
        if team.len() >= 8 && app.len() >= 8 && secret.len() >= 16 && !is_placeholder(secret));
    real.then_some(Match { span: with_scheme(text, sign.start)..path.end, score: 0.9 })
}

/// The id of the webhook and its token.
fn discord_webhook(text: &str, sign: Range<usize>) -> Option<Match> {
    let bytes = text.as_bytes();
    let id = run(bytes, sign.end, 20, |byte| byte.is_ascii_digit());
    let token = (bytes.get(id.end) == Some(&b'/')).then(|| run(bytes, id.end + 1, 100, is_url))?;
    (id.len() >= 17 && token.len() >= 60)
        .then_some(Match { span: with_scheme(text, sign.start)..token.end, score: 0.9 })
}

/// The bot's id, a colon, and 35 signs that begin with `AA` (Telegram Bot API).
fn telegram(text: &str, sign: Range<usize>) -> Option<Match> {
    let bytes = text.as_bytes();
    let id = bytes[..sign.start].iter().rev().take(11).take_while(|byte| byte.is_ascii_digit()).count();
    let start = sign.start - id;
    let token = run(bytes, sign.start + 1, 40, is_url);
    let free = !bytes[..start]
        .last()
        .is_some_and(|byte| byte.is_ascii_alphanumeric() && !text[..start].ends_with("bot"));
    (free && (8..=10).contains(&id) && token.len() == 35)
        .then_some(Match { span: start..token.end, score: 0.9 })
}

/// Three signs, a digit, `Q~` and 31 to 34 more (Microsoft, the secret scanning pattern of Entra).
fn azure_client_secret(text: &str, sign: Range<usize>) -> Option<Match> {
    let is_sign = |byte: u8| is_url(byte) || matches!(byte, b'~' | b'.');
    let bytes = text.as_bytes();
    let start = sign.start.checked_sub(4)?;
    let head =
        bytes[start..sign.start].iter().all(|byte| is_sign(*byte)) && bytes[sign.start - 1].is_ascii_digit();
    let tail = run(bytes, sign.end, 40, is_sign);
    (head && starts(bytes, start) && (31..=34).contains(&tail.len()))
        .then_some(Match { span: start..tail.end, score: 0.9 })
}

/// 32 hexadecimal digits, `-us` and the data centre.
fn mailchimp(text: &str, sign: Range<usize>) -> Option<Match> {
    let bytes = text.as_bytes();
    let start = sign.start.checked_sub(32)?;
    let key = bytes[start..sign.start].iter().all(u8::is_ascii_hexdigit) && starts(bytes, start);
    let centre = run(bytes, sign.end, 3, |byte| byte.is_ascii_digit());
    (key && matches!(centre.len(), 1 | 2)).then_some(Match { span: start..centre.end, score: 0.9 })
}

/// The bot's numeric id in Base64, a time stamp and a signature.
fn discord(text: &str, sign: Range<usize>) -> Option<Match> {
    let bytes = text.as_bytes();
    if !starts(bytes, sign.start) {
        return None;
    }
    let id = run(bytes, sign.start, 32, is_url);
    let stamp = (bytes.get(id.end) == Some(&b'.')).then(|| run(bytes, id.end + 1, 8, is_url))?;
    let signature = (bytes.get(stamp.end) == Some(&b'.')).then(|| run(bytes, stamp.end + 1, 64, is_url))?;
    let digits = BASE64_NOPAD.decode(&bytes[id]).ok()?;
    let real = digits.len() >= 17 && digits.iter().all(u8::is_ascii_digit);
    (real && matches!(stamp.len(), 5..=7) && signature.len() >= 27)
        .then_some(Match { span: sign.start..signature.end, score: 1.0 })
}

/// Base58Check with version byte 0x80 (Bitcoin wiki, Wallet import format).
fn wif(text: &str, sign: Range<usize>) -> Option<Match> {
    let bytes = text.as_bytes();
    let key = run(bytes, sign.start, 53, |byte| byte.is_ascii_alphanumeric());
    if !matches!(key.len(), 51 | 52) || !starts(bytes, key.start) {
        return None;
    }
    bs58::decode(&bytes[key.clone()]).with_check(Some(0x80)).into_vec().ok()?;
    Some(Match { span: key, score: 1.0 })
}

/// A serialised extended private key (BIP-32, SLIP-132).
fn extended_key(text: &str, sign: Range<usize>) -> Option<Match> {
    let bytes = text.as_bytes();
    let key = run(bytes, sign.start, 112, |byte| byte.is_ascii_alphanumeric());
    if key.len() != 111 || !starts(bytes, key.start) {
        return None;
    }
    bs58::decode(&bytes[key.clone()]).with_check(None).into_vec().ok()?;
    Some(Match { span: key, score: 1.0 })
}

/// The credentials after `Bearer`, `Basic` or `Token` in a header (RFC 7617, RFC 6750).
pub(super) fn authorization(value: &str, at: usize) -> Option<Match> {
    let (scheme, rest) = value.split_once(' ')?;
    let token = run(rest.as_bytes(), 0, 4096, |byte| is_url(byte) || b".+/=~".contains(&byte));
    let span = at + scheme.len() + 1..at + scheme.len() + 1 + token.end;
    let token = &rest[token];
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = BASE64.decode(token.as_bytes()).ok()?;
        let real = pair.iter().position(|byte| *byte == b':').is_some_and(|colon| colon + 1 < pair.len());
        return (real && pair.is_ascii()).then_some(Match { span, score: 1.0 });
    }
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    let random = token.len() >= 16
        && token.bytes().any(|byte| byte.is_ascii_digit())
        && entropy(token.as_bytes()) >= 3.0;
    (known && random && !is_placeholder(token)).then_some(Match { span, score: 0.8 })
}

fn is_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether a token may start at `at`: nothing that could belong to it stands before.
fn starts(bytes: &[u8], at: usize) -> bool {
    !bytes[..at].last().is_some_and(|byte| is_url(*byte))
}

/// The longest run of bytes that `keep` takes, from `at` on, cut after `most`.
fn run(bytes: &[u8], at: usize, most: usize, keep: impl Fn(u8) -> bool) -> Range<usize> {
    let at = at.min(bytes.len());
    let len = bytes[at..].iter().take(most).take_while(|byte| keep(**byte)).count();
    at..at + len
}

/// Where a URL starts whose host starts at `host`.
fn with_scheme(text: &str, host: usize) -> usize {
    ["https://", "http://"]
        .iter()
        .find(|scheme| text[..host].ends_with(**scheme))
        .map_or(host, |scheme| host - scheme.len())
}
