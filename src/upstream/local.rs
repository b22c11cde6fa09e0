//! The model inside: answers chat completions in this process, in OpenAI's wire format.

mod fields;
mod reply;
mod request;

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use prometheus::IntGauge;

use self::{
    reply::{Head, Tally},
    request::Request,
};
use super::{Ask, Reply, ReplyBody, UpstreamError};
use crate::{
    nn::{
        chat::ChatModel,
        models,
        queue::Refused,
        worker::{Event, Job, Limits, Worker},
    },
    telemetry::Metrics,
};

/// The only path it answers.
const PATH: &str = "/chat/completions";

/// When to try again after a full queue: about as long as a short answer takes on a small machine.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How the model inside works. The number of threads is a matter of the process: see [`crate::nn::threads`].
#[derive(Clone, Debug, PartialEq)]
pub struct LocalConfig {
    /// The name that clients ask for and that answers carry.
    pub name: String,
    /// Tokens of prompt and answer together; at most those that the model was trained for. Every answer in the
    /// making takes up to this many times 46 KB with SmolLM2-135M.
    pub context: usize,
    /// Requests that may wait; one more is turned away.
    pub queue: usize,
    /// Answers in the making at once, which is also the largest `n`.
    pub slots: usize,
    /// Tokens of an answer when the request sets no limit.
    pub max_tokens: usize,
    /// Temperature and top-p of requests that name none. The defaults are those of SmolLM2's model card: at
    /// OpenAI's 1 a network this small rambles.
    pub temperature: f32,
    /// See `temperature`.
    pub top_p: f32,
    /// Memory for the beginnings of recent conversations, in bytes; 0 keeps none. What is kept makes an equal
    /// beginning faster, which a client with a clock can tell.
    pub prefix_bytes: usize,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            name: "demur-chat".to_owned(),
            context: 2048,
            queue: 32,
            slots: 8,
            max_tokens: 1024,
            temperature: 0.2,
            top_p: 0.9,
            prefix_bytes: 128 << 20,
        }
    }
}

/// The model inside, ready to answer.
pub struct Local {
    config: LocalConfig,
    model: Arc<ChatModel>,
    worker: Worker,
    fingerprint: String,
    metrics: Arc<Metrics>,
}

impl Local {
    /// Loads a model file and starts its thread. Blocks for about a second.
    ///
    /// # Errors
    /// The file can't be read or is not of a kind that this program runs.
    pub fn start(path: &Path, config: LocalConfig, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let model = Arc::new(ChatModel::load(path, config.context)?);
        let hash = models::hash(path)?;
        Self::with_model(model, &hash, config, metrics)
    }

    fn with_model(
        model: Arc<ChatModel>,
        hash: &str,
        config: LocalConfig,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let limits = Limits { queue: config.queue, slots: config.slots, prefix_bytes: config.prefix_bytes };
        let worker = Worker::start(model.clone(), limits)?;
        let fingerprint = format!("fp_{}", hash.get(..10).unwrap_or(hash));
        Ok(Self { config, model, worker, fingerprint, metrics })
    }

    /// The name that clients ask for.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Answers a request. Dropping the future or the reply ends the work within one token.
    ///
    /// Tools are taken note of by nobody: this model can't call any, so it answers in words.
    ///
    /// # Errors
    /// The request is not one that it can answer, the queue is full, or the network fails.
    pub async fn send(&self, ask: Ask) -> Result<Reply, UpstreamError> {
        if ask.path != PATH {
            let message = format!("`{}` answers `{PATH}` only; found `{}`", self.config.name, ask.path);
            return Err(UpstreamError::Invalid { param: None, message });
        }
        let (request, job) = self.prepare(ask.body).await?;
        let prompt_tokens = job.prompt.len();
        let mut tally = Tally::new(self.metrics.clone(), job.choices);
        let mut events = self.worker.submit(job).map_err(|refused| self.refused(refused, &mut tally))?;
        let waiting = Waits::new(&self.metrics.generation_queue);
        let started = events.recv().await;
        drop(waiting);
        let cached_tokens = match started {
            Some(Event::Started { cached }) => cached,
            Some(Event::Failed(reason)) => return Err(tally.failed(&self.config.name, reason)),
            _ => return Err(tally.failed(&self.config.name, "the model's thread has ended".to_owned())),
        };
        let head = Head::new(&self.config.name, &self.fingerprint, prompt_tokens, cached_tokens);
        let (content_type, body) = if ask.stream {
            let events = reply::stream(head, request.include_usage, events, tally);
            ("text/event-stream", ReplyBody::Events(events))
        } else {
            ("application/json", ReplyBody::Whole(reply::whole(head, events, tally).await?))
        };
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Ok(Reply { status: StatusCode::OK, headers, upstream: self.config.name.clone(), body })
    }

    /// Reads the body and makes tokens of the chat, off the async threads: a long chat takes milliseconds.
    async fn prepare(&self, body: Bytes) -> Result<(Request, Job), UpstreamError> {
        let (model, config) = (self.model.clone(), self.config.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            let request = Request::parse(&body, &config)?;
            let job = request.job(&model, &config)?;
            Ok((request, job))
        });
        prepared.await.map_err(|error| UpstreamError::Broken {
            upstream: self.config.name.clone(),
            reason: format!("reading the request failed: {error}"),
        })?
    }

    fn refused(&self, refused: Refused, tally: &mut Tally) -> UpstreamError {
        tally.forget();
        let upstream = self.config.name.clone();
        match refused {
            Refused::Full => UpstreamError::Overloaded { upstream, retry_after: RETRY_AFTER },
            Refused::Closed => {
                UpstreamError::Unavailable { upstream, reason: "the model's thread has ended".to_owned() }
            }
        }
    }
}

/// Counts a request as waiting while it lives.
struct Waits(IntGauge);

impl Waits {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
