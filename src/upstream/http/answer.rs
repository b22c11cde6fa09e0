//! What an upstream answered, checked as far as it can be before it is handed on.

use std::time::Duration;

use ::http::{HeaderMap, Response, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http_body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::upstream::{Reply, ReplyBody, UpstreamError, headers};

/// The most of a whole answer that is read, in bytes: far beyond any chat completion.
const MAX_WHOLE: usize = 64 << 20;

/// The most of an error's body that is read, in bytes.
const MAX_ERROR: usize = 64 << 10;

/// Who answers, and how long it may pause.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Limits {
    pub(in crate::upstream) upstream: String,
    pub(in crate::upstream) idle: Duration,
}

/// Reads the head of an answer, and all of it unless it is a stream of events.
pub(in crate::upstream) async fn read<B>(
    response: Response<B>,
    stream: bool,
    limits: Limits,
) -> Result<Reply, UpstreamError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let (parts, body) = response.into_parts();
    let upstream = limits.upstream.clone();
    let mut passed = headers::to_client(&parts.headers);
    if !parts.status.is_success() {
        passed.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        let body =
            error_body(whole(body, MAX_ERROR, &limits).await.unwrap_or_default(), parts.status, &upstream);
        return Ok(Reply { status: parts.status, headers: passed, upstream, body: ReplyBody::Whole(body) });
    }
    let broken =
        |reason: &str| UpstreamError::Broken { upstream: upstream.clone(), reason: reason.to_owned() };
    let body = match content_type(&parts.headers) {
        ContentType::Json => ReplyBody::Whole(whole(body, MAX_WHOLE, &limits).await?),
        ContentType::Events if stream => ReplyBody::Events(events(body, limits)),
        ContentType::Events => return Err(broken("a stream of events that nobody asked for")),
        ContentType::Other => return Err(broken("its content type is neither JSON nor a stream of events")),
    };
    Ok(Reply { status: parts.status, headers: passed, upstream, body })
}

enum ContentType {
    Json,
    Events,
    Other,
}

fn content_type(headers: &HeaderMap) -> ContentType {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    let ends = |end: &str| {
        essence.get(essence.len().saturating_sub(end.len())..).is_some_and(|e| e.eq_ignore_ascii_case(end))
    };
    match () {
        () if is("text/event-stream") => ContentType::Events,
        () if is("application/json") || ends("+json") => ContentType::Json,
        () => ContentType::Other,
    }
}

async fn whole<B: Body<Data = Bytes> + Unpin>(
    mut body: B,
    limit: usize,
    limits: &Limits,
) -> Result<Bytes, UpstreamError> {
    let first = next(&mut body, limits).await?.unwrap_or_default();
    if body.is_end_stream() && first.len() <= limit {
        return Ok(first);
    }
    let mut all = BytesMut::from(first);
    while let Some(piece) = next(&mut body, limits).await? {
        if all.len() + piece.len() > limit {
            let reason = format!("more than {limit} bytes");
            return Err(UpstreamError::Broken { upstream: limits.upstream.clone(), reason });
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// The next piece of a body, within the idle time-out.
async fn next<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    limits: &Limits,
) -> Result<Option<Bytes>, UpstreamError> {
    let upstream = || limits.upstream.clone();
    loop {
        match tokio::time::timeout(limits.idle, body.frame()).await {
            Err(_) => return Err(UpstreamError::Timeout { upstream: upstream(), phase: "idle" }),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => {
                let reason = "it broke off".to_owned();
                return Err(UpstreamError::Broken { upstream: upstream(), reason });
            }
            // Trailers are of no use to anybody here.
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

/// Pieces as they arrive; after an error nothing more.
fn events<B: Body<Data = Bytes> + Send + Unpin + 'static>(
    body: B,
    limits: Limits,
) -> stream::BoxStream<'static, Result<Bytes, UpstreamError>> {
    stream::unfold(Some((body, limits)), |state| async move {
        let (mut body, limits) = state?;
        match next(&mut body, &limits).await {
            Ok(Some(piece)) => Some((Ok(piece), Some((body, limits)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// An error in OpenAI's shape: the upstream's own words when they are in that shape already, else only its
/// status. Pages made for people tell strangers about machines.
fn error_body(body: Bytes, status: StatusCode, upstream: &str) -> Bytes {
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    if json.is_some_and(|json| json["error"]["message"].is_string()) {
        return body;
    }
    let kind = if status.is_client_error() { "invalid_request_error" } else { "server_error" };
    let message = format!("the upstream `{upstream}` answered {status}");
    let error = json!({"error": {"message": message, "type": kind, "param": null, "code": "upstream_error"}});
    Bytes::from(error.to_string())
}
