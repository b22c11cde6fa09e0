//! One harness: a gateway on free ports, and a scripted model behind it that remembers what it was asked.

mod messages;
mod responses;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::post,
};
use demur::{
    app::App,
    config::{self, Settings},
    http::serve::Drained,
};
use futures_util::{StreamExt, stream};
use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) use messages::*;
pub(crate) use responses::*;

/// How the scripted model answers.
#[derive(Clone)]
pub(crate) enum Script {
    /// This text, streamed word by word when a stream is asked for.
    Say(String),
    /// The user's last words.
    Echo,
    /// This status, content type and body.
    Raw(u16, &'static str, Bytes),
    /// These pieces of an event stream; then it breaks off.
    BreakOff(Vec<Bytes>),
    /// An event stream whose pieces come from the test ([`fed`]); an empty one breaks it off.
    Fed(Arc<tokio::sync::Mutex<tokio::sync::mpsc::Receiver<Bytes>>>),
    /// This, once the test says so.
    Once(Arc<tokio::sync::Semaphore>, Box<Script>),
    /// The first of these, and from then on the second.
    Then(Box<Script>, Box<Script>),
    /// Nothing, ever.
    Hang,
}

/// A stream that the test feeds piece by piece.
pub(crate) fn fed() -> (tokio::sync::mpsc::Sender<Bytes>, Script) {
    let (feed, fed) = tokio::sync::mpsc::channel(1);
    (feed, Script::Fed(Arc::new(tokio::sync::Mutex::new(fed))))
}

/// A text as a whole answer and as the events of a stream.
type Format = (fn(&str) -> Value, fn(&str) -> Vec<Bytes>);

/// A model on loopback.
pub(crate) struct Model {
    pub(crate) url: String,
    state: Arc<ModelState>,
}

struct ModelState {
    script: Mutex<Script>,
    asked: Mutex<Vec<(HeaderMap, Bytes)>>,
    news: Notify,
}

impl Model {
    pub(crate) async fn start(script: Script) -> Self {
        let state =
            Arc::new(ModelState { script: Mutex::new(script), asked: Mutex::default(), news: Notify::new() });
        // Whatever it is asked on, by whichever dialect.
        let router = Router::new().route("/v1/{*path}", post(answer));
        let router = router.layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Answers like this from now on.
    pub(crate) fn change(&self, script: Script) {
        *self.state.script.lock().unwrap() = script;
    }

    /// The bodies it was sent.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.state.asked.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    /// Waits until it was asked for the first time.
    pub(crate) async fn was_asked(&self) {
        while self.bodies().is_empty() {
            self.state.news.notified().await;
        }
    }

    /// The last body, as JSON.
    pub(crate) fn last(&self) -> Value {
        serde_json::from_slice(self.bodies().last().expect("the model was asked")).unwrap()
    }

    /// The headers of the last request.
    pub(crate) fn last_headers(&self) -> HeaderMap {
        self.state.asked.lock().unwrap().last().expect("the model was asked").0.clone()
    }
}

async fn answer(State(state): State<Arc<ModelState>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    state.asked.lock().unwrap().push((headers, body.clone()));
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut script = state.script.lock().unwrap().clone();
    if let Script::Then(first, second) = script {
        (script, *state.script.lock().unwrap()) = (*first, *second);
    }
    state.news.notify_one();
    if let Script::Once(said, then) = script {
        said.acquire().await.unwrap().forget();
        script = *then;
    }
    let text = match script {
        Script::Say(text) => text,
        Script::Echo => last_words(&request),
        Script::Raw(status, kind, body) => {
            return (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, kind)], body)
                .into_response();
        }
        Script::BreakOff(pieces) => {
            // A pause before the break makes the server write out what it has.
            let gone = stream::once(async {
                tokio::task::yield_now().await;
                Err(std::io::Error::other("gone"))
            });
            return events(Body::from_stream(stream::iter(pieces.into_iter().map(Ok)).chain(gone)));
        }
        Script::Fed(pieces) => {
            let pieces = stream::unfold(pieces, |pieces| async move {
                let piece = pieces.lock().await.recv().await?;
                let piece = if piece.is_empty() { Err(std::io::Error::other("gone")) } else { Ok(piece) };
                Some((piece, pieces))
            });
            return events(Body::from_stream(pieces));
        }
        Script::Once(..) | Script::Then(..) => unreachable!("a script within a script"),
        Script::Hang => std::future::pending().await,
    };
    let (whole, pieces): Format = match uri.path() {
        "/v1/completions" => (text_completion, text_sse),
        "/v1/messages" => (message, message_events),
        "/v1/responses" => (response, response_events),
        _ => (completion, sse),
    };
    if request["stream"] == true {
        let pieces = pieces(&text).into_iter().map(Ok::<_, std::convert::Infallible>);
        return events(Body::from_stream(stream::iter(pieces)));
    }
    axum::Json(whole(&text)).into_response()
}

fn events(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn last_words(request: &Value) -> String {
    if let Some(prompt) = request["prompt"].as_str().or(request["input"].as_str()) {
        return prompt.to_owned();
    }
    let last = request["messages"].as_array().and_then(|messages| messages.last());
    last.and_then(|message| message["content"].as_str()).unwrap_or_default().to_owned()
}

/// A whole answer with this text.
pub(crate) fn completion(text: &str) -> Value {
    json!({
        "id": "chatcmpl-scripted", "object": "chat.completion", "created": 1, "model": "scripted",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    })
}

/// The same as a stream, a word at a time.
pub(crate) fn sse(text: &str) -> Vec<Bytes> {
    let mut pieces = vec![delta(json!({"role": "assistant", "content": ""}))];
    pieces.extend(text.split_inclusive(' ').map(words));
    pieces.push(finish("stop"));
    pieces.push(Bytes::from_static(DONE));
    pieces
}

/// OpenAI's end of a stream.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";

/// A chunk with one choice of that index.
pub(crate) fn chunk(index: usize, delta: Value, finish_reason: Value) -> Bytes {
    let chunk = json!({"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]});
    format!("data: {chunk}\n\n").into()
}

/// A chunk of the first choice.
pub(crate) fn delta(delta: Value) -> Bytes {
    chunk(0, delta, Value::Null)
}

/// A chunk with words of the first choice.
pub(crate) fn words(text: &str) -> Bytes {
    delta(json!({"content": text}))
}

/// The chunk that ends the first choice.
pub(crate) fn finish(reason: &str) -> Bytes {
    chunk(0, json!({}), reason.into())
}

/// A whole legacy completion with this text.
pub(crate) fn text_completion(text: &str) -> Value {
    json!({
        "id": "cmpl-scripted", "object": "text_completion", "created": 1, "model": "scripted",
        "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    })
}

/// The same as a stream, a word at a time.
pub(crate) fn text_sse(text: &str) -> Vec<Bytes> {
    let chunk = |text: &str, finish: Value| {
        let chunk = json!({"id": "cmpl-scripted", "object": "text_completion", "created": 1, "model": "scripted",
            "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": finish}]});
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let mut pieces: Vec<Bytes> = text.split_inclusive(' ').map(|word| chunk(word, Value::Null)).collect();
    pieces.push(chunk("", "stop".into()));
    pieces.push(Bytes::from_static(b"data: [DONE]\n\n"));
    pieces
}

/// A gateway on free ports.
pub(crate) struct TestApp {
    pub(crate) url: String,
    pub(crate) ops: String,
    pub(crate) address: SocketAddr,
    pub(crate) client: reqwest::Client,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinHandle<anyhow::Result<Drained>>,
}

impl TestApp {
    /// In front of this model, with the default policy.
    pub(crate) async fn before(model: &Model) -> Self {
        Self::with(model, |_| ()).await
    }

    /// In front of this model, with other settings.
    pub(crate) async fn with(model: &Model, change: impl FnOnce(&mut Settings)) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let mut settings = Settings {
            listen: Some(any),
            ops_listen: Some(any),
            upstream: Some(model.url.clone()),
            ..Settings::default()
        };
        change(&mut settings);
        let app = App::build(config::resolve(settings, None).unwrap()).await.unwrap();
        let (address, ops) = app.addresses().unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(app.run(stop.clone()));
        let client = reqwest::Client::new();
        Self {
            url: format!("http://{address}"),
            ops: format!("http://{ops}"),
            address,
            client,
            stop,
            running,
        }
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    /// Asks one question.
    pub(crate) async fn ask(&self, text: &str) -> Reply {
        self.chat(json!({"model": "any", "messages": [{"role": "user", "content": text}]})).await
    }

    /// Sends a chat body.
    pub(crate) async fn chat(&self, body: Value) -> Reply {
        Reply::of(self.post("/v1/chat/completions").json(&body)).await
    }

    /// Sends a body to this path.
    pub(crate) async fn send(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.post(path).json(&body)).await
    }

    /// Sends whatever bytes.
    pub(crate) async fn raw(&self, body: impl Into<reqwest::Body>) -> Reply {
        Reply::of(self.post("/v1/chat/completions").body(body)).await
    }

    /// A metric's value; 0 when it has none yet.
    pub(crate) async fn metric(&self, name_and_labels: &str) -> f64 {
        let all =
            self.client.get(format!("{}/metrics", self.ops)).send().await.unwrap().text().await.unwrap();
        let line =
            all.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == name_and_labels));
        line.and_then(|line| line.rsplit_once(' ')).map_or(0.0, |(_, value)| value.parse().unwrap())
    }
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut bytes = Vec::new();
        let mut body = response.bytes_stream();
        while let Some(Ok(piece)) = body.next().await {
            bytes.extend_from_slice(&piece);
        }
        Self { status, headers, text: String::from_utf8(bytes).unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("JSON expected: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The first choice's content.
    pub(crate) fn content(&self) -> String {
        self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }

    /// The data of every event.
    pub(crate) fn events(&self) -> Vec<String> {
        self.text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).map(str::to_owned).collect()
    }

    /// The streamed content, put together.
    pub(crate) fn streamed(&self) -> String {
        self.streamed_of(0)
    }

    /// The same of the choice with this index.
    pub(crate) fn streamed_of(&self, index: usize) -> String {
        let chunks = self.chunks();
        let of_choice =
            chunks.iter().map(|chunk| &chunk["choices"][0]).filter(|choice| choice["index"] == index);
        of_choice.filter_map(|choice| choice["delta"]["content"].as_str()).collect()
    }

    /// The events that are JSON.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        let json = |data: String| serde_json::from_str(&data).unwrap();
        self.events().into_iter().filter(|data| data != "[DONE]").map(json).collect()
    }
}

/// A streamed answer on its way.
pub(crate) struct Live {
    response: reqwest::Response,
    text: Vec<u8>,
}

impl Live {
    /// Asks for a stream; it begins with its first words.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self { response: request.send().await.unwrap(), text: Vec::new() }
    }

    /// Reads on until this was shown.
    pub(crate) async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.text).contains(text) {
            let piece = self.response.chunk().await.unwrap();
            let so_far = String::from_utf8_lossy(&self.text).into_owned();
            self.text.extend(piece.unwrap_or_else(|| panic!("ended without `{text}`: {so_far}")));
        }
    }

    /// Everything, once it has ended.
    pub(crate) async fn rest(mut self) -> Reply {
        let (status, headers) = (self.response.status().as_u16(), self.response.headers().clone());
        while let Some(piece) = self.response.chunk().await.unwrap() {
            self.text.extend_from_slice(&piece);
        }
        Reply { status, headers, text: String::from_utf8(self.text).unwrap() }
    }
}

/// A policy file in a folder of its own, to be edited while it is served.
pub(crate) struct PolicyFile {
    folder: tempfile::TempDir,
}

impl PolicyFile {
    pub(crate) fn new(rules: &str) -> Self {
        let file = Self { folder: tempfile::tempdir().unwrap() };
        file.write(rules);
        file
    }

    /// Replaces the file as an editor does: a new one, renamed over the old.
    pub(crate) fn write(&self, rules: &str) {
        let new = self.folder.path().join("policy.yaml.new");
        std::fs::write(&new, format!("demur: 1\nname: test\n{rules}")).unwrap();
        std::fs::rename(new, self.path()).unwrap();
    }

    pub(crate) fn path(&self) -> String {
        self.folder.path().join("policy.yaml").to_str().unwrap().to_owned()
    }
}

/// A policy that refuses a made-up word, in questions and answers.
pub(crate) const REFUSE_ZORK: &str = "
lists:
  zork: [zork]
rules:
  - id: no-zork
    on: [input, output]
    when: list.zork > 0
    do: refuse
    hazard: cyber
";
