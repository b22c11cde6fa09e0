//! What an upstream's settings say.

use std::{collections::BTreeMap, fmt, io, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::breaker::BreakerConfig;

/// A value that is never shown: not in logs, not in errors, not in `Debug`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that sends it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Whose API a server speaks: how it wants its key, and what else it wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// OpenAI's, as most servers do.
    Openai,
    /// Anthropic's.
    Anthropic,
}

/// One server that speaks OpenAI's or Anthropic's API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Its name in logs, metrics and errors.
    pub name: String,
    /// Its base URL, such as `https://api.example.com/v1`; paths like `/chat/completions` are put behind it.
    pub url: String,
    /// Whose API it speaks. Default: Anthropic's for a host of theirs, else OpenAI's.
    pub kind: Option<Kind>,
    /// The models it serves: names, or patterns in which `*` stands for any run of characters. Default: all.
    #[serde(default = "all_models")]
    pub models: Vec<String>,
    /// The model's name there, when it differs from what clients say.
    pub rename: Option<String>,
    /// Lower ones are asked first; the next ones when those fail. Default: 0.
    #[serde(default)]
    pub priority: u32,
    /// The share of requests among upstreams of the same priority. Default: 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// The key that is sent as `Authorization: Bearer`, or to Anthropic as `x-api-key`.
    pub key: Option<Secret>,
    /// The environment variable that holds the key.
    pub key_env: Option<String>,
    /// The file that holds the key; read once, at the start.
    pub key_file: Option<PathBuf>,
    /// Further headers to send.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long connecting may take. Default: 5s.
    #[serde(default = "connect_timeout", with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long the head of an answer may take. Default: 2m.
    #[serde(default = "first_byte_timeout", with = "humantime_serde")]
    pub first_byte_timeout: Duration,
    /// How long an answer may pause between two pieces. Default: 1m.
    #[serde(default = "idle_timeout", with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Further attempts when one fails before a byte was answered. Default: 2.
    #[serde(default = "two")]
    pub retries: u32,
    /// When to stop asking for a while.
    #[serde(default)]
    pub breaker: BreakerConfig,
    /// Speak HTTP/2 without asking first; over TLS the two sides agree on the version by themselves.
    #[serde(default)]
    pub http2: bool,
    /// A PEM file of further certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
}

fn all_models() -> Vec<String> {
    vec!["*".to_owned()]
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

fn connect_timeout() -> Duration {
    Duration::from_secs(5)
}

fn first_byte_timeout() -> Duration {
    Duration::from_secs(120)
}

fn idle_timeout() -> Duration {
    Duration::from_secs(60)
}

/// What is wrong with an upstream's settings.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamConfigError {
    /// Not a URL to put paths behind.
    #[error("upstream `{name}`: {reason}")]
    Url {
        /// The upstream.
        name: String,
        /// What was found and what is expected.
        reason: String,
    },
    /// A file that can't be read or used.
    #[error("upstream `{name}`: can't read {what} `{path}`: {source}", path = path.display())]
    File {
        /// The upstream.
        name: String,
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or header that can't stand in a header.
    #[error("upstream `{name}`: `{header}` can't be sent: it has characters that no header takes")]
    Header {
        /// The upstream.
        name: String,
        /// The header.
        header: String,
    },
    /// Two upstreams of one name.
    #[error("two upstreams are named `{0}`")]
    Duplicate(String),
    /// Weights that leave nobody.
    #[error("upstream `{0}`: `weight` must be at least 1")]
    NoWeight(String),
}

impl UpstreamConfig {
    /// The settings of the only upstream, with this base URL and the defaults.
    pub fn single(url: &str) -> Self {
        Self {
            name: "upstream".to_owned(),
            url: url.to_owned(),
            kind: None,
            models: all_models(),
            rename: None,
            priority: 0,
            weight: 1,
            key: None,
            key_env: None,
            key_file: None,
            headers: BTreeMap::new(),
            connect_timeout: connect_timeout(),
            first_byte_timeout: first_byte_timeout(),
            idle_timeout: idle_timeout(),
            retries: 2,
            breaker: BreakerConfig::default(),
            http2: false,
            ca_file: None,
        }
    }

    /// Whose API it speaks.
    pub(super) fn kind(&self) -> Kind {
        let url = url::Url::parse(&self.url).ok();
        let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default();
        let is_anthropic = host == "anthropic.com" || host.ends_with(".anthropic.com");
        self.kind.unwrap_or(if is_anthropic { Kind::Anthropic } else { Kind::Openai })
    }

    /// The base URL, checked, without a slash at its end.
    pub(super) fn base(&self) -> Result<String, UpstreamConfigError> {
        let wrong = |reason: String| UpstreamConfigError::Url { name: self.name.clone(), reason };
        let url = url::Url::parse(&self.url).map_err(|error| {
            wrong(format!("the URL is wrong ({error}); expected something like `http://127.0.0.1:8000/v1`"))
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong("the URL must begin with `http://` or `https://` and name a host".to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(
                "the URL holds credentials; give them as `key`, `key_env` or `key_file`".to_owned(),
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                "the URL has a query or fragment; expected a base that paths are put behind".to_owned(),
            ));
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    /// The key to send, from wherever it is given.
    pub(super) fn resolved_key(&self) -> Result<Option<Secret>, UpstreamConfigError> {
        if self.key.is_some() {
            return Ok(self.key.clone());
        }
        let Some(path) = &self.key_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|source| UpstreamConfigError::File {
            name: self.name.clone(),
            what: "`key_file`",
            path: path.clone(),
            source,
        })?;
        Ok(Some(Secret::new(text.trim())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_says_whose_api_it_is_unless_the_settings_do() {
        let kind = |url: &str, kind| UpstreamConfig { kind, ..UpstreamConfig::single(url) }.kind();
        assert_eq!(kind("https://api.anthropic.com/v1", None), Kind::Anthropic);
        assert_eq!(kind("https://api.anthropic.com.example.org/v1", None), Kind::Openai);
        assert_eq!(kind("http://127.0.0.1:8000/v1", None), Kind::Openai);
        assert_eq!(kind("http://127.0.0.1:8000/v1", Some(Kind::Anthropic)), Kind::Anthropic);
        assert_eq!(kind("https://api.anthropic.com/v1", Some(Kind::Openai)), Kind::Openai);
    }
}
