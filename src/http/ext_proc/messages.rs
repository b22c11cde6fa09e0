//! Between Envoy's messages and HTTP's own types.

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;

use super::proto::{
    self, AppendAction, BodyMutation, CommonResponse, HeaderMutation, HeaderValueOption, HttpHeaders,
    HttpStatus, ImmediateResponse, Mutation, PartResponse, Reaction, StreamedBodyResponse,
};

/// The largest piece of a body in one message, as Envoy's documentation has it.
pub(super) const PIECE: usize = 64 << 10;

/// The head of a request or an answer.
#[derive(Default)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// No body follows.
    pub(super) ended: bool,
}

impl From<HttpHeaders> for Head {
    fn from(message: HttpHeaders) -> Self {
        let mut head = Self { ended: message.end_of_stream, ..Self::default() };
        for proto::HeaderValue { key, value, raw_value } in message.headers.unwrap_or_default().headers {
            let value = if raw_value.is_empty() { Bytes::from(value) } else { raw_value };
            match &*key {
                ":method" => head.method = String::from_utf8_lossy(&value).into_owned(),
                ":path" => head.path = String::from_utf8_lossy(&value).into_owned(),
                // What is no status is no success either.
                ":status" => head.status = StatusCode::from_bytes(&value).unwrap_or(StatusCode::BAD_GATEWAY),
                _ => {
                    if let (Ok(name), Ok(value)) =
                        (HeaderName::try_from(key), HeaderValue::from_maybe_shared(value))
                    {
                        head.headers.append(name, value);
                    }
                }
            }
        }
        head
    }
}

impl Head {
    /// Whether a body is in an encoding in which it can't be read.
    pub(super) fn is_encoded(&self) -> bool {
        let encodings = self.headers.get_all(header::CONTENT_ENCODING).iter();
        encodings.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|encoding| {
            let encoding = encoding.trim_ascii();
            !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity")
        })
    }
}

/// What is changed of a part; by default nothing.
#[derive(Default)]
pub(super) struct Change {
    headers: HeaderMutation,
    body: Option<Mutation>,
}

impl Change {
    /// Sets headers, in place of those that are there.
    pub(super) fn set(mut self, headers: &HeaderMap) -> Self {
        for (name, value) in headers {
            // The proxy knows how long its bodies are.
            if name != header::CONTENT_LENGTH {
                self.put(name.as_str(), value.as_bytes());
            }
        }
        self
    }

    /// Sets the status of an answer.
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.put(":status", status.as_str().as_bytes());
        self
    }

    fn put(&mut self, key: &str, value: &[u8]) {
        self.headers.set_headers.push(HeaderValueOption {
            header: Some(proto::HeaderValue {
                key: key.to_owned(),
                value: String::new(),
                raw_value: Bytes::copy_from_slice(value),
            }),
            append_action: AppendAction::Overwrite.into(),
        });
    }

    /// Takes a header out.
    pub(super) fn remove(mut self, name: &HeaderName) -> Self {
        self.headers.remove_headers.push(name.as_str().to_owned());
        self
    }

    /// Puts this in the place of a whole body, or of the piece that came. Its length is no longer the one announced.
    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = Some(if body.is_empty() { Mutation::Clear(true) } else { Mutation::Body(body) });
        self.remove(&header::CONTENT_LENGTH)
    }
}

impl From<Change> for PartResponse {
    fn from(Change { headers, body }: Change) -> Self {
        let header_mutation = (headers != HeaderMutation::default()).then_some(headers);
        let body_mutation = body.map(|mutation| BodyMutation { mutation: Some(mutation) });
        let changes = header_mutation.is_some() || body_mutation.is_some();
        Self { response: changes.then_some(CommonResponse { header_mutation, body_mutation }) }
    }
}

/// A piece of a body of `FULL_DUPLEX_STREAMED`.
pub(super) fn streamed(body: Bytes, end_of_stream: bool) -> PartResponse {
    let mutation = Some(Mutation::Streamed(StreamedBodyResponse { body, end_of_stream }));
    let body_mutation = Some(BodyMutation { mutation });
    PartResponse { response: Some(CommonResponse { header_mutation: None, body_mutation }) }
}

/// A body cut into pieces that fit into messages.
pub(super) fn pieces(mut body: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!body.is_empty()).then(|| body.split_to(body.len().min(PIECE))))
}

/// An answer of our own in place of the model's.
pub(super) async fn immediate(response: Response, details: &str) -> Reaction {
    let (parts, body) = response.into_parts();
    // Bodies of our own are in memory.
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Reaction::Immediate(ImmediateResponse {
        status: Some(HttpStatus { code: parts.status.as_u16().into() }),
        headers: Some(Change::default().set(&parts.headers).headers),
        body,
        details: details.to_owned(),
    })
}
