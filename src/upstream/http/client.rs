//! The HTTP client: pool, protocol versions, TLS by rustls.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::upstream::config::{UpstreamConfig, UpstreamConfigError};

pub(super) type Client = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// How long an unused connection is kept.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);

pub(super) fn build(config: &UpstreamConfig) -> Result<Client, UpstreamConfigError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(config.connect_timeout));
    let https = HttpsConnectorBuilder::new().with_tls_config(tls(config)?).https_or_http();
    let connector = if config.http2 {
        https.enable_http2().wrap_connector(tcp)
    } else {
        https.enable_http1().enable_http2().wrap_connector(tcp)
    };
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_CONNECTION);
    Ok(builder.http2_only(config.http2).build(connector))
}

/// Trusts Mozilla's roots (`webpki-roots`), so that a container needs none of its own, and those of `ca_file`.
fn tls(config: &UpstreamConfig) -> Result<ClientConfig, UpstreamConfigError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = &config.ca_file {
        let unreadable = |source| UpstreamConfigError::File {
            name: config.name.clone(),
            what: "`ca_file`",
            path: path.clone(),
            source,
        };
        let pem = std::fs::read(path).map_err(unreadable)?;
        let invalid = |error: String| unreadable(io::Error::new(io::ErrorKind::InvalidData, error));
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
            roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Whether an error came from the connect time-out.
pub(super) fn is_timeout(error: &legacy::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        source = error.source();
    }
    false
}
