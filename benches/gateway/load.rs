//! The load: keep-alive connections, each asking its share of a fixed number of requests one after the other.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::ensure;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Requests that each connection sends before the clock runs.
const WARM_UP: usize = 5;

/// What one run showed.
pub(crate) struct Sample {
    /// Of every request, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// Of all connections together.
    pub(crate) requests_per_second: f64,
}

impl Sample {
    /// The latency below which this share of the requests lies, in microseconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.latencies.len() - 1;
        self.latencies[(last as f64 * share).round() as usize].as_secs_f64() * 1e6
    }
}

/// Sends `requests` over `connections`, and measures each.
pub(crate) async fn run(
    address: SocketAddr,
    body: &Bytes,
    connections: usize,
    requests: usize,
) -> anyhow::Result<Sample> {
    let mut senders = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut sender = connect(address).await?;
        send(&mut sender, address, body, WARM_UP).await?;
        senders.push(sender);
    }
    let share = requests / connections;
    let started = Instant::now();
    let tasks: Vec<_> = (senders.into_iter())
        .map(|mut sender| {
            let body = body.clone();
            tokio::spawn(async move { send(&mut sender, address, &body, share).await })
        })
        .collect();
    let mut latencies = Vec::with_capacity(share * connections);
    for task in tasks {
        latencies.extend(task.await??);
    }
    let requests_per_second = latencies.len() as f64 / started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(Sample { latencies, requests_per_second })
}

/// One connection.
pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    address: SocketAddr,
    body: &Bytes,
    requests: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(requests);
    for _ in 0..requests {
        let request = Request::post("/v1/chat/completions")
            .header(header::HOST, address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.clone()))?;
        let started = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        latencies.push(started.elapsed());
        ensure!(
            head.status.is_success() && body.len() > 1000,
            "{address} answered {} with {} bytes",
            head.status,
            body.len()
        );
        let verdict = head.headers.get("x-demur-verdict");
        ensure!(
            verdict.is_none_or(|verdict| verdict == "allow"),
            "{address}: the plain prompt is not let through"
        );
    }
    Ok(latencies)
}
