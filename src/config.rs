//! Settings: `demur.yaml`, `DEMUR_*` in the environment, flags. A flag beats the environment, the environment
//! beats the file, the file beats the default. Nobody else reads the environment.

mod file;
mod guards;
mod values;

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use serde::Deserialize;

use crate::{gateway::RefusalShape, guard::set::Route, http::keys::KeyConfig, upstream::UpstreamConfig};
pub use file::{Config, ConfigError, GuardModel, Local, Rules, resolve};
pub use guards::GuardConfig;
pub use values::{Bytes, Period, Yaml};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Plain lines.
    Text,
    /// One JSON object a line.
    Json,
}

macro_rules! settings {
    ($($(#[$attr:meta])* $name:ident: $kind:ty $(= $default:expr)?;)*) => {
        /// Settings as they are written: in the file, in the environment, as flags. Absent means not given there.
        #[derive(Args, Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Settings { $($(#[$attr])* pub $name: Option<$kind>,)* }

        impl Settings {
            /// These settings, and where they are silent, `other`'s.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($name: self.$name.or(other.$name),)* }
            }
        }
    };
}

settings! {
    /// Where clients connect [default: 127.0.0.1:8080]
    #[arg(long, env = "DEMUR_LISTEN", value_name = "ADDR", help_heading = "Listeners")]
    listen: SocketAddr;

    /// Where /metrics, /healthz and /readyz are served [default: 127.0.0.1:9090]
    #[arg(long, env = "DEMUR_OPS_LISTEN", value_name = "ADDR", help_heading = "Listeners")]
    ops_listen: SocketAddr;

    /// Where an Envoy asks about the exchanges that it carries (gRPC, ext_proc) [default: nowhere]
    #[arg(long, env = "DEMUR_EXT_PROC_LISTEN", value_name = "ADDR", help_heading = "Listeners")]
    ext_proc_listen: SocketAddr;

    /// One base URL of a server that speaks OpenAI's API, such as http://127.0.0.1:8000/v1, or https://api.anthropic.com/v1;
    /// without any upstream the model inside answers as `demur-chat`
    #[arg(long, env = "DEMUR_UPSTREAM", value_name = "URL", help_heading = "Upstreams")]
    upstream: String;

    /// The key that is sent to that upstream; better given as DEMUR_UPSTREAM_KEY or as a file than as a flag
    #[arg(long, env = "DEMUR_UPSTREAM_KEY", value_name = "KEY", hide_env_values = true, help_heading = "Upstreams")]
    upstream_key: String;

    /// A file that holds that key
    #[arg(long, env = "DEMUR_UPSTREAM_KEY_FILE", value_name = "FILE", help_heading = "Upstreams")]
    upstream_key_file: PathBuf;

    /// Several upstreams with routing, fallback and weights, as YAML: best given in demur.yaml
    #[arg(long, env = "DEMUR_UPSTREAMS", value_name = "YAML", hide_env_values = true, help_heading = "Upstreams")]
    upstreams: Yaml<Vec<UpstreamConfig>>;

    /// Serve the model inside beside the upstreams [default: only when there is no upstream and no Envoy]
    #[arg(long, env = "DEMUR_LOCAL", value_name = "BOOL", help_heading = "The model inside")]
    local: bool;

    /// Where models lie on disk [default: models]
    #[arg(long, env = "DEMUR_MODELS", value_name = "DIR", help_heading = "The model inside")]
    models: PathBuf;

    /// Threads for the model inside [default: the number of cores]
    #[arg(long, env = "DEMUR_THREADS", value_name = "N", help_heading = "The model inside")]
    threads: usize;

    /// Requests that may wait for the model inside; one more gets 503 [default: 32]
    #[arg(long, env = "DEMUR_QUEUE", value_name = "N", help_heading = "The model inside")]
    queue: usize;

    /// The policy: a shipped one's name (default, patterns, strict, children, workplace, observe) or a file [default: default]
    #[arg(long, env = "DEMUR_POLICY", value_name = "FILE", help_heading = "Guard")]
    policy: String;

    /// Other policies for some callers, as YAML: a list of {key?, model?, header?, policy}; the first that fits wins
    #[arg(long, env = "DEMUR_ROUTES", value_name = "YAML", help_heading = "Guard")]
    routes: Yaml<Vec<Route>>;

    /// A folder of replies and notices that replace the shipped ones, key by key
    #[arg(long, env = "DEMUR_REPLIES", value_name = "DIR", help_heading = "Guard")]
    replies: PathBuf;

    /// The region for help lines, such as DE [default: from Accept-Language]
    #[arg(long, env = "DEMUR_REGION", value_name = "CODE", help_heading = "Guard")]
    region: String;

    /// The longest that all detectors of one exchange may take [default: 2s]
    #[arg(long, env = "DEMUR_GUARD_TIMEOUT", value_name = "TIME", help_heading = "Guard")]
    guard_timeout: Period;

    /// The folder of the guard model, or `none` to serve policies that do without [default: guard in DEMUR_MODELS,
    /// else in models beside the program or in /usr/share/demur/models]
    #[arg(long, env = "DEMUR_GUARD_MODEL", value_name = "DIR", help_heading = "Guard")]
    guard_model: PathBuf;

    /// Threads of each network of the guard model; what waits together is shared out among them [default: 2, or 1 on one core]
    #[arg(long, env = "DEMUR_GUARD_THREADS", value_name = "N", help_heading = "Guard")]
    guard_threads: usize;

    /// Guards behind other servers, as YAML: a list of {kind, upstream, model, between?}; best given in demur.yaml
    #[arg(long, env = "DEMUR_GUARDS", value_name = "YAML", hide_env_values = true, help_heading = "Guard")]
    guards: Yaml<Vec<GuardConfig>>;

    /// A secret of 12 to 64 characters that stands in your system prompt: where it shows up in an answer, whole, in part or
    /// encoded, `canary.leak` is raised. Better given as DEMUR_CANARY or in demur.yaml than as a flag [default: none]
    #[arg(long, env = "DEMUR_CANARY", value_name = "SECRET", hide_env_values = true, help_heading = "Guard")]
    canary: String;

    /// What a refused question gets: a polite message with HTTP 200, or Azure OpenAI's HTTP 400 [default: message]
    #[arg(long, env = "DEMUR_REFUSAL_SHAPE", value_name = "SHAPE", help_heading = "Guard")]
    refusal_shape: RefusalShape;

    /// Put the verdict into every answer's body as `demur` [default: false]
    #[arg(long, env = "DEMUR_VERDICT_IN_BODY", value_name = "BOOL", help_heading = "Guard")]
    verdict_in_body: bool;

    /// API keys, as YAML: a list of {name, sha256, requests_per_minute?, burst?}; `demur keys new` makes one.
    /// Without any, everyone who can connect may call
    #[arg(long, env = "DEMUR_KEYS", value_name = "YAML", hide_env_values = true, help_heading = "Limits")]
    keys: Yaml<Vec<KeyConfig>>;

    /// The largest request body [default: 4MiB]
    #[arg(long, env = "DEMUR_MAX_BODY", value_name = "SIZE", help_heading = "Limits")]
    max_body: Bytes;

    /// The largest request head [default: 32KiB]
    #[arg(long, env = "DEMUR_MAX_HEAD", value_name = "SIZE", help_heading = "Limits")]
    max_head: Bytes;

    /// The largest answer that is held in memory to be judged [default: 16MiB]
    #[arg(long, env = "DEMUR_MAX_ANSWER", value_name = "SIZE", help_heading = "Limits")]
    max_answer: Bytes;

    /// The longest a client may take to send a request's head [default: 10s]
    #[arg(long, env = "DEMUR_HEAD_TIMEOUT", value_name = "TIME", help_heading = "Limits")]
    head_timeout: Period;

    /// The longest a client may take to send a request's body [default: 30s]
    #[arg(long, env = "DEMUR_BODY_TIMEOUT", value_name = "TIME", help_heading = "Limits")]
    body_timeout: Period;

    /// The longest until an answer begins [default: 10m]
    #[arg(long, env = "DEMUR_REQUEST_TIMEOUT", value_name = "TIME", help_heading = "Limits")]
    request_timeout: Period;

    /// Requests worked on at once; one more is shed with 503 [default: 1024]
    #[arg(long, env = "DEMUR_MAX_IN_FLIGHT", value_name = "N", help_heading = "Limits")]
    max_in_flight: usize;

    /// Connections open at once; further ones wait [default: 10000]
    #[arg(long, env = "DEMUR_MAX_CONNECTIONS", value_name = "N", help_heading = "Limits")]
    max_connections: usize;

    /// How long requests under way may go on after SIGTERM [default: 30s]
    #[arg(long, env = "DEMUR_DRAIN_TIMEOUT", value_name = "TIME", help_heading = "Limits")]
    drain_timeout: Period;

    /// What is logged: directives such as `info` or `demur=debug,hyper=warn` [default: info]
    #[arg(long, env = "DEMUR_LOG", value_name = "FILTER", help_heading = "Logs")]
    log: String;

    /// How log lines look [default: text on a terminal, json otherwise]
    #[arg(long, env = "DEMUR_LOG_FORMAT", value_name = "FORMAT", help_heading = "Logs")]
    log_format: LogFormat;
}
