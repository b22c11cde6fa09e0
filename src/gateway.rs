//! The life of one exchange: judge the question, ask the upstream, judge the answer, say what was decided.
//! Streamed and whole answers of every dialect take the same way.

mod answer;
mod check;
mod external;
mod input;
mod moderate;
mod output;
mod partner;
mod stream;

pub use check::Checked;
pub use external::{Form, Pending, Question};

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderMap, StatusCode};

use crate::{
    dialect::{BadBody, Dialect, Request, media::Media, native},
    guard::{
        Guard, Judged,
        reply::{Replies, compose, region_of},
        set::{Caller, GuardSet},
    },
    message::Exchange,
    telemetry::Metrics,
    upstream::{Ask, Reply, ReplyBody, UpstreamError, Upstreams},
    verdict::{Action, InputMode, MediaMode},
};

/// What a refusal looks like on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum RefusalShape {
    /// HTTP 200 with a polite assistant message and `finish_reason: "content_filter"`.
    #[default]
    Message,
    /// Azure OpenAI's HTTP 400 for refused questions (refused answers stay messages, as Azure does it).
    Azure,
}

/// How the gateway answers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a refused question gets.
    pub refusal_shape: RefusalShape,
    /// Whether every answer carries the verdict as a `demur` member.
    pub verdict_in_body: bool,
    /// The region for help lines (ISO 3166), when it is not to be read from `Accept-Language`.
    pub region: Option<String>,
    /// The most bytes of an answer that are held in memory.
    pub max_answer_bytes: usize,
}

/// What is swapped whole on reload: the guards, and the texts that users read.
pub struct Rules {
    /// Which policy judges whom.
    pub guards: GuardSet,
    /// Replies and notices.
    pub replies: Arc<Replies>,
}

/// One request, as the HTTP surface hands it in.
pub struct Call {
    /// The request's id.
    pub id: Arc<str>,
    /// When its first byte was read.
    pub arrived: Instant,
    /// The name of the caller's API key.
    pub key: Option<Arc<str>>,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's body.
    pub body: Bytes,
}

impl Call {
    /// Who asks, for the choice of a policy.
    fn caller<'a>(&'a self, model: &'a str) -> Caller<'a> {
        Caller { key: self.key.as_deref(), model, headers: &self.headers }
    }
}

/// What goes back to the client.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Verdict headers, and what the upstream wants to be passed on.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
}

/// The body of an answer.
pub enum AnswerBody {
    /// One JSON body.
    Whole(Bytes),
    /// Server-sent events that are ready.
    Events(Vec<Bytes>),
    /// Server-sent events as they come and are cleared.
    Live(BoxStream<'static, Bytes>),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The request is not one of the dialect's.
    #[error(transparent)]
    BadBody(#[from] BadBody),
    /// The upstream gave none.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The caller names a policy that is not loaded.
    #[error("unknown policy `{0}`; known policies: {1}")]
    UnknownPolicy(String, String),
    /// A detector did not judge, and the answer would have been its judgement.
    #[error("the detector `{0}` did not judge this text; try again")]
    Unjudged(&'static str),
}

/// Everything that an exchange needs, for all of them.
pub struct Gateway {
    rules: ArcSwap<Rules>,
    upstreams: Arc<Upstreams>,
    settings: Settings,
    metrics: Arc<Metrics>,
}

/// What is known of an exchange from its start to its end.
struct Turn {
    id: Arc<str>,
    /// The name of the caller's API key.
    caller: Option<Arc<str>>,
    arrived: Instant,
    created: u64,
    guard: Arc<Guard>,
    replies: Arc<Replies>,
    region: Option<String>,
    request: Request,
    /// What is to be judged of it.
    question: Exchange,
    /// Its images, audio and files, which nobody judges.
    media: Vec<Media>,
    /// Time spent waiting for the upstream.
    waited: Duration,
}

impl Gateway {
    /// A gateway in front of these upstreams.
    pub fn new(
        rules: impl Into<Arc<Rules>>,
        upstreams: Arc<Upstreams>,
        settings: Settings,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { rules: ArcSwap::from(rules.into()), upstreams, settings, metrics }
    }

    /// Swaps guards and texts whole; exchanges under way end under those they began with.
    pub fn replace_rules(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Who answers.
    pub fn upstreams(&self) -> &Arc<Upstreams> {
        &self.upstreams
    }

    /// Answers a request in its dialect.
    ///
    /// # Errors
    /// A body that is no request, or an upstream that gives no answer. A guard that could not judge is no error:
    /// the policy says what becomes of it.
    pub async fn respond(&self, dialect: &'static dyn Dialect, call: Call) -> Result<Answer, GatewayError> {
        let mut turn = self.begin(dialect, &call)?;
        let policy = turn.guard.policy();
        // What is sure to be refused is not asked.
        let refused = policy.media_in_force() == MediaMode::Refuse && !turn.media.is_empty();
        let beside = policy.input() == InputMode::Beside && !refused;
        let (input, early) = if beside {
            let asked = Instant::now();
            let judged = self.judge_beside(&turn, &call.headers).await;
            turn.waited += asked.elapsed();
            judged
        } else {
            (turn.judge_input().await, None)
        };
        if input.verdict.action == Action::Refuse {
            return Ok(self.refuse_question(&turn, &input));
        }
        if input.verdict.coverage.media > 0 {
            self.count_media(&turn.media);
        }
        let changes = turn.prepare(&input);
        let reply = match early.filter(|_| input.verdict.leaves_as_is()) {
            Some(reply) => reply?,
            None => self.ask(&mut turn, call.headers).await?,
        };
        if !reply.status.is_success() || !dialect.answers() {
            return Ok(self.passed_on(&turn, &input, reply));
        }
        self.answer(turn, input, changes, reply).await
    }

    async fn ask(&self, turn: &mut Turn, headers: HeaderMap) -> Result<Reply, UpstreamError> {
        let asked = Instant::now();
        let reply = self.upstreams.send(turn.to_ask(headers)).await;
        turn.waited += asked.elapsed();
        reply
    }

    /// Asks the upstream at once and judges the question meanwhile. A refusal drops what was asked.
    async fn judge_beside(
        &self,
        turn: &Turn,
        headers: &HeaderMap,
    ) -> (Judged, Option<Result<Reply, UpstreamError>>) {
        let reply = self.upstreams.send(turn.to_ask(headers.clone()));
        let judged = turn.judge_input();
        let (mut reply, mut judged) = (pin!(reply), pin!(judged));
        tokio::select! {
            reply = &mut reply => (judged.await, Some(reply)),
            judged = &mut judged => {
                // Only a question that goes on as it is has to wait for the answer to it.
                let goes_on = judged.verdict.action != Action::Refuse && judged.verdict.leaves_as_is();
                let early = if goes_on { Some(reply.await) } else { None };
                (judged, early)
            }
        }
    }

    fn begin(&self, dialect: &'static dyn Dialect, call: &Call) -> Result<Turn, GatewayError> {
        let mut request = Request::parse(dialect, call.body.clone())?;
        let rules = self.rules.load();
        let guard = Arc::clone(rules.guards.choose(&call.caller(&request.asked().model)));
        let (question, media) = input::question(&mut request, &guard);
        Ok(Turn {
            id: Arc::clone(&call.id),
            caller: call.key.clone(),
            arrived: call.arrived,
            created: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            guard,
            replies: Arc::clone(&rules.replies),
            region: self.settings.region.clone().or_else(|| region(&call.headers)),
            request,
            question,
            media,
            waited: Duration::ZERO,
        })
    }

    /// An answer without text to judge, or an upstream's own error, under the verdict on the question.
    fn passed_on(&self, turn: &Turn, input: &Judged, reply: Reply) -> Answer {
        let mut headers = reply.headers;
        headers.extend(native::headers(&[&input.verdict], input.took));
        let body = match reply.body {
            ReplyBody::Whole(body) => body,
            // The HTTP upstream gives errors whole.
            ReplyBody::Events(_) => Bytes::new(),
        };
        self.observe(turn);
        Answer { status: reply.status, headers, body: AnswerBody::Whole(body) }
    }

    /// Counts images, audio and files that go on unjudged.
    fn count_media(&self, media: &[Media]) {
        for media in media {
            self.metrics.unjudged_media.with_label_values(&[media.kind.as_str()]).inc();
        }
    }

    /// Records what the exchange cost and how long the client waited for its first token.
    fn observe(&self, turn: &Turn) {
        let total = turn.arrived.elapsed();
        self.metrics.overhead.observe(total.saturating_sub(turn.waited).as_secs_f64());
        self.metrics.time_to_first_token.observe(total.as_secs_f64());
    }
}

impl Turn {
    /// The reply to a refusal, in the language of the user's last words.
    fn reply_to(&self, judged: &Judged) -> String {
        let language = answer::language(&judged.task.exchange);
        compose(&judged.verdict, &self.replies, language, self.region.as_deref()).text
    }

    /// The request as it is handed on now.
    fn to_ask(&self, headers: HeaderMap) -> Ask {
        let asked = self.request.asked();
        Ask {
            path: self.request.dialect().path(),
            model: asked.model.clone(),
            stream: asked.stream,
            body: self.request.to_bytes(),
            headers,
            request_id: Arc::clone(&self.id),
        }
    }
}

/// The region of the client's languages.
fn region(headers: &HeaderMap) -> Option<String> {
    region_of(headers.get(http::header::ACCEPT_LANGUAGE)?.to_str().ok()?)
}
