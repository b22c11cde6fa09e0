//! Values of settings that have a unit or a structure: `30s`, `4MiB`, YAML in one line.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};

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
        serde_saphyr::from_str(text).map(Self).map_err(|error| error.to_string())
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
