//! The guard as a tower layer: a service that speaks OpenAI's or Anthropic's API in this process, such as an axum
//! router, answers guarded.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::Method,
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt, future::BoxFuture};
use http_body::Body as HttpBody;
use tower::{BoxError, Layer, Service, ServiceExt};

use super::{error::ApiError, layers, respond, shape};
use crate::{
    dialect::{self, Dialect},
    gateway::{Call, Gateway, Rules, Settings},
    telemetry::Metrics,
    upstream::{InProcess, Upstream, Upstreams},
};

/// Puts the guard around a service: requests in a dialect that Demur knows are judged before the service sees them, and
/// its answers before the client does. Everything else passes.
#[derive(Clone)]
pub struct GuardLayer {
    rules: Arc<Rules>,
    settings: Settings,
    body_bytes: usize,
    metrics: Arc<Metrics>,
}

impl GuardLayer {
    /// A layer of these rules. `body_bytes` is the largest request body.
    pub fn new(rules: Arc<Rules>, settings: Settings, body_bytes: usize, metrics: Arc<Metrics>) -> Self {
        Self { rules, settings, body_bytes, metrics }
    }
}

impl<S, Out> Layer<S> for GuardLayer
where
    S: Service<Request, Response = Response<Out>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    Out: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    Out::Error: Into<BoxError>,
{
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        let upstream = Upstream::InProcess(InProcess::new("inner", inner.clone()));
        let upstreams = Upstreams::new(vec![upstream]).expect("one upstream has no twin");
        let (rules, metrics) = (Arc::clone(&self.rules), Arc::clone(&self.metrics));
        let gateway = Gateway::new(rules, Arc::new(upstreams), self.settings.clone(), metrics);
        Guarded { inner, gateway: Arc::new(gateway), body_bytes: self.body_bytes }
    }
}

/// A service with the guard around it.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    gateway: Arc<Gateway>,
    body_bytes: usize,
}

impl<S> Guarded<S> {
    /// The gateway, to swap its rules.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }
}

impl<S, Out> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response<Out>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    Out: HttpBody<Data = Bytes> + Send + 'static,
    Out::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A clone of the service is asked, which is made ready then.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let dialect = dialect::at(request.uri().path()).filter(|_| request.method() == Method::POST);
        let Some(dialect) = dialect else {
            let inner = self.inner.clone();
            return async move { Ok(inner.oneshot(request).await?.map(Body::new)) }.boxed();
        };
        let (gateway, limit) = (Arc::clone(&self.gateway), self.body_bytes);
        async move {
            let (id, is_anthropic) =
                (layers::request_id(request.headers()), shape::is_anthropic(request.uri().path()));
            let answered = guarded(&gateway, dialect, request, Arc::clone(&id), limit).await;
            let response = answered.unwrap_or_else(IntoResponse::into_response);
            Ok(if is_anthropic { shape::anthropic(response, &id).await } else { response })
        }
        .boxed()
    }
}

async fn guarded(
    gateway: &Gateway,
    dialect: &'static dyn Dialect,
    request: Request,
    id: Arc<str>,
    limit: usize,
) -> Result<Response, ApiError> {
    let arrived = Instant::now();
    let (parts, body) = request.into_parts();
    let body = layers::read(body, limit).await?;
    let call = Call { id, arrived, key: None, headers: parts.headers, body };
    Ok(respond(gateway.respond(dialect, call).await?))
}
