//! The question: gathered, judged, and sent on as the verdict says.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use tonic::Status;

use super::{
    super::{error, error::ApiError, keys::Access, respond},
    exchange::{Exchange, Outcome},
    messages::{Change, Head, immediate, pieces, streamed},
    proto::{BodyMode, Part, PartResponse, Reaction, TrailersResponse},
};
use crate::{
    dialect::{ALL, Dialect},
    gateway::{Call, Pending, Question},
};

/// What became of a question.
pub(super) enum Asked {
    /// It is on its way to the model.
    Sent(Box<Sent>),
    /// The exchange is over.
    Ended(Outcome),
}

/// A question on its way to the model.
pub(super) struct Sent {
    /// What judging the answer needs; nothing where an answer came before the question was whole.
    pub(super) pending: Option<Pending>,
    /// The verdict so far.
    pub(super) headers: HeaderMap,
}

/// A request's body.
struct Gathered {
    body: Bytes,
    /// It came in pieces that had to be answered, so nothing of it has gone on.
    in_pieces: bool,
    end: End,
}

/// How a request's body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Body,
    Trailers,
    TooLarge,
    /// An answer came before.
    Answered,
    /// Envoy ended the exchange.
    Broken,
}

/// The dialect of a request, however its path is spelled: what a server might read as such a path must not go by unseen.
pub(super) fn dialect_of(head: &Head) -> Option<&'static dyn Dialect> {
    let path = head.path.split(['?', '#']).next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8_lossy();
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split(['/', '\\']) {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let path =
        segments.iter().fold(String::new(), |path, segment| path + "/" + &segment.to_ascii_lowercase());
    // The longest: `/chat/completions` is no `/completions`.
    let known = ALL.iter().copied().filter(|dialect| head.method == "POST" && path.ends_with(dialect.path()));
    known.max_by_key(|dialect| dialect.path().len())
}

impl Exchange {
    pub(super) async fn question(
        &mut self,
        dialect: &'static dyn Dialect,
        head: Head,
    ) -> Result<Asked, Status> {
        if let Some(error) = self.unfit(&head) {
            return Ok(Asked::Ended(self.decline(error).await));
        }
        // What no body follows is judged at once; of a full-duplex body the headers wait for the verdict.
        let held = head.ended || self.modes.request == BodyMode::FullDuplexStreamed;
        if !held {
            self.out.send(headers_go_on()).await;
        }
        let gathered = if head.ended { Gathered::nothing() } else { self.gather().await? };
        match gathered.end {
            End::Body => {}
            // The text was cleared piece by piece, and trailers can't bring it back.
            End::Trailers if held => {}
            End::Trailers => return Ok(Asked::Ended(self.decline(error::trailers_in_pieces()).await)),
            End::TooLarge => {
                let error = error::body_too_large(self.state.limits.body_bytes);
                return Ok(Asked::Ended(self.decline(error).await));
            }
            End::Answered => {
                return Ok(Asked::Sent(Box::new(Sent { pending: None, headers: HeaderMap::new() })));
            }
            End::Broken => return Ok(Asked::Ended(Outcome::Broken)),
        }
        let call = self.call(&head, gathered.body.clone());
        let Question { refusal, body, headers, pending } =
            match self.state.gateway.question(dialect, call).await {
                Ok(question) => question,
                Err(error) => return Ok(Asked::Ended(self.decline(error.into()).await)),
            };
        match refusal {
            // Where we only watch, the model is asked all the same.
            Some(refusal) if !self.observes() => {
                self.out.send(immediate(respond(refusal), "demur: refused").await).await;
                return Ok(Asked::Ended(Outcome::Refused));
            }
            _ => {}
        }
        if held {
            self.release(body, head.ended, gathered.end).await;
        } else {
            let changed = gathered.in_pieces || body != gathered.body;
            let change = if changed { Change::default().body(body) } else { Change::default() };
            self.out.send(Reaction::RequestBody(change.into())).await;
        }
        Ok(Asked::Sent(Box::new(Sent { pending: Some(pending), headers })))
    }

    /// Why a request can't be judged, before its body is read.
    fn unfit(&self, head: &Head) -> Option<ApiError> {
        use BodyMode::{Buffered, BufferedPartial, FullDuplexStreamed, Grpc, Streamed};
        let (request, response) = (self.modes.request, self.modes.response);
        if !matches!(request, Buffered | Streamed | FullDuplexStreamed) {
            Some(error::unfit_mode("request_body_mode", request.as_str()))
        } else if matches!(response, BufferedPartial | Grpc) {
            Some(error::unfit_mode("response_body_mode", response.as_str()))
        } else if head.is_encoded() {
            Some(error::encoded_question())
        } else if self.state.is_full() {
            Some(error::overloaded())
        } else {
            None
        }
    }

    /// Gathers a body. Where each piece must be answered, all but the last are taken out.
    async fn gather(&mut self) -> Result<Gathered, Status> {
        let mut body = BytesMut::new();
        let mut in_pieces = false;
        let end = loop {
            match self.next().await? {
                Some(Part::RequestBody(piece)) => {
                    body.extend_from_slice(&piece.body);
                    if body.len() > self.state.limits.body_bytes {
                        break End::TooLarge;
                    }
                    if piece.end_of_stream || self.modes.request == BodyMode::Buffered {
                        break End::Body;
                    }
                    if self.modes.request == BodyMode::Streamed {
                        in_pieces = true;
                        self.out
                            .send(Reaction::RequestBody(Change::default().body(Bytes::new()).into()))
                            .await;
                    }
                }
                Some(Part::RequestTrailers(_)) => break End::Trailers,
                Some(part) => {
                    self.put_back(part);
                    break End::Answered;
                }
                None => break End::Broken,
            }
        };
        Ok(Gathered { body: body.freeze(), in_pieces, end })
    }

    /// Sends on what was held back with its headers.
    async fn release(&mut self, body: Bytes, without_body: bool, end: End) {
        self.out.send(headers_go_on()).await;
        if without_body {
            return;
        }
        for piece in pieces(body) {
            self.out.send(Reaction::RequestBody(streamed(piece, false))).await;
        }
        self.out
            .send(match end {
                End::Trailers => Reaction::RequestTrailers(TrailersResponse {}),
                _ => Reaction::RequestBody(streamed(Bytes::new(), true)),
            })
            .await;
    }

    fn call(&self, head: &Head, body: Bytes) -> Call {
        // Who may call is Envoy's to say; a key of ours still chooses a policy.
        let keys = &self.state.keys;
        let key = match keys.access(&head.headers) {
            Access::Granted(key) => Some(keys.name(key).into()),
            Access::Open | Access::Denied(_) => None,
        };
        Call { id: self.id.clone(), arrived: self.arrived, key, headers: head.headers.clone(), body }
    }
}

impl Gathered {
    fn nothing() -> Self {
        Self { body: Bytes::new(), in_pieces: false, end: End::Body }
    }
}

/// The request's headers go on, without the wish for an encoding in which the answer could not be read.
fn headers_go_on() -> Reaction {
    let change: PartResponse = Change::default().remove(&header::ACCEPT_ENCODING).into();
    Reaction::RequestHeaders(change)
}
