//! Which headers pass between client and upstream.

use ::http::{HeaderMap, HeaderName, header};

/// The id of a request.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How Anthropic's API takes a key.
pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The version of Anthropic's API, which a request must name: the one there is.
pub(super) const ANTHROPIC_VERSION: (HeaderName, &str) =
    (HeaderName::from_static("anthropic-version"), "2023-06-01");

/// Headers that are about one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a client says to us alone: whom it calls, how long its body is, who it is, and which encodings it reads
/// (an encoded answer could not be judged).
const TO_US: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::AUTHORIZATION,
    header::COOKIE,
    header::ACCEPT_ENCODING,
    header::EXPECT,
    API_KEY,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("keep-alive"),
];

/// What an upstream says to us alone; bodies are written anew.
const FROM_UPSTREAM: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::SET_COOKIE, HeaderName::from_static("keep-alive"), REQUEST_ID];

/// How many headers are added later, more or less.
const ADDED: usize = 6;

/// The client's headers that go on to the upstream.
pub(super) fn to_upstream(headers: &HeaderMap) -> HeaderMap {
    without(headers, &TO_US)
}

/// The upstream's headers that go back to the client.
pub(super) fn to_client(headers: &HeaderMap) -> HeaderMap {
    without(headers, &FROM_UPSTREAM)
}

fn without(headers: &HeaderMap, dropped: &[HeaderName]) -> HeaderMap {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> =
        named.flat_map(|names| names.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect();
    let passes = |name: &HeaderName| {
        !HOP_BY_HOP.contains(name) && !dropped.contains(name) && !named.iter().any(|n| n == name.as_str())
    };
    let mut passed = HeaderMap::with_capacity(headers.len() + ADDED);
    for (name, value) in headers.iter().filter(|(name, _)| passes(name)) {
        passed.append(name.clone(), value.clone());
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_end_to_end_headers_pass_and_no_credentials() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer a"),
            ("x-api-key", "b"),
            ("cookie", "c"),
            ("connection", "close, x-private"),
            ("x-private", "d"),
            ("accept-encoding", "gzip"),
            ("x-tenant", "e"),
            ("content-type", "application/json"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let passed = to_upstream(&headers);
        let names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-tenant", "content-type"]);
    }
}
