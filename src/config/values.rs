//! Values of settings that have a unit or a structure: `30s`, `4MiB`, YAML in one line.

use std::{ffi::OsStr, fmt, marker::PhantomData, str::FromStr, time::Duration};

use clap::{
    Arg, Command,
    builder::{TypedValueParser, ValueParserFactory},
    error::ErrorKind,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_saphyr::Location;

/// A length of time with its unit, such as `500ms`, `30s` or `10m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map(Self).map_err(|error| {
            format!("{error}; expected a time with its unit, such as `500ms`, `30s` or `10m`")
        })
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A number of bytes, such as `65536`, `64KiB` or `4MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size; expected bytes, or a number with KiB, MiB or GiB");
        let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let factor: usize = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.parse::<usize>().ok().and_then(|n| n.checked_mul(factor)).map(Self).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A structured setting: a part of the file, or YAML in one line as a flag or variable.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Yaml<T>(pub T);

impl<T: DeserializeOwned> FromStr for Yaml<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        yaml(text).map(Self).map_err(|(line, column, message)| format!("{line}:{column}: {message}"))
    }
}

/// Reads YAML. An error is a line, a column and what is wrong there; it quotes nothing, for settings hold keys.
pub(super) fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, (u64, u64, String)> {
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().unwrap_or(Location::UNKNOWN);
        let message = error.without_snippet().to_string();
        // The parser names the place in its words too.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        (place.line(), place.column(), message)
    })
}

/// clap quotes a wrong value; this parser's errors do not.
#[derive(Clone, Debug)]
pub struct YamlParser<T>(PhantomData<fn() -> T>);

impl<T: DeserializeOwned + Clone + Send + Sync + 'static> ValueParserFactory for Yaml<T> {
    type Parser = YamlParser<T>;

    fn value_parser() -> Self::Parser {
        YamlParser(PhantomData)
    }
}

impl<T: DeserializeOwned + Clone + Send + Sync + 'static> TypedValueParser for YamlParser<T> {
    type Value = Yaml<T>;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Yaml<T>, clap::Error> {
        let text = value.to_str().ok_or_else(|| "it is no UTF-8".to_owned());
        text.and_then(str::parse).map_err(|reason| {
            let setting = arg.map(ToString::to_string).unwrap_or_default();
            let message = format!("invalid YAML for `{setting}`: {reason}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

/// Structured settings may hold keys and hashes, so they are not shown.
impl<T> fmt::Debug for Yaml<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Yaml(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_structure_is_told_by_its_place_and_not_quoted() {
        let error =
            Yaml::<Vec<crate::http::keys::KeyConfig>>::from_str("[{name: a, secret: hunter2}]").unwrap_err();
        assert!(error.starts_with("1:12: ") && error.contains("secret"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!("4MiB".parse(), Ok(Bytes(4 << 20)));
        assert_eq!("512".parse(), Ok(Bytes(512)));
        for wrong in ["", "4MB", "-1", "4 apples", "99999999999GiB"] {
            assert!(wrong.parse::<Bytes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!("1m 30s".parse(), Ok(Period(Duration::from_secs(90))));
        assert!("90".parse::<Period>().unwrap_err().contains("such as `500ms`"));
    }

    #[test]
    fn structured_settings_are_yaml() {
        assert_eq!("[a, b]".parse(), Ok(Yaml(vec!["a".to_owned(), "b".to_owned()])));
        assert!("[a".parse::<Yaml<Vec<String>>>().is_err());
    }
}
