//! Reads the file, puts the layers together, and resolves them into what the parts are built from.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{GuardConfig, LogFormat, Period, Settings, values};
use crate::{
    detect::canary::Canary,
    gateway, guard,
    guard::set::Route,
    http::{self, keys::KeyConfig, serve::ConnectionLimits},
    nn::threads,
    upstream::{Secret, UpstreamConfig},
};

/// The file that is read when none is named and it exists.
const DEFAULT_FILE: &str = "demur.yaml";

/// What is wrong with the settings. One line, to end the start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read the settings file `{path}`: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not of the form.
    #[error("{path}:{line}:{column}: {message}", path = path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What was found and what was expected.
        message: String,
    },
    /// Settings that contradict each other.
    #[error("{0}")]
    Conflict(String),
}

/// Settings that are resolved: every default is filled in.
#[derive(Debug)]
pub struct Config {
    /// Where clients connect.
    pub listen: std::net::SocketAddr,
    /// Where operators connect.
    pub ops_listen: std::net::SocketAddr,
    /// Where Envoys connect, when they are to.
    pub ext_proc_listen: Option<std::net::SocketAddr>,
    /// Who answers, besides the model inside.
    pub upstreams: Vec<UpstreamConfig>,
    /// The model inside, when it is to be served.
    pub local: Option<Local>,
    /// Policies and texts.
    pub rules: Rules,
    /// How the gateway answers.
    pub gateway: gateway::Settings,
    /// How long the guard may look.
    pub guard: guard::Limits,
    /// The guard model.
    pub guard_model: GuardModel,
    /// Guards behind other servers.
    pub guards: Vec<GuardConfig>,
    /// What betrays a leaking system prompt.
    pub canary: Option<Canary>,
    /// Who may call.
    pub keys: Vec<KeyConfig>,
    /// Limits on requests.
    pub limits: http::Limits,
    /// Limits on connections.
    pub connections: ConnectionLimits,
    /// What is logged.
    pub log: String,
    /// How; `None` asks the terminal.
    pub log_format: Option<LogFormat>,
}

/// The model inside.
#[derive(Clone, Debug)]
pub struct Local {
    /// Where models lie.
    pub models: PathBuf,
    /// Threads; `None` for all cores.
    pub threads: Option<usize>,
    /// How many may wait.
    pub queue: usize,
}

/// The guard model.
#[derive(Clone, Debug)]
pub struct GuardModel {
    /// The folder, or `none`; not given, the usual places are looked at.
    pub folder: Option<PathBuf>,
    /// Where models lie.
    pub models: PathBuf,
    /// Threads of a pass.
    pub threads: usize,
}

impl GuardModel {
    /// The folder that is named, or the first of the usual places that exists; nothing where it is `none`.
    pub fn find(&self) -> Option<PathBuf> {
        match &self.folder {
            Some(folder) if folder.as_os_str() == "none" => return None,
            Some(folder) => return Some(folder.clone()),
            None => {}
        }
        let mut places = vec![self.models.join("guard")];
        if let Ok(program) = std::env::current_exe() {
            // Beside the program, and at the root of the checkout that it was built in.
            let above = program.ancestors().skip(1).take(4);
            places.extend(above.map(|folder| folder.join("models/guard")));
        }
        places.push("/usr/share/demur/models/guard".into());
        places.into_iter().find(|place| place.is_dir())
    }
}

/// Policies and texts: what a reload reads again.
#[derive(Clone, Debug)]
pub struct Rules {
    /// A shipped policy's name or a file.
    pub policy: String,
    /// Other policies for some callers.
    pub routes: Vec<Route>,
    /// A folder of texts that replace the shipped ones.
    pub replies: Option<PathBuf>,
}

/// Resolves the settings given on the command line and in the environment over those of the file.
///
/// # Errors
/// A file that can't be read or is not of the form, and settings that contradict each other.
pub fn resolve(given: Settings, file: Option<&Path>) -> Result<Config, ConfigError> {
    let default = Path::new(DEFAULT_FILE);
    let settings = match file.or_else(|| default.exists().then_some(default)) {
        Some(path) => given.or(read(path)?),
        None => given,
    };
    let upstreams = upstreams(&settings)?;
    let nobody = upstreams.is_empty() && settings.ext_proc_listen.is_none();
    let wants_local = settings.local.unwrap_or(nobody);
    if nobody && !wants_local {
        return Err(ConfigError::Conflict(
            "`local: false` without an upstream leaves nobody to answer; set `upstream`".to_owned(),
        ));
    }
    let models = settings.models.unwrap_or_else(|| "models".into());
    let period = |period: Option<Period>, default: u64| period.map_or(Duration::from_secs(default), |p| p.0);
    Ok(Config {
        listen: settings.listen.unwrap_or(([127, 0, 0, 1], 8080).into()),
        ops_listen: settings.ops_listen.unwrap_or(([127, 0, 0, 1], 9090).into()),
        ext_proc_listen: settings.ext_proc_listen,
        upstreams,
        local: wants_local.then(|| Local {
            models: models.clone(),
            threads: settings.threads,
            queue: settings.queue.unwrap_or(32),
        }),
        guard_model: GuardModel {
            folder: settings.guard_model,
            models,
            threads: settings.guard_threads.unwrap_or_else(threads::of_guard),
        },
        guards: guards(settings.guards.map(|guards| guards.0).unwrap_or_default())?,
        rules: Rules {
            policy: settings.policy.unwrap_or_else(|| "default".to_owned()),
            routes: settings.routes.map(|routes| routes.0).unwrap_or_default(),
            replies: settings.replies,
        },
        gateway: gateway::Settings {
            refusal_shape: settings.refusal_shape.unwrap_or_default(),
            verdict_in_body: settings.verdict_in_body.unwrap_or(false),
            region: settings.region,
            max_answer_bytes: settings.max_answer.map_or(16 << 20, |size| size.0),
        },
        guard: guard::Limits { deadline: period(settings.guard_timeout, 2) },
        canary: settings.canary.map(|secret| canary(&secret)).transpose()?,
        keys: settings.keys.map(|keys| keys.0).unwrap_or_default(),
        limits: http::Limits {
            body_bytes: settings.max_body.map_or(4 << 20, |size| size.0),
            body_timeout: period(settings.body_timeout, 30),
            request_timeout: period(settings.request_timeout, 600),
            in_flight: settings.max_in_flight.unwrap_or(1024),
        },
        connections: ConnectionLimits {
            head_bytes: settings.max_head.map_or(32 << 10, |size| size.0),
            head_timeout: period(settings.head_timeout, 10),
            connections: settings.max_connections.unwrap_or(10_000),
            drain: period(settings.drain_timeout, 30),
        },
        log: settings.log.unwrap_or_else(|| "info".to_owned()),
        log_format: settings.log_format,
    })
}

fn read(path: &Path) -> Result<Settings, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    values::yaml(&text).map_err(|(line, column, message)| ConfigError::Parse {
        path: path.into(),
        line,
        column,
        message,
    })
}

/// The single upstream and the list say the same thing in two ways; both at once is a mistake.
fn upstreams(settings: &Settings) -> Result<Vec<UpstreamConfig>, ConfigError> {
    match (&settings.upstream, &settings.upstreams) {
        (Some(_), Some(_)) => {
            Err(ConfigError::Conflict("`upstream` and `upstreams` are both set; use one".to_owned()))
        }
        (None, Some(list)) => list.0.iter().cloned().map(with_key).collect(),
        (Some(url), None) => {
            let mut single = UpstreamConfig::single(url);
            single.key = settings.upstream_key.clone().map(Secret::new);
            single.key_file.clone_from(&settings.upstream_key_file);
            Ok(vec![single])
        }
        (None, None) => Ok(Vec::new()),
    }
}

/// The guards, each with its key. There is one of a kind: its kind names its signals.
fn guards(list: Vec<GuardConfig>) -> Result<Vec<GuardConfig>, ConfigError> {
    for (i, guard) in list.iter().enumerate() {
        guard.check().map_err(ConfigError::Conflict)?;
        if list[..i].iter().any(|other| other.kind == guard.kind) {
            let kind = guard.kind.as_str();
            return Err(ConfigError::Conflict(format!("`guards`: there are two of kind `{kind}`; keep one")));
        }
    }
    let with_key = |guard: GuardConfig| Ok(GuardConfig { upstream: with_key(guard.upstream)?, ..guard });
    list.into_iter().map(with_key).collect()
}

/// The detector of a canary. An error does not quote it.
fn canary(secret: &str) -> Result<Canary, ConfigError> {
    Canary::new(secret).map_err(|error| ConfigError::Conflict(format!("`canary`: {error}")))
}

/// An upstream with the key that its `key_env` names.
fn with_key(mut upstream: UpstreamConfig) -> Result<UpstreamConfig, ConfigError> {
    let given = [upstream.key.is_some(), upstream.key_env.is_some(), upstream.key_file.is_some()];
    if given.into_iter().filter(|given| *given).count() > 1 {
        let name = &upstream.name;
        return Err(ConfigError::Conflict(format!(
            "upstream `{name}`: use only one of `key`, `key_env` and `key_file`"
        )));
    }
    if let Some(variable) = &upstream.key_env {
        let key = std::env::var(variable).map_err(|_| {
            let name = &upstream.name;
            ConfigError::Conflict(format!(
                "upstream `{name}`: `key_env` names `{variable}`, which is not set"
            ))
        })?;
        upstream.key = Some(Secret::new(key.trim()));
    }
    Ok(upstream)
}
