//! The other side of the comparison: a scripted model, and the least that a reverse proxy for models does.

use std::{future::Future, net::SocketAddr};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;

use crate::text;

/// A model that always answers the same completion of one kilobyte. One thread: it must not take the cores
/// from what is measured.
pub(crate) fn upstream() -> anyhow::Result<()> {
    let completion = text::completion();
    let answer = move || {
        let completion = completion.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], completion) }
    };
    let router = Router::new().route("/v1/chat/completions", post(answer));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(router))
}

/// A proxy that parses the request's JSON and forwards it, on the same libraries and as many threads as Demur.
pub(crate) fn proxy(upstream: SocketAddr) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let url = format!("http://{upstream}/v1/chat/completions");
    let router = Router::new().route("/v1/chat/completions", post(forward)).with_state((client, url));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(router))
}

async fn forward(
    State((client, url)): State<(Client<HttpConnector, Body>, String)>,
    body: Bytes,
) -> Response {
    let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&body);
    if !parsed.is_ok_and(|body| body["model"].is_string()) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let request = Request::post(url).header(header::CONTENT_TYPE, "application/json").body(Body::from(body));
    let Ok(request) = request else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    match client.request(request).await {
        Ok(response) => response.map(Body::new),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// Serves on a port of its own, and says which.
pub(crate) async fn serve(router: Router) -> anyhow::Result<()> {
    use axum::serve::ListenerExt;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // Small answers should leave at once, as Demur's do.
        let _ = stream.set_nodelay(true);
    });
    let served: &mut (dyn Future<Output = std::io::Result<()>> + Unpin) =
        &mut Box::pin(async { axum::serve(listener, router).await });
    Ok(served.await?)
}
