//! Envoy's external processing (gRPC, `envoy.service.ext_proc.v3`): the guard of an Envoy that carries the questions to
//! the model itself, and the answers back.

mod answer;
mod exchange;
mod messages;
mod proto;
mod question;
#[cfg(test)]
mod tests;

use std::{
    future::{Ready, ready},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State as Extract},
    response::Response,
    routing::post,
};
use futures_util::{FutureExt, Stream, StreamExt};
use hyper_util::service::TowerToHyperService;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, server::StreamingService};
use tonic_prost::ProstCodec;

use super::{State, error, serve::Answers};
use exchange::Exchange;
use proto::{ProcessingRequest, ProcessingResponse};

const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// Messages to Envoy that may wait for it.
const WAITING: usize = 16;

/// What a message holds besides a body.
const ENVELOPE: usize = 64 << 10;

/// What answers on the listener for Envoy.
pub fn external_processor(state: &State) -> impl Answers {
    let routes =
        Router::new().route(PROCESS, post(process)).fallback(error::no_route).with_state(Arc::clone(state));
    TowerToHyperService::new(routes)
}

async fn process(Extract(state): Extract<State>, request: Request) -> Response {
    // A buffered body comes in one message.
    let largest = state.limits.body_bytes.max(state.gateway.max_answer_bytes()).saturating_add(ENVELOPE);
    let codec = ProstCodec::<ProcessingResponse, ProcessingRequest>::default();
    let mut grpc = tonic::server::Grpc::new(codec).max_decoding_message_size(largest);
    grpc.streaming(Process(state), request).await.map(Body::new)
}

/// The one method.
struct Process(State);

impl StreamingService<ProcessingRequest> for Process {
    type Response = ProcessingResponse;
    type ResponseStream = ReceiverStream<Result<ProcessingResponse, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<tonic::Streaming<ProcessingRequest>>) -> Self::Future {
        ready(Ok(tonic::Response::new(begin(&self.0, request.into_inner()))))
    }
}

/// Starts on an exchange; the reactions to its parts come as a stream.
fn begin(
    state: &State,
    parts: impl Stream<Item = Result<ProcessingRequest, Status>> + Send + 'static,
) -> ReceiverStream<Result<ProcessingResponse, Status>> {
    let (out, reactions) = mpsc::channel(WAITING);
    let exchange = Exchange::new(Arc::clone(state), parts.boxed(), out.clone());
    // In a task of its own: where Envoy only lets us watch, it does not wait for the verdict either.
    tokio::spawn(async move {
        let ended = AssertUnwindSafe(exchange.run()).catch_unwind().await;
        // A stream that ends well tells Envoy to go on without us, so one that does not must say so.
        let failed = match ended {
            Ok(ended) => ended.err(),
            Err(_) => {
                tracing::error!("an external exchange panicked");
                Some(Status::internal("internal error"))
            }
        };
        if let Some(status) = failed {
            // Whoever is gone need not be told.
            let _ = out.send(Err(status)).await;
        }
    });
    ReceiverStream::new(reactions)
}
