//! Events of the model as chat completions: one object, or a stream of chunks.
//!
//! Shapes: <https://platform.openai.com/docs/api-reference/chat/object> and `.../chat/streaming`.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use crate::{
    nn::worker::{Event, Finish, Piece, TokenLogprob},
    telemetry::Metrics,
    upstream::UpstreamError,
};

/// What every part of an answer says about the whole.
pub(super) struct Head {
    id: String,
    created: u64,
    model: String,
    fingerprint: String,
    prompt_tokens: usize,
    cached_tokens: usize,
}

impl Head {
    pub(super) fn new(model: &str, fingerprint: &str, prompt_tokens: usize, cached_tokens: usize) -> Self {
        Self {
            id: format!("chatcmpl-{}", Uuid::new_v4().simple()),
            // A clock before 1970 is no reason to fail.
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            model: model.to_owned(),
            fingerprint: fingerprint.to_owned(),
            prompt_tokens,
            cached_tokens,
        }
    }

    fn object(&self, kind: &str, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        })
    }

    fn usage(&self, completion_tokens: usize) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self.prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        })
    }
}

/// Counts how answers end. What is still open when it is dropped was cancelled.
pub(super) struct Tally {
    metrics: Arc<Metrics>,
    open: usize,
    /// Tokens of the answers that have ended.
    tokens: usize,
}

impl Tally {
    pub(super) fn new(metrics: Arc<Metrics>, choices: usize) -> Self {
        Self { metrics, open: choices, tokens: 0 }
    }

    /// The request never came to the model.
    pub(super) fn forget(&mut self) {
        self.open = 0;
    }

    fn done(&mut self, finish: Finish, tokens: usize) {
        self.count(finish_reason(finish), 1);
        self.open = self.open.saturating_sub(1);
        self.tokens += tokens;
    }

    /// The error of an answer that broke off.
    pub(super) fn failed(&mut self, upstream: &str, reason: String) -> UpstreamError {
        self.count("error", self.open);
        self.open = 0;
        UpstreamError::Broken { upstream: upstream.to_owned(), reason }
    }

    fn count(&self, outcome: &str, by: usize) {
        self.metrics.generations.with_label_values(&[outcome]).inc_by(by as u64);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if self.open > 0 {
            self.count("cancelled", self.open);
        }
    }
}

/// The next event, or why there is none though answers are open.
async fn next(
    events: &mut UnboundedReceiver<Event>,
    head: &Head,
    tally: &mut Tally,
) -> Result<Event, UpstreamError> {
    match events.recv().await {
        Some(Event::Failed(reason)) => Err(tally.failed(&head.model, reason)),
        Some(event) => Ok(event),
        None => Err(tally.failed(&head.model, "the model's thread has ended".to_owned())),
    }
}

/// Collects an answer into one object.
pub(super) async fn whole(
    head: Head,
    mut events: UnboundedReceiver<Event>,
    mut tally: Tally,
) -> Result<Bytes, UpstreamError> {
    let mut answers: Vec<(Piece, &str)> = vec![(Piece::default(), ""); tally.open];
    while tally.open > 0 {
        match next(&mut events, &head, &mut tally).await? {
            Event::Piece { choice, piece } => {
                answers[choice].0.text += &piece.text;
                answers[choice].0.logprobs.extend(piece.logprobs);
            }
            Event::Done { choice, finish, tokens } => {
                answers[choice].1 = finish_reason(finish);
                tally.done(finish, tokens);
            }
            Event::Started { .. } | Event::Failed(_) => {}
        }
    }
    let choices = answers.iter().enumerate().map(|(index, (answer, finish_reason))| {
        json!({
            "index": index,
            "message": {"role": "assistant", "content": answer.text, "refusal": null},
            "logprobs": logprobs(&answer.logprobs),
            "finish_reason": finish_reason,
        })
    });
    let mut object = head.object("chat.completion", &choices.collect());
    object["usage"] = head.usage(tally.tokens);
    Ok(object.to_string().into())
}

/// Writes an answer as server-sent events while it is made.
pub(super) fn stream(
    head: Head,
    include_usage: bool,
    events: UnboundedReceiver<Event>,
    tally: Tally,
) -> BoxStream<'static, Result<Bytes, UpstreamError>> {
    let mut chunks = Chunks { head, include_usage, events, tally, ready: VecDeque::new(), is_over: false };
    for index in 0..chunks.tally.open {
        chunks.push_delta(
            index,
            &json!({"role": "assistant", "content": "", "refusal": null}),
            &Value::Null,
            None,
        );
    }
    stream::unfold(chunks, |mut chunks| async { chunks.next().await.map(|chunk| (chunk, chunks)) }).boxed()
}

struct Chunks {
    head: Head,
    include_usage: bool,
    events: UnboundedReceiver<Event>,
    tally: Tally,
    ready: VecDeque<Bytes>,
    is_over: bool,
}

impl Chunks {
    async fn next(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        while self.ready.is_empty() && !self.is_over {
            match next(&mut self.events, &self.head, &mut self.tally).await {
                Ok(event) => self.take(event),
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
        self.ready.pop_front().map(Ok)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Piece { choice, piece } => {
                self.push_delta(choice, &json!({"content": piece.text}), &logprobs(&piece.logprobs), None);
            }
            Event::Done { choice, finish, tokens } => {
                self.push_delta(choice, &json!({}), &Value::Null, Some(finish_reason(finish)));
                self.tally.done(finish, tokens);
                if self.tally.open == 0 {
                    self.finish();
                }
            }
            Event::Started { .. } | Event::Failed(_) => {}
        }
    }

    fn push_delta(&mut self, index: usize, delta: &Value, logprobs: &Value, finish_reason: Option<&str>) {
        let choice =
            json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason});
        let mut chunk = self.head.object("chat.completion.chunk", &json!([choice]));
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        self.push(&chunk);
    }

    fn finish(&mut self) {
        if self.include_usage {
            let mut chunk = self.head.object("chat.completion.chunk", &json!([]));
            chunk["usage"] = self.head.usage(self.tally.tokens);
            self.push(&chunk);
        }
        self.ready.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
        self.is_over = true;
    }

    fn push(&mut self, chunk: &Value) {
        self.ready.push_back(format!("data: {chunk}\n\n").into());
    }
}

fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

fn logprobs(tokens: &[TokenLogprob]) -> Value {
    if tokens.is_empty() {
        return Value::Null;
    }
    let token = |bytes: &[u8], logprob: f32| json!({"token": String::from_utf8_lossy(bytes), "logprob": logprob, "bytes": bytes});
    let content = tokens.iter().map(|TokenLogprob { bytes, logprob, top }| {
        let mut content = token(bytes, *logprob);
        content["top_logprobs"] = top.iter().map(|(bytes, logprob)| token(bytes, *logprob)).collect();
        content
    });
    json!({"content": content.collect::<Value>(), "refusal": null})
}
