//! Exchanges that someone else carries to the model, as Envoy does: the question is judged before it goes there, the
//! answer when it comes back.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream::BoxStream};
use http::{HeaderMap, StatusCode};

use super::{Answer, Call, Gateway, GatewayError, Turn, input::Changes};
use crate::{
    dialect::{Dialect, native},
    guard::Judged,
    upstream::{Reply, ReplyBody, UpstreamError},
    verdict::Action,
};

/// Who answers, in errors.
const CARRIER: &str = "the model behind the proxy";

/// A question that was judged.
pub struct Question {
    /// What the client gets in place of an answer, when the question may not go on.
    pub refusal: Option<Answer>,
    /// What goes on: the client's own bytes unless a rule changed them.
    pub body: Bytes,
    /// The verdict so far.
    pub headers: HeaderMap,
    /// What judging the answer needs.
    pub pending: Pending,
}

/// A question under way to the model.
pub struct Pending {
    turn: Turn,
    input: Judged,
    changes: Changes,
    sent: Instant,
}

impl Pending {
    /// Whether the client asked for a stream of events, and so gets one.
    pub fn wants_events(&self) -> bool {
        self.turn.request.asked().stream
    }
}

/// What an answer is, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON body.
    Whole,
    /// Server-sent events.
    Events,
}

impl Gateway {
    /// Judges the body of a request that is not ours to send.
    ///
    /// # Errors
    /// A body that is no such request.
    pub async fn question(
        &self,
        dialect: &'static dyn Dialect,
        call: Call,
    ) -> Result<Question, GatewayError> {
        let mut turn = self.begin(dialect, &call)?;
        let input = turn.judge_input().await;
        let refuses = input.verdict.action == Action::Refuse;
        let refusal = refuses.then(|| self.refuse_question(&turn, &input));
        let changes = turn.prepare(&input);
        let body = turn.request.to_bytes();
        let headers = native::headers(&[&input.verdict], input.took);
        Ok(Question {
            refusal,
            body,
            headers,
            pending: Pending { turn, input, changes, sent: Instant::now() },
        })
    }

    /// Judges its answer, whose pieces are cut anywhere.
    ///
    /// # Errors
    /// An answer that is not of the wire format, breaks off, or is too long to be judged.
    pub async fn conclude(
        &self,
        pending: Pending,
        form: Form,
        pieces: BoxStream<'static, Bytes>,
    ) -> Result<Answer, GatewayError> {
        let Pending { mut turn, input, changes, sent } = pending;
        let body = match form {
            Form::Whole => ReplyBody::Whole(self.whole(pieces).await?),
            Form::Events => ReplyBody::Events(pieces.map(Ok).boxed()),
        };
        turn.waited += sent.elapsed();
        let answers = turn.request.dialect().answers();
        let upstream = CARRIER.to_owned();
        let reply = Reply { status: StatusCode::OK, headers: HeaderMap::new(), upstream, body };
        if !answers {
            return Ok(self.passed_on(&turn, &input, reply));
        }
        self.answer(turn, input, changes, reply).await
    }

    async fn whole(&self, mut pieces: BoxStream<'static, Bytes>) -> Result<Bytes, UpstreamError> {
        let mut whole = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            whole.extend_from_slice(&piece);
            if whole.len() > self.settings.max_answer_bytes {
                let reason = format!("more than {} bytes", self.settings.max_answer_bytes);
                return Err(UpstreamError::Broken { upstream: CARRIER.to_owned(), reason });
            }
        }
        Ok(whole.freeze())
    }

    /// The most bytes of an answer that are held in memory.
    pub fn max_answer_bytes(&self) -> usize {
        self.settings.max_answer_bytes
    }
}
