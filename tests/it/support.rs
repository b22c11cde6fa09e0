//! One harness: a gateway on free ports, and a scripted model behind it that remembers what it was asked.

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
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

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
    /// An event stream whose pieces come from the test.
    Fed(Arc<tokio::sync::Mutex<tokio::sync::mpsc::Receiver<Bytes>>>),
    /// Nothing, ever.
    Hang,
}

/// A model on loopback.
pub(crate) struct Model {
    pub(crate) url: String,
    state: Arc<ModelState>,
}

struct ModelState {
    script: Mutex<Script>,
    asked: Mutex<Vec<(HeaderMap, Bytes)>>,
}

impl Model {
    pub(crate) async fn start(script: Script) -> Self {
        let state = Arc::new(ModelState { script: Mutex::new(script), asked: Mutex::default() });
        let router =
            Router::new().route("/v1/chat/completions", post(answer)).route("/v1/responses", post(answer));
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
    let script = state.script.lock().unwrap().clone();
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
                Some((Ok::<_, std::convert::Infallible>(piece), pieces))
            });
            return events(Body::from_stream(pieces));
        }
        Script::Hang => std::future::pending().await,
    };
    let (whole, pieces): (fn(&str) -> Value, fn(&str) -> Vec<Bytes>) = match uri.path() {
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
    if let Some(input) = request["input"].as_str() {
        return input.to_owned();
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
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let mut pieces = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    pieces.extend(text.split_inclusive(' ').map(|word| chunk(json!({"content": word}), Value::Null)));
    pieces.push(chunk(json!({}), "stop".into()));
    pieces.push(Bytes::from_static(b"data: [DONE]\n\n"));
    pieces
}

/// A whole response of the Responses API with this text.
pub(crate) fn response(text: &str) -> Value {
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    json!({
        "id": "resp_scripted", "object": "response", "created_at": 1, "status": "completed", "model": "scripted",
        "error": null, "incomplete_details": null,
        "output": [{"id": "msg_scripted", "type": "message", "status": "completed", "role": "assistant", "content": [part]}],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    })
}

/// The same as a stream, a word at a time.
pub(crate) fn response_events(text: &str) -> Vec<Bytes> {
    let whole = response(text);
    let mut begun = whole.clone();
    begun["status"] = "in_progress".into();
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    let item = whole["output"][0].clone();
    let mut empty = item.clone();
    empty["content"] = json!([]);
    let part = item["content"][0].clone();
    let mut unsaid = part.clone();
    unsaid["text"] = "".into();
    let about = |kind: &str, key: &str, value: Value| json!({"type": kind, "item_id": "msg_scripted", "output_index": 0, "content_index": 0, key: value});
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": empty}),
        about("response.content_part.added", "part", unsaid),
    ];
    events.extend(
        text.split_inclusive(' ').map(|word| about("response.output_text.delta", "delta", word.into())),
    );
    events.extend([
        about("response.output_text.done", "text", text.into()),
        about("response.content_part.done", "part", part),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": whole}),
    ]);
    let numbered = events.into_iter().enumerate().map(|(i, mut event)| {
        event["sequence_number"] = i.into();
        Bytes::from(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
    });
    numbered.collect()
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
        let chunks = self.events();
        let json = chunks
            .iter()
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str::<Value>(data).unwrap());
        json.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
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
