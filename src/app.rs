//! Construction, reload and drain: everything is put together here, in one order, and taken down here.

mod checkpoints;
mod guards;
mod model;
mod reload;
mod rules;
mod signals;

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{self, Config},
    detect::OnText,
    gateway::Gateway,
    http::{self, Surface, keys::Keys, serve::Drained},
    nn,
    telemetry::Metrics,
    upstream::{
        Upstream, Upstreams,
        local::{Local, LocalConfig},
    },
};
pub use model::detectors;
pub use rules::{Loader, find};
pub use signals::stop;

/// A gateway that is built and bound, ready to serve.
pub struct App {
    state: http::State,
    loader: Arc<Loader>,
    listener: TcpListener,
    ops_listener: TcpListener,
    ext_proc_listener: Option<TcpListener>,
    config: Config,
    has_model: bool,
}

impl App {
    /// Builds everything the settings name, and binds the listeners last: a wrong setting never opens a port.
    ///
    /// # Errors
    /// One line that says which setting or file is wrong, or what could not be had.
    pub async fn build(mut config: Config) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let keys = Keys::new(&config.keys)?;
        let (mut detectors, model) = detectors(&config.guard_model, &metrics)?;
        for settings in &config.guards {
            detectors.push(guards::guard(settings, model.as_ref(), &metrics)?);
        }
        if let Some(canary) = config.canary.take() {
            detectors.push(Arc::new(OnText(canary)));
        }
        let has_model = model.is_some();
        let loader =
            Arc::new(Loader::new(config.rules.clone(), detectors, config.guard, Arc::clone(&metrics)));
        let rules = loader.load()?;
        metrics.policy_loads.with_label_values(&["ok"]).inc();
        let upstreams = Arc::new(upstreams(&config, &metrics).await?);
        let state = Arc::new(Surface {
            gateway: Gateway::new(rules, upstreams, config.gateway.clone(), Arc::clone(&metrics)),
            keys,
            limits: config.limits,
            metrics,
            draining: AtomicBool::new(false),
        });
        let listener = bind(config.listen, "listen").await?;
        let ops_listener = bind(config.ops_listen, "ops_listen").await?;
        let ext_proc_listener = match config.ext_proc_listen {
            Some(address) => Some(bind(address, "ext_proc_listen").await?),
            None => None,
        };
        Ok(Self { state, loader, listener, ops_listener, ext_proc_listener, config, has_model })
    }

    /// Where clients connect; the real port when 0 was asked for.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn addresses(&self) -> std::io::Result<(std::net::SocketAddr, std::net::SocketAddr)> {
        Ok((self.listener.local_addr()?, self.ops_listener.local_addr()?))
    }

    /// Where an Envoy connects, when one may.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn ext_proc_address(&self) -> std::io::Result<Option<std::net::SocketAddr>> {
        self.ext_proc_listener.as_ref().map(TcpListener::local_addr).transpose()
    }

    /// Serves until `stop` is cancelled, then drains. Policies are watched all the while.
    ///
    /// # Errors
    /// The files of the policies can't be watched.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<Drained> {
        self.announce()?;
        let _watch = reload::watch(&self.state, &self.loader, &stop)?;
        let limits = self.config.connections;
        // Operators can look until the last client is served.
        let ops_stop = CancellationToken::new();
        let ops =
            http::serve::serve(self.ops_listener, http::operations(&self.state), limits, ops_stop.clone());
        let ops = tokio::spawn(ops);
        let state = Arc::clone(&self.state);
        let told = stop.clone();
        tokio::spawn(async move {
            told.cancelled().await;
            state.begin_drain();
            tracing::info!("draining: no new connections, requests under way may finish");
        });
        let external = async {
            match self.ext_proc_listener {
                Some(listener) => {
                    let processor = http::external_processor(&self.state);
                    http::serve::serve(listener, processor, limits, stop.clone()).await
                }
                None => Drained::All,
            }
        };
        let traffic = http::serve::serve(self.listener, http::traffic(&self.state), limits, stop.clone());
        let drained = match tokio::join!(traffic, external) {
            (Drained::All, Drained::All) => Drained::All,
            _ => Drained::CutOff,
        };
        ops_stop.cancel();
        // Metrics connections are idle ones; they are not waited for.
        ops.abort();
        match drained {
            Drained::All => tracing::info!("stopped: every request was answered"),
            Drained::CutOff => tracing::warn!("stopped: some requests were cut off at the drain limit"),
        }
        Ok(drained)
    }

    fn announce(&self) -> anyhow::Result<()> {
        let (listen, ops) = self.addresses()?;
        let ext_proc = self.ext_proc_address()?.map(|address| address.to_string());
        let names = self.state.gateway.upstreams().names().join(", ");
        tracing::info!(%listen, %ops, ext_proc, upstreams = names, "serving");
        for guard in self.state.gateway.rules().guards.all() {
            let policy = guard.policy();
            tracing::info!(policy = %policy.id(), mode = policy.mode().as_str(), "policy loaded");
        }
        if !self.has_model {
            tracing::warn!(
                "no guard model is loaded: policies judge by patterns, personal data, secrets and disguises only"
            );
        }
        if self.state.keys.is_open() && !listen.ip().is_loopback() {
            tracing::warn!(%listen, "no API keys are set: everyone who can reach this address may call");
        }
        Ok(())
    }
}

async fn bind(address: std::net::SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("`{setting}`: can't listen on {address}"))
}

/// Everyone who can be asked: the upstreams of the settings, and the model inside.
async fn upstreams(config: &Config, metrics: &Arc<Metrics>) -> anyhow::Result<Upstreams> {
    let mut upstreams = Vec::new();
    for upstream in &config.upstreams {
        upstreams.push(upstream.build(Arc::clone(metrics))?);
    }
    if let Some(local) = &config.local {
        upstreams.push(model_inside(local, metrics).await?);
    }
    Ok(Upstreams::new(upstreams)?)
}

async fn model_inside(local: &config::Local, metrics: &Arc<Metrics>) -> anyhow::Result<Upstream> {
    let (local, metrics) = (local.clone(), Arc::clone(metrics));
    // Pulling, hashing and loading are blocking work.
    tokio::task::spawn_blocking(move || {
        let path = nn::models::ensure(nn::models::CHAT, &local.models)?;
        let settings = LocalConfig { queue: local.queue, ..LocalConfig::default() };
        anyhow::Ok(Upstream::Local(Local::start(&path, settings, metrics)?))
    })
    .await?
}
