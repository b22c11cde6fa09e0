//! A service of the same process as an upstream: what a tower layer stands before.

use std::{sync::Arc, time::Duration};

use ::http::{HeaderValue, Method, Request, Response, header};
use bytes::Bytes;
use http_body::Body;
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};

use super::{Ask, Reply, UpstreamError, headers, http::answer};

/// The longest pause within an answer.
const IDLE: Duration = Duration::from_secs(300);

/// Where OpenAI's and Anthropic's routes stand.
const BASE: &str = "/v1";

/// A service that answers every model.
#[derive(Clone)]
pub struct InProcess {
    name: Arc<str>,
    ask: BoxCloneSyncService<Ask, Reply, UpstreamError>,
}

impl InProcess {
    /// Makes an upstream of a service. It is asked at `/v1` and the path of each dialect.
    pub fn new<S, In, Out>(name: &str, service: S) -> Self
    where
        S: Service<Request<In>, Response = Response<Out>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        In: From<Bytes> + Send + 'static,
        Out: Body<Data = Bytes> + Send + Unpin + 'static,
        Out::Error: Into<BoxError>,
    {
        let name: Arc<str> = name.into();
        let upstream = Arc::clone(&name);
        let ask = tower::service_fn(move |ask: Ask| {
            let (service, upstream) = (service.clone(), upstream.to_string());
            async move {
                let stream = ask.stream;
                // Its own error may quote anything.
                let failed = |_| UpstreamError::Unavailable {
                    upstream: upstream.clone(),
                    reason: "its service gave an error".to_owned(),
                };
                let response = service.oneshot(request(ask)).await.map_err(failed)?;
                let limits = answer::Limits { upstream: upstream.clone(), idle: IDLE };
                answer::read(response, stream, limits).await
            }
        });
        Self { name, ask: BoxCloneSyncService::new(ask) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn send(&self, ask: &Ask) -> Result<Reply, UpstreamError> {
        self.ask.clone().oneshot(ask.clone()).await
    }
}

fn request<In: From<Bytes>>(ask: Ask) -> Request<In> {
    let mut request = Request::new(In::from(ask.body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("{BASE}{}", ask.path).parse().expect("a dialect's path is one");
    // The service is the client's own: it may see who calls.
    let mut passed = ask.headers;
    passed.remove(header::CONTENT_LENGTH);
    passed.remove(header::ACCEPT_ENCODING);
    passed.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::from_str(&ask.request_id) {
        passed.insert(headers::REQUEST_ID, id);
    }
    *request.headers_mut() = passed;
    request
}
