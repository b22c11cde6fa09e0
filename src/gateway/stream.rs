//! A streamed answer on its way to the client: read event by event, judged window by window, shown as far as it is
//! cleared. What a client is shown went through here; when it leaves, everything behind it is dropped.

mod follow;
mod queue;
mod show;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};

use super::{Gateway, Turn, input::Changes};
use crate::{
    detect::Task,
    dialect::{
        json, sse,
        stream::{Piece, Reader},
    },
    guard::{
        Judged,
        redact::{Pseudonyms, Syntax},
        stream::{Window, Windows},
    },
    message::{Exchange, Place, Segment},
    telemetry::Metrics,
    upstream::UpstreamError,
    verdict::{Action, NoticeAt, Verdict},
};
use queue::{Part, Queue, Queued};

/// Bytes as they come from an upstream.
pub(super) type Source = BoxStream<'static, Result<Bytes, UpstreamError>>;

/// What is done at the end beside the answer itself.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    /// The most bytes of an answer that are held in memory.
    pub(super) max_bytes: usize,
    /// Whether the verdict goes along.
    pub(super) verdict_in_body: bool,
    /// A name for metrics.
    pub(super) surface: &'static str,
}

/// A stream under way.
pub(super) struct Flow {
    turn: Turn,
    input: Judged,
    pseudonyms: Pseudonyms,
    notices: Vec<(String, NoticeAt)>,
    settings: Settings,
    metrics: Arc<Metrics>,
    upstream: String,
    /// Nothing once the upstream has ended, or is no longer listened to.
    source: Option<Source>,
    bytes: usize,
    events: sse::Events,
    reader: Box<dyn Reader>,
    windows: Windows,
    queue: Queue,
    judging: Option<(Vec<Window>, BoxFuture<'static, Judged>)>,
    /// The verdict on everything judged so far.
    output: Option<Judged>,
    /// How it ended, once it has.
    outcome: Option<&'static str>,
    /// Whether the client was shown words, or that somebody is alive.
    begun: bool,
}

/// Something to do next.
enum Step {
    Bytes(Option<Result<Bytes, UpstreamError>>),
    Judged(Box<Judged>),
    Waited,
}

impl Flow {
    pub(super) fn new(
        gateway: &Gateway,
        turn: Turn,
        input: Judged,
        changes: Changes,
        upstream: String,
        source: Source,
    ) -> Self {
        Self {
            settings: gateway.stream_settings(turn.request.dialect().name()),
            reader: turn.request.dialect().reader(turn.request.asked()),
            windows: Windows::new(turn.guard.shape()),
            turn,
            input,
            pseudonyms: changes.pseudonyms,
            notices: changes.notices,
            metrics: Arc::clone(&gateway.metrics),
            upstream,
            source: Some(source),
            bytes: 0,
            events: sse::Events::default(),
            queue: Queue::default(),
            judging: None,
            output: None,
            outcome: None,
            begun: false,
        }
    }

    /// The next events to show; `None` at the end.
    ///
    /// # Errors
    /// The upstream broke off, or its answer is broken.
    async fn next(&mut self) -> Result<Option<Vec<Bytes>>, UpstreamError> {
        loop {
            let shown = self.release();
            if !shown.is_empty() {
                return Ok(Some(shown));
            }
            if self.outcome.is_some() {
                return Ok(None);
            }
            self.judge_what_is_due();
            match self.wait().await {
                Step::Bytes(Some(bytes)) => self.take(&bytes?)?,
                Step::Bytes(None) => self.end()?,
                Step::Judged(judged) => {
                    if let Some(events) = self.decide(*judged) {
                        return Ok(Some(events));
                    }
                }
                Step::Waited => {}
            }
        }
    }

    async fn wait(&mut self) -> Step {
        let due_at = self.windows.due_at();
        let Self { source, judging, .. } = self;
        let bytes = async {
            match source {
                Some(source) => source.next().await,
                None => std::future::pending().await,
            }
        };
        let judged = async {
            match judging {
                Some((_, judging)) => judging.await,
                None => std::future::pending().await,
            }
        };
        let waited = async {
            match due_at {
                Some(due_at) => tokio::time::sleep_until(due_at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            judged = judged => Step::Judged(Box::new(judged)),
            bytes = bytes => Step::Bytes(bytes),
            () = waited => Step::Waited,
        }
    }

    fn broken(&self, reason: impl Into<String>) -> UpstreamError {
        UpstreamError::Broken { upstream: self.upstream.clone(), reason: reason.into() }
    }

    /// Takes bytes of the upstream.
    fn take(&mut self, bytes: &Bytes) -> Result<(), UpstreamError> {
        self.bytes += bytes.len();
        if self.bytes > self.settings.max_bytes {
            return Err(self.broken(format!("more than {} bytes", self.settings.max_bytes)));
        }
        self.events.push(bytes);
        while let Some(event) = self.events.next() {
            let event = event.map_err(|reason| self.broken(reason))?;
            if self.read(event).map_err(|reason| self.broken(reason))? {
                // What comes behind the end is nobody's.
                self.source = None;
                break;
            }
        }
        Ok(())
    }

    /// The upstream has ended: properly, or in the middle.
    fn end(&mut self) -> Result<(), UpstreamError> {
        self.source = None;
        if let Some(event) = std::mem::take(&mut self.events).finish() {
            let event = event.map_err(|reason| self.broken(reason))?;
            self.read(event).map_err(|reason| self.broken(reason))?;
        }
        if !self.queue.has_last() {
            let rest = self.reader.end().map_err(|reason| self.broken(reason))?;
            self.windows.finish();
            self.queue.push(Queued::ours(rest));
        }
        Ok(())
    }

    /// Reads an event; whether it is the last.
    fn read(&mut self, event: sse::Event) -> Result<bool, String> {
        let json = event.data.as_deref().and_then(|data| json::read(data.as_bytes()).ok());
        let said = self.reader.read(&event, json.as_ref())?;
        let now = Instant::now();
        for track in &self.reader.tracks()[self.queue.tracks()..] {
            let syntax = if track.place == Place::ToolCall { Syntax::Json } else { Syntax::Text };
            let text = self.windows.open(track.place, &track.pointer, self.pseudonyms.restorer(syntax));
            self.queue.open(text, track.visible);
        }
        let mut parts = Vec::with_capacity(said.pieces.len());
        for piece in said.pieces {
            parts.push(self.part(piece, now));
        }
        for &track in &said.ends {
            self.windows.end(self.queue.text(track));
        }
        if said.last {
            self.windows.finish();
        }
        self.queue.push(Queued {
            event,
            json,
            parts,
            ends: said.ends,
            spelled: said.spelled,
            signed: said.signed,
            last: said.last,
            ours: Vec::new(),
        });
        Ok(said.last)
    }

    /// A piece as a part of its text. A text that is said whole once more and is another one is judged by itself.
    fn part(&mut self, piece: Piece, now: Instant) -> Part {
        let text = self.queue.text(piece.track);
        let known = self.windows.text(text);
        if piece.whole && known == piece.text {
            return Part { text, from: known.len(), to: known.len(), pointer: piece.pointer, again: true };
        }
        let text = if piece.whole && !known.is_empty() {
            let track = self.reader.tracks()[piece.track].clone();
            let syntax = if track.place == Place::ToolCall { Syntax::Json } else { Syntax::Text };
            self.windows.open(track.place, &track.pointer, self.pseudonyms.restorer(syntax))
        } else {
            text
        };
        let from = self.windows.text(text).len();
        let to = self.windows.push(text, &piece.text, now);
        if piece.whole {
            self.windows.end(text);
        }
        Part { text, from, to, pointer: piece.pointer, again: false }
    }

    fn judge_what_is_due(&mut self) {
        if self.judging.is_some() {
            return;
        }
        let Some(windows) = self.windows.due(Instant::now()) else { return };
        let context = Arc::clone(&self.input.task.exchange.segments);
        let exchange =
            Exchange::output(self.windows.segments(&windows), context).by(self.turn.caller.clone());
        let guard = Arc::clone(&self.turn.guard);
        self.judging = Some((windows, async move { guard.look(exchange).await }.boxed()));
    }

    /// Takes a verdict on windows; gives the end of the stream when they are refused.
    fn decide(&mut self, judged: Judged) -> Option<Vec<Bytes>> {
        let (windows, _) = self.judging.take()?;
        let refused = judged.verdict.action == Action::Refuse;
        let took = judged.took;
        let again = self.windows.is_put_off();
        if refused
            && self.turn.guard.may_change(&judged.verdict)
            && self.windows.put_off(&windows, Instant::now())
        {
            return None;
        }
        if again {
            let outcome = if refused { "refused" } else { "cleared" };
            self.metrics.stream_second_looks.with_label_values(&[outcome]).inc();
        }
        let refusal = refused
            .then(|| (self.turn.reply_to(&judged), judged.verdict.decided_by().and_then(|hit| hit.hazard)));
        self.windows.judged(&windows, &judged.verdict.redactions, took, Instant::now());
        self.remember(placed(judged.verdict, &windows), took);
        let (text, hazard) = refusal?;
        // The upstream is told at once, and what was held is never shown.
        self.source = None;
        self.metrics.stream_held_tokens.observe(self.queue.pieces() as f64);
        self.queue.clear();
        self.finish("refused");
        let attached = self.attached();
        let mut events = self.reader.refuse(&text, hazard.map(|hazard| hazard.as_str()));
        if let Some(attached) = attached {
            let at = events.len().saturating_sub(1);
            events.insert(at, attached);
        }
        Some(events)
    }

    fn remember(&mut self, verdict: Verdict, took: std::time::Duration) {
        match &mut self.output {
            Some(output) => {
                output.verdict.absorb(verdict);
                output.took += took;
            }
            None => {
                let context = Arc::clone(&self.input.task.exchange.segments);
                let task = Task::plain(Exchange::output(Vec::new(), context), Instant::now());
                self.output = Some(Judged { verdict, task: Arc::new(task), took });
            }
        }
    }

    /// Everything that may be shown now.
    fn release(&mut self) -> Vec<Bytes> {
        let mut shown = Vec::new();
        let held = self.queue.pieces();
        while let Some(queued) = self.queue.next_clear(&self.windows) {
            self.show(queued, &mut shown);
        }
        if held > self.queue.pieces() {
            self.metrics.stream_held_tokens.observe(held as f64);
        }
        shown
    }

    /// Takes note of how the stream ended.
    fn finish(&mut self, outcome: &'static str) {
        if self.outcome.replace(outcome).is_some() {
            return;
        }
        self.metrics.streams.with_label_values(&[self.settings.surface, outcome]).inc();
        if self.reader.declined() {
            self.metrics.model_refusals.with_label_values(&[&self.turn.request.asked().model]).inc();
        }
        let segments: Vec<Segment> = self.windows.whole();
        if let Some(output) = &mut self.output {
            let seen = self.windows.seen();
            let failed = !output.verdict.failures.is_empty();
            output.verdict.coverage.characters = seen.characters;
            output.verdict.coverage.judged = if failed { 0 } else { seen.judged };
            self.turn.guard.count(&output.verdict, &segments);
            let context = Arc::clone(&self.input.task.exchange.segments);
            output.task = Arc::new(Task::plain(Exchange::output(segments, context), Instant::now()));
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // The client left, or the gateway stops.
        self.finish("cancelled");
    }
}

/// A verdict on windows as one on the texts they are of.
fn placed(mut verdict: Verdict, windows: &[Window]) -> Verdict {
    let moved = |segment: &mut usize, span: Option<&mut std::ops::Range<usize>>| {
        let Some(window) = windows.get(*segment) else { return };
        *segment = window.text;
        if let Some(span) = span {
            *span = span.start + window.range.start..span.end + window.range.start;
        }
    };
    for finding in &mut verdict.findings {
        moved(&mut finding.segment, finding.span.as_mut());
    }
    for redaction in &mut verdict.redactions {
        moved(&mut redaction.segment, Some(&mut redaction.span));
    }
    for hit in &mut verdict.hits {
        hit.segments.iter_mut().for_each(|segment| moved(segment, None));
    }
    verdict
}
