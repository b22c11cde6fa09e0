//! The answer: fed to the guard as it comes, and let go as the guard lets it go.

use std::pin::pin;

use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, header, response::Parts};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;

use super::{
    super::{State, chat, error, error::ApiError},
    exchange::{Exchange, Outcome, unprotected},
    messages::{Change, Head, pieces, streamed},
    proto::{BodyMode, HttpBody, HttpHeaders, Part, Reaction, TrailersResponse},
    question::Sent,
};
use crate::{
    dialect::sse,
    gateway::{Form, Pending},
};

/// What is there to be judged.
enum Kind {
    /// This.
    Judged(Form),
    /// An error, or nothing: no model speaks.
    Nothing,
    /// Something that can't be read as an answer.
    Unseen,
    /// Something in an encoding in which it can't be read.
    Encoded,
}

/// What comes out of the guard: the head once, then pieces.
enum Released {
    Head(Parts),
    Piece(Bytes),
}

impl Exchange {
    pub(super) async fn answer(&mut self, sent: Sent) -> Result<Outcome, Status> {
        let Some(message) = self.answer_head().await? else { return Ok(Outcome::Broken) };
        let Sent { pending, mut headers } = sent;
        let head = Head::from(message.clone());
        match (kind(&head, self.modes.response), pending) {
            (Kind::Judged(form), Some(pending)) if self.modes.response == BodyMode::FullDuplexStreamed => {
                self.full_duplex(pending, form).await
            }
            (Kind::Judged(form), Some(pending)) => self.in_step(pending, form, headers).await,
            (Kind::Judged(_) | Kind::Unseen | Kind::Encoded, None) => {
                Ok(self.decline(error::answered_too_early()).await)
            }
            (Kind::Encoded, Some(_)) => Ok(self.decline(error::encoded_answer()).await),
            (Kind::Nothing, _) => self.pass(message, &headers).await,
            (Kind::Unseen, Some(_)) => {
                headers.extend(unprotected("answer"));
                self.pass(message, &headers).await
            }
        }
    }

    /// Waits for the answer's head.
    async fn answer_head(&mut self) -> Result<Option<HttpHeaders>, Status> {
        while let Some(part) = self.next().await? {
            match self.swallow(part).await {
                Some(Part::ResponseHeaders(head)) => return Ok(Some(head)),
                Some(_) => {
                    return Err(Status::failed_precondition(
                        "an answer without its headers; `response_header_mode` must be SEND",
                    ));
                }
                None => {}
            }
        }
        Ok(None)
    }

    /// Lets an answer go on as it is, with these headers.
    async fn pass(&mut self, head: HttpHeaders, headers: &HeaderMap) -> Result<Outcome, Status> {
        self.forward(Part::ResponseHeaders(head), headers).await;
        while let Some(part) = self.next().await? {
            if let Some(part) = self.swallow(part).await {
                self.forward(part, headers).await;
            }
        }
        Ok(Outcome::AnswerPassed)
    }

    /// Pieces come, and pieces go when they are judged; the head waits for the first of them.
    async fn full_duplex(&mut self, pending: Pending, form: Form) -> Result<Outcome, Status> {
        let (feed, fed) = mpsc::unbounded_channel();
        let (state, out) = (self.state.clone(), self.out.clone());
        let release = async {
            let mut released = pin!(judge(&state, pending, form, fed));
            let mut outcome = Outcome::Judged;
            while let Some(released) = released.next().await {
                match released {
                    Released::Head(parts) => {
                        if !parts.status.is_success() {
                            outcome = Outcome::Rejected;
                        }
                        out.send(Reaction::ResponseHeaders(head_change(&parts).into())).await;
                    }
                    Released::Piece(piece) => {
                        for piece in pieces(piece) {
                            out.send(Reaction::ResponseBody(streamed(piece, false))).await;
                        }
                    }
                }
            }
            outcome
        };
        let mut release = pin!(release);
        let (outcome, end) = tokio::select! {
            biased;
            end = self.read(feed) => match end? {
                Some(end) => (release.await, end),
                None => return Ok(Outcome::Broken),
            },
            // The guard has seen enough: the rest of the answer is not waited for.
            outcome = &mut release => (outcome, Reaction::ResponseBody(streamed(Bytes::new(), true))),
        };
        self.out.send(end).await;
        Ok(outcome)
    }

    /// Feeds the guard until the answer ends; gives the message that ends it on our side.
    async fn read(&mut self, feed: mpsc::UnboundedSender<Bytes>) -> Result<Option<Reaction>, Status> {
        loop {
            match self.next().await? {
                Some(Part::ResponseBody(HttpBody { body, end_of_stream })) => {
                    // A guard that wants no more has ended its answer.
                    let _ = feed.send(body);
                    if end_of_stream {
                        return Ok(Some(Reaction::ResponseBody(streamed(Bytes::new(), true))));
                    }
                }
                Some(Part::ResponseTrailers(_)) => {
                    return Ok(Some(Reaction::ResponseTrailers(TrailersResponse {})));
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Each piece is answered before the next one comes: by what the guard has let go of until then, or by nothing.
    async fn in_step(&mut self, pending: Pending, form: Form, headers: HeaderMap) -> Result<Outcome, Status> {
        let whole = self.modes.response == BodyMode::Buffered;
        let events = pending.wants_events();
        let content_type = if events { sse::CONTENT_TYPE } else { "application/json" };
        let mut change = Change::default().set(&headers);
        if (form == Form::Events) != events {
            let header = (header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            change = change.set(&HeaderMap::from_iter([header]));
        }
        self.out.send(Reaction::ResponseHeaders(change.into())).await;
        let (feed, fed) = mpsc::unbounded_channel();
        let state = self.state.clone();
        let mut step = Step { head: None, events: events && !whole };
        let mut released = pin!(judge(&state, pending, form, fed));
        loop {
            match self.next().await? {
                Some(Part::ResponseBody(piece)) => {
                    let _ = feed.send(piece.body.clone());
                    if piece.end_of_stream || whole {
                        drop(feed);
                        let mut rest = BytesMut::new();
                        while let Some(item) = released.next().await {
                            step.take(item, &mut rest);
                        }
                        let change = step.change(rest.freeze(), &piece.body, whole);
                        self.out.send(Reaction::ResponseBody(change.into())).await;
                        return Ok(step.outcome());
                    }
                    let mut ready = BytesMut::new();
                    while let Some(Some(item)) = released.next().now_or_never() {
                        step.take(item, &mut ready);
                    }
                    let change = step.change(ready.freeze(), &piece.body, whole);
                    self.out.send(Reaction::ResponseBody(change.into())).await;
                }
                Some(Part::ResponseTrailers(_)) => {
                    // What is still held has nowhere to go.
                    tracing::warn!(
                        request_id = &*self.id,
                        "an answer in pieces ended with trailers, and what was held back of it is lost; \
                         `response_body_mode` should be FULL_DUPLEX_STREAMED"
                    );
                    self.out.send(Reaction::ResponseTrailers(TrailersResponse {})).await;
                    return Ok(Outcome::Rejected);
                }
                Some(_) => {}
                None => return Ok(Outcome::Broken),
            }
        }
    }
}

/// What has come out of the guard while pieces are answered one by one.
struct Step {
    head: Option<Parts>,
    /// The head has gone out as that of a stream of events, so errors must be events too.
    events: bool,
}

impl Step {
    fn take(&mut self, item: Released, into: &mut BytesMut) {
        match item {
            Released::Head(parts) => self.head = Some(parts),
            Released::Piece(piece) if self.events && self.failed() => {
                into.extend_from_slice(&sse::event(&String::from_utf8_lossy(&piece)));
            }
            Released::Piece(piece) => into.extend_from_slice(&piece),
        }
    }

    fn failed(&self) -> bool {
        self.head.as_ref().is_some_and(|head| !head.status.is_success())
    }

    /// What takes the place of the piece that came. Only a whole body's headers have waited.
    fn change(&self, body: Bytes, came: &Bytes, whole: bool) -> Change {
        let change = match &self.head {
            Some(head) if whole => head_change(head),
            _ => Change::default(),
        };
        if body == *came { change } else { change.body(body) }
    }

    fn outcome(&self) -> Outcome {
        if self.failed() { Outcome::Rejected } else { Outcome::Judged }
    }
}

/// Judges an answer whose pieces come by a channel.
fn judge(
    state: &State,
    pending: Pending,
    form: Form,
    fed: mpsc::UnboundedReceiver<Bytes>,
) -> impl Stream<Item = Released> {
    let fed = UnboundedReceiverStream::new(fed).boxed();
    let response = async move {
        let answer = state.gateway.conclude(pending, form, fed).await;
        answer.map_or_else(|error| ApiError::from(error).into_response(), chat::respond)
    };
    stream::once(response).flat_map(|response: Response| {
        let (parts, body) = response.into_parts();
        // Bodies of our own do not fail.
        let pieces = body.into_data_stream().filter_map(|piece| std::future::ready(piece.ok()));
        stream::iter([Released::Head(parts)]).chain(pieces.map(Released::Piece))
    })
}

/// The verdict on the answer's headers; its status where it is an error.
fn head_change(parts: &Parts) -> Change {
    let change = Change::default().set(&parts.headers);
    if parts.status.is_success() { change } else { change.status(parts.status) }
}

/// What an answer is. Without a content type it is taken for JSON, so that it is looked at.
fn kind(head: &Head, mode: BodyMode) -> Kind {
    if !head.status.is_success() || head.ended {
        return Kind::Nothing;
    }
    if mode == BodyMode::None {
        return Kind::Unseen;
    }
    if head.is_encoded() {
        return Kind::Encoded;
    }
    let content_type = head.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let media_type = content_type.unwrap_or("application/json").split(';').next().unwrap_or_default().trim();
    match &*media_type.to_ascii_lowercase() {
        sse::CONTENT_TYPE => Kind::Judged(Form::Events),
        "application/json" => Kind::Judged(Form::Whole),
        json if json.ends_with("+json") => Kind::Judged(Form::Whole),
        _ => Kind::Unseen,
    }
}
