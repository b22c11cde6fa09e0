//! Addresses in networks: IPv4, IPv6, hardware addresses, and credentials in URLs.
//!
//! Only addresses that can name a person's line or a server on the internet count: loopback, private, link-local,
//! multicast and unspecified ones say nothing about anybody. The ranges kept for documentation do count, so that
//! examples behave like the real thing.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{super::overlap::Candidate, Scan, numbers::Token};

/// The words that make four small numbers an address.
pub(super) const IP_WORDS: &str = "IP|ipv4|ipv6|ip address|address|host|server|ping|adresse|dirección|\
    indirizzo|адрес";
/// The words that make hexadecimal groups a hardware address.
pub(super) const MAC_WORDS: &str = "mac|hardware address|bssid|ethernet";
/// Schemes of databases and brokers, whose URLs the secrets detector reports.
const CONNECTIONS: [&str; 12] = [
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "mongodb+srv",
    "redis",
    "rediss",
    "amqp",
    "amqps",
    "sqlserver",
    "clickhouse",
];

/// Adds every IPv4 address.
pub(super) fn ipv4(scan: &mut Scan<'_>) {
    let mut at = 0;
    while at + 4 <= scan.tokens.len() {
        let quad = &scan.tokens[at..at + 4];
        if !is_quad(quad) {
            at += 1;
            continue;
        }
        // The whole chain, so that five parts are not four.
        let chain = scan.tokens[at..].iter().take_while(|token| token.joint == b'.').count() + 1;
        let span = quad[0].span.start..quad[3].span.end;
        let glued = scan.text[..span.start].ends_with(['.', '-', '_', 'v', 'V', '/'])
            && !scan.text[..span.start].ends_with("//");
        let ends = scan.tokens[at + 3].joint != b'.' || scan.text[span.end..].starts_with(". ");
        if let Ok(address) = scan.text[span.clone()].parse::<Ipv4Addr>()
            && ends
            && !glued
            && is_public_v4(address)
            && !follows_version(scan.text, span.start)
        {
            let small = address.octets().iter().all(|octet| *octet < 20);
            let topic = scan.topics.ip;
            if !small || scan.context().is_near(topic, &span) {
                scan.found.push(Candidate { signal: "pii.ip_address", score: 1.0, span });
            }
        }
        at += chain.max(1);
    }
}

fn is_quad(quad: &[Token]) -> bool {
    quad.iter().all(|token| token.all_digits && token.span.len() <= 3)
        && quad.windows(2).all(|pair| pair[0].joint == b'.' && pair[0].span.end + 1 == pair[1].span.start)
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    let local = address.is_loopback() || address.is_private() || address.is_link_local();
    !(local || shared || first == 0 || first >= 224)
}

/// Whether the words just before call the number a version.
fn follows_version(text: &str, at: usize) -> bool {
    let before = &text.as_bytes()[at.saturating_sub(16)..at];
    let before = before.to_ascii_lowercase();
    [&b"version"[..], b"release", b"firmware", b"build", b"section", b" ver"]
        .iter()
        .any(|word| before.windows(word.len()).any(|window| window == *word))
}

/// Adds every global IPv6 address (2000::/3, RFC 4291) and every hardware address in colon or hyphen form.
pub(super) fn colons(scan: &mut Scan<'_>) {
    let bytes = scan.text.as_bytes();
    let mut from = 0;
    while let Some(colon) = scan.text[from..].find(':').map(|at| from + at) {
        let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        let start = from + bytes[from..colon].iter().rposition(|byte| !is_part(byte)).map_or(0, |at| at + 1);
        let end =
            colon + bytes[colon..].iter().position(|byte| !is_part(byte)).unwrap_or(bytes.len() - colon);
        from = end;
        let run = scan.text[start..end].trim_end_matches([':', '.']);
        // In `address:2001:db8::1` the first colon belongs to the word.
        let (start, run) = match run.strip_prefix(':') {
            Some(rest) if !rest.starts_with(':') => (start + 1, rest),
            _ => (start, run),
        };
        let whole = !bytes[..start].last().is_some_and(u8::is_ascii_alphanumeric)
            && !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
        let span = start..start + run.len();
        if !whole || !(4..=45).contains(&run.len()) {
            continue;
        }
        let global = run.parse::<Ipv6Addr>().is_ok_and(|address| address.segments()[0] & 0xE000 == 0x2000);
        if global {
            scan.found.push(Candidate { signal: "pii.ip_address", score: 1.0, span });
        } else if is_mac(run.as_bytes(), b':') {
            scan.found.push(Candidate { signal: "pii.mac_address", score: 1.0, span });
        }
    }
}

/// Adds hardware addresses written with hyphens (IEEE 802) or, where a word says so, in dotted groups of four.
pub(super) fn mac(scan: &mut Scan<'_>) {
    let bytes = scan.text.as_bytes();
    for at in 0..scan.tokens.len() {
        let token = &scan.tokens[at];
        let groups = match (token.joint, token.span.len()) {
            (b'-', 2) => 6,
            (b'.', 4) => 3,
            _ => continue,
        };
        let Some(last) = scan.tokens.get(at + groups - 1) else { continue };
        let span = token.span.start..last.span.end;
        let is_end = |byte: Option<&u8>| {
            !byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        };
        if !is_end(bytes[..span.start].last()) || bytes.get(span.end) == Some(&b'-') {
            continue;
        }
        let text = &bytes[span.clone()];
        let dotted = groups == 3 && span.len() == 14 && text[4] == b'.' && text[9] == b'.';
        let letters = text.iter().any(u8::is_ascii_alphabetic);
        let hexadecimal = text.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'.');
        let topic = scan.topics.mac;
        let near = |scan: &mut Scan<'_>| scan.context().is_near(topic, &span);
        if groups == 6 && is_mac(text, b'-') && (letters || near(scan)) || dotted && hexadecimal && near(scan)
        {
            scan.found.push(Candidate { signal: "pii.mac_address", score: 1.0, span });
        }
    }
}

/// Six pairs of hexadecimal digits that are neither all zero nor the broadcast address.
fn is_mac(text: &[u8], joint: u8) -> bool {
    let pairs = text.len() == 17
        && text.chunks(3).all(|pair| {
            pair[..2].iter().all(u8::is_ascii_hexdigit) && pair.get(2).is_none_or(|byte| *byte == joint)
        });
    let hexadecimal = || text.iter().filter(|byte| **byte != joint);
    pairs
        && !hexadecimal().all(|byte| *byte == b'0')
        && !hexadecimal().all(|byte| byte.eq_ignore_ascii_case(&b'f'))
}

/// Adds the `user:password` of URLs (RFC 3986, section 3.2.1) that are no connection strings of databases.
pub(super) fn url_credentials(scan: &mut Scan<'_>) {
    const LONGEST: usize = 256;
    for (at, _) in scan.text.match_indices("://") {
        let start = at + 3;
        let authority = &scan.text.as_bytes()[start..scan.text.len().min(start + LONGEST)];
        let end =
            authority.iter().position(|byte| byte.is_ascii_whitespace() || b"/?#\"'<>`)".contains(byte));
        let authority = &authority[..end.unwrap_or(authority.len())];
        let Some(sign) = authority.iter().rposition(|byte| *byte == b'@') else { continue };
        let Some(colon) = authority[..sign].iter().position(|byte| *byte == b':') else { continue };
        let (password, host) = (&authority[colon + 1..sign], &authority[sign + 1..]);
        let scheme = scan.text.as_bytes()[..at].iter().rev().take(16);
        let scheme = scheme.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'+').count();
        let scheme = scan.text[at - scheme..at].to_ascii_lowercase();
        let real = !password.is_empty()
            && host.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'[');
        let placeholder =
            matches!(password, b"password" | b"pass" | b"PASSWORD" | b"pw" | b"token" | b"TOKEN")
                || matches!(password[..1], [b'$' | b'{' | b'*']);
        if real && !placeholder && !scheme.is_empty() && !CONNECTIONS.contains(&scheme.as_str()) {
            let span = start..start + sign;
            scan.found.push(Candidate { signal: "pii.url_credentials", score: 1.0, span });
        }
    }
}
