//! Accepts connections and, when asked to stop, lets those under way finish within a limit.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{http::Request, response::Response};
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

/// The least buffer that hyper takes for a request's head.
const MIN_HEAD_BYTES: usize = 8192;

/// While a timer is due this soon, a request's own timers wake no thread: tokio's timer driver wakes itself, by a
/// write to a file of the system, for each timer that is due before all others (`time::Handle::reregister` in
/// tokio 1.54).
const TICK: Duration = Duration::from_millis(100);

/// Limits on a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// The largest request head, in bytes.
    pub head_bytes: usize,
    /// The longest a client may take to send its request head.
    pub head_timeout: Duration,
    /// Connections open at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long requests under way may go on once a stop is asked for.
    pub drain: Duration,
}

/// What answers requests.
pub trait Answers:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request was answered.
    All,
    /// Some were cut off at the limit.
    CutOff,
}

/// Serves until `stop` is cancelled, then drains.
pub async fn serve(
    listener: TcpListener,
    service: impl Answers,
    limits: ConnectionLimits,
    stop: CancellationToken,
) -> Drained {
    let builder = Arc::new(builder(&limits));
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(limits.connections));
    let mut tick = tokio::time::interval(TICK);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => continue,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        let service = service.clone();
        let builder = Arc::clone(&builder);
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            // A connection's error is its client's: it broke off or spoke no HTTP.
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    match tokio::time::timeout(limits.drain, graceful.shutdown()).await {
        Ok(()) => Drained::All,
        Err(_) => Drained::CutOff,
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Small events should leave at once.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Out of file handles, most likely: give those in use time to close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

fn builder(limits: &ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes.max(MIN_HEAD_BYTES));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(Duration::from_secs(30)));
    builder
}
