//! One streamed exchange as a client sees it: when each token was sent by the model, and when it was shown.

use std::net::SocketAddr;

use anyhow::ensure;
use bytes::Bytes;
use demur::dialect::sse::{self, Events};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::{model::now, prose};
use crate::load::connect;

/// A token on its way. Times in microseconds since 1970.
#[derive(Clone, Copy)]
pub(crate) struct Token {
    pub(crate) sent: u64,
    pub(crate) shown: u64,
    pub(crate) characters: usize,
}

/// What a client saw. Times in microseconds.
pub(crate) struct Seen {
    /// From the question to the first words and to the end.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) tokens: Vec<Token>,
    /// Whether the answer came as it was said.
    pub(crate) whole: bool,
}

impl Seen {
    /// Characters that the model had said and the client had not got, at each of the client's events.
    pub(crate) fn held(&self) -> Vec<f64> {
        let (mut sent, mut got, mut next) = (0, 0, 0);
        let at_event = |token: &Token| {
            while let Some(before) = self.tokens.get(next).filter(|before| before.sent <= token.shown) {
                sent += before.characters;
                next += 1;
            }
            got += token.characters;
            sent.saturating_sub(got) as f64
        };
        self.tokens.iter().map(at_event).collect()
    }

    /// How much later than it was said the latest token was shown.
    pub(crate) fn latest(&self) -> u64 {
        self.tokens.iter().map(|token| token.shown.saturating_sub(token.sent)).max().unwrap_or(0)
    }

    /// The longest time in which nothing was shown, once something was.
    pub(crate) fn longest_wait(&self) -> u64 {
        self.tokens.windows(2).map(|pair| pair[1].shown.saturating_sub(pair[0].shown)).max().unwrap_or(0)
    }
}

/// Asks for a stream at this rate (tokens a second), and follows it to its end.
pub(crate) async fn follow(address: SocketAddr, rate: u32, question: usize) -> anyhow::Result<Seen> {
    let body = json!({
        "model": rate.to_string(), "stream": true, "seed": question,
        "messages": [{"role": "user", "content": prose::question(question)}],
    });
    let mut sender = connect(address).await?;
    let request = Request::post("/v1/chat/completions")
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))?;
    let asked = now();
    let response = sender.send_request(request).await?;
    ensure!(response.status().is_success(), "{address} answered {}", response.status());
    let (mut body, mut events, mut said) = (response.into_body(), Events::default(), String::new());
    let mut seen = Seen { first: 0, last: 0, tokens: Vec::new(), whole: false };
    while let Some(frame) = body.frame().await {
        events.push(&frame?.into_data().unwrap_or_default());
        let shown = now();
        for event in events.by_ref() {
            let data = event.map_err(anyhow::Error::msg)?.data.unwrap_or_default();
            if data == sse::DONE {
                seen.last = shown - asked;
                continue;
            }
            let chunk: Value = serde_json::from_str(&data)?;
            let Some(text) = chunk["choices"][0]["delta"]["content"].as_str() else { continue };
            if said.is_empty() {
                seen.first = shown - asked;
            }
            said.push_str(text);
            // A refusal of the gateway's own was not sent by the model, and tells the time in seconds.
            if let Some(sent) = chunk["created"].as_u64().filter(|sent| *sent >= asked) {
                seen.tokens.push(Token { sent, shown, characters: text.chars().count() });
            }
        }
    }
    seen.whole = said == prose::page(question) && seen.last > 0;
    Ok(seen)
}

/// A metric of a process, summed over its labels.
pub(crate) async fn metric(ops: SocketAddr, name: &str) -> anyhow::Result<f64> {
    let request =
        Request::get("/metrics").header(header::HOST, ops.to_string()).body(Full::new(Bytes::new()))?;
    let body = connect(ops).await?.send_request(request).await?.into_body().collect().await?.to_bytes();
    let all = String::from_utf8_lossy(&body).into_owned();
    let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    Ok(all.lines().filter(of_name).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}
