//! One exchange from its first part to its last, and what is counted of it.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc;
use tonic::Status;

use super::{
    super::{State, error::ApiError},
    messages::{Change, Head, immediate, streamed},
    proto::{
        BodyMode, HttpBody, Part, PartResponse, ProcessingRequest, ProcessingResponse, ProtocolConfiguration,
        Reaction, TrailersResponse,
    },
    question::{Asked, dialect_of},
};
use crate::http::layers::InFlight;

/// Says which part of an exchange was not judged.
pub(super) const UNPROTECTED: HeaderName = HeaderName::from_static("x-demur-unprotected");

/// What became of an exchange, for `demur_ext_proc_streams_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Question and answer were judged, and what the verdict left of them went on.
    Judged,
    /// The question was declined.
    Refused,
    /// Its path is none that we can judge.
    Passed,
    /// Its question was judged; its answer was not one to be judged, or was not sent to us.
    AnswerPassed,
    /// It could not be judged, so it got an error.
    Rejected,
    /// Client, model or Envoy broke off.
    Broken,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Judged => "judged",
            Self::Refused => "refused",
            Self::Passed => "passed",
            Self::AnswerPassed => "answer_passed",
            Self::Rejected => "rejected",
            Self::Broken => "broken",
        }
    }
}

/// How bodies come.
#[derive(Clone, Copy)]
pub(super) struct Modes {
    pub(super) request: BodyMode,
    pub(super) response: BodyMode,
}

impl Modes {
    /// An Envoy that does not say waits for an answer to each piece: it is older than the mode where it would not.
    fn new(config: Option<&ProtocolConfiguration>) -> Self {
        match config {
            None => Self { request: BodyMode::Streamed, response: BodyMode::Streamed },
            Some(config) => {
                Self { request: config.request_body_mode(), response: config.response_body_mode() }
            }
        }
    }
}

/// Where reactions go.
#[derive(Clone)]
pub(super) struct Out {
    channel: mpsc::Sender<Result<ProcessingResponse, Status>>,
    /// Envoy wants no reactions.
    silent: bool,
}

impl Out {
    pub(super) async fn send(&self, reaction: Reaction) {
        if !self.silent {
            // An Envoy that is gone is noticed where its next part is waited for.
            let _ = self.channel.send(Ok(ProcessingResponse { reaction: Some(reaction) })).await;
        }
    }
}

/// An exchange that Envoy carries.
pub(super) struct Exchange {
    pub(super) state: State,
    parts: BoxStream<'static, Result<ProcessingRequest, Status>>,
    /// A part that was taken too early.
    put_back: Option<Part>,
    /// How Envoy ended the exchange, where it broke the stream.
    reset: Option<Status>,
    pub(super) out: Out,
    pub(super) modes: Modes,
    pub(super) arrived: Instant,
    pub(super) id: Arc<str>,
    _in_flight: InFlight,
}

impl Exchange {
    pub(super) fn new(
        state: State,
        parts: BoxStream<'static, Result<ProcessingRequest, Status>>,
        channel: mpsc::Sender<Result<ProcessingResponse, Status>>,
    ) -> Self {
        let in_flight = InFlight::new(&state);
        Self {
            state,
            parts,
            put_back: None,
            reset: None,
            out: Out { channel, silent: false },
            modes: Modes::new(None),
            arrived: Instant::now(),
            id: Arc::from(""),
            _in_flight: in_flight,
        }
    }

    /// Goes through the exchange. An error makes Envoy give up on it, unless it is told to go on without us.
    pub(super) async fn run(mut self) -> Result<(), Status> {
        let ended = self.process().await;
        let outcome = match &ended {
            Ok(Outcome::Judged) if self.observes() => "observed",
            Ok(outcome) => outcome.as_str(),
            Err(_) => "failed",
        };
        self.state.metrics.ext_proc_streams.with_label_values(&[outcome]).inc();
        let ms = self.arrived.elapsed().as_secs_f64() * 1e3;
        match &ended {
            Ok(_) => tracing::info!(request_id = &*self.id, outcome, ms, "external exchange ended"),
            Err(status) => {
                let error = status.message();
                tracing::warn!(request_id = &*self.id, outcome, error, ms, "external exchange failed");
            }
        }
        // Who broke off does not hear this. Should an Envoy hear it, it must not go on without us.
        match (ended, self.reset) {
            (Err(status), _) | (Ok(_), Some(status)) => Err(status),
            (Ok(Outcome::Broken), None) => Err(Status::cancelled("the exchange broke off")),
            (Ok(_), None) => Ok(()),
        }
    }

    async fn process(&mut self) -> Result<Outcome, Status> {
        let Some(first) = self.parts.next().await.transpose()? else { return Ok(Outcome::Broken) };
        self.out.silent = first.observability_mode;
        self.modes = Modes::new(first.protocol_config.as_ref());
        let Some(Part::RequestHeaders(head)) = first.part else {
            return Err(Status::failed_precondition(
                "the first message has no request headers; `request_header_mode` must be SEND",
            ));
        };
        let head = Head::from(head);
        self.id = super::super::layers::request_id(&head.headers);
        let Some(dialect) = dialect_of(&head) else {
            self.out.send(Reaction::RequestHeaders(PartResponse::default())).await;
            while let Some(part) = self.next().await? {
                self.forward(part, &unprotected("path")).await;
            }
            return Ok(Outcome::Passed);
        };
        match self.question(dialect, head).await? {
            Asked::Sent(sent) => self.answer(*sent).await,
            Asked::Ended(outcome) => Ok(outcome),
        }
    }

    /// Whether Envoy only lets us watch.
    pub(super) fn observes(&self) -> bool {
        self.out.silent
    }

    /// The next part; nothing when Envoy has ended the exchange.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, Status> {
        if let Some(part) = self.put_back.take() {
            return Ok(Some(part));
        }
        match self.parts.next().await {
            Some(Ok(ProcessingRequest { part: Some(part), .. })) => Ok(Some(part)),
            Some(Ok(_)) => Err(Status::invalid_argument("a message without a part that is known here")),
            Some(Err(status)) if is_reset(&status) => {
                self.reset = Some(status);
                Ok(None)
            }
            Some(Err(status)) => Err(status),
            None => Ok(None),
        }
    }

    pub(super) fn put_back(&mut self, part: Part) {
        self.put_back = Some(part);
    }

    /// Ends an exchange with an error for the client. Only while no response header has gone out.
    pub(super) async fn decline(&mut self, error: ApiError) -> Outcome {
        use axum::response::IntoResponse;
        self.out.send(immediate(error.into_response(), "demur: not judged").await).await;
        Outcome::Rejected
    }

    /// Lets a part go on as it is, but for headers that are added to the answer.
    pub(super) async fn forward(&mut self, part: Part, added: &HeaderMap) {
        let reaction = match part {
            Part::RequestHeaders(_) => Reaction::RequestHeaders(PartResponse::default()),
            Part::ResponseHeaders(_) => Reaction::ResponseHeaders(Change::default().set(added).into()),
            Part::RequestBody(body) => Reaction::RequestBody(same(body, self.modes.request)),
            Part::ResponseBody(body) => Reaction::ResponseBody(same(body, self.modes.response)),
            Part::RequestTrailers(_) => Reaction::RequestTrailers(TrailersResponse {}),
            Part::ResponseTrailers(_) => Reaction::ResponseTrailers(TrailersResponse {}),
        };
        self.out.send(reaction).await;
    }

    /// Lets nothing of a request go on that comes after the question was judged, or given up. Gives back what is no
    /// part of a request.
    pub(super) async fn swallow(&mut self, part: Part) -> Option<Part> {
        match part {
            Part::RequestBody(_) if self.modes.request == BodyMode::FullDuplexStreamed => {}
            Part::RequestBody(_) => {
                self.out.send(Reaction::RequestBody(Change::default().body(Bytes::new()).into())).await;
            }
            Part::RequestTrailers(_) => {
                self.out.send(Reaction::RequestTrailers(TrailersResponse {})).await;
            }
            part => return Some(part),
        }
        None
    }
}

/// Whether Envoy ended the exchange by a reset, as it does once it has all it needs, and for clients that have left.
fn is_reset(status: &Status) -> bool {
    use tonic::Code::{Cancelled, Unavailable, Unknown};
    matches!(status.code(), Cancelled | Unavailable | Unknown)
}

/// A piece as it came.
fn same(piece: HttpBody, mode: BodyMode) -> PartResponse {
    match mode {
        BodyMode::FullDuplexStreamed => streamed(piece.body, piece.end_of_stream),
        _ => PartResponse::default(),
    }
}

/// The header that says that this was not judged.
pub(super) fn unprotected(what: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(UNPROTECTED, HeaderValue::from_static(what))])
}
