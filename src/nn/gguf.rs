//! Typed access to the metadata of a GGUF file.
//!
//! Format and key names: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use candle_core::{
    Result, bail,
    quantized::gguf_file::{Content, Value},
};

/// A file's metadata with errors that name the key.
#[derive(Clone, Copy)]
pub struct Metadata<'a>(&'a Content);

impl<'a> Metadata<'a> {
    /// The metadata of an opened file.
    pub fn new(content: &'a Content) -> Self {
        Self(content)
    }

    fn value(self, key: &str) -> Result<&'a Value> {
        match self.0.metadata.get(key) {
            Some(value) => Ok(value),
            None => bail!("the GGUF file lacks the key `{key}`"),
        }
    }

    /// A count or an id.
    ///
    /// # Errors
    /// The key is missing or not a number that fits.
    pub fn number(self, key: &str) -> Result<usize> {
        let number = self.value(key)?.to_u64()?;
        usize::try_from(number)
            .map_err(|_| candle_core::Error::Msg(format!("`{key}` is too large: {number}")))
    }

    /// A floating-point setting.
    ///
    /// # Errors
    /// The key is missing or not a 32-bit float.
    pub fn float(self, key: &str) -> Result<f32> {
        self.value(key)?.to_f32()
    }

    /// A text.
    ///
    /// # Errors
    /// The key is missing or not a string.
    pub fn text(self, key: &str) -> Result<&'a str> {
        self.value(key)?.to_string().map(String::as_str)
    }

    /// A list of texts.
    ///
    /// # Errors
    /// The key is missing or not an array of strings.
    pub fn texts(self, key: &str) -> Result<Vec<&'a str>> {
        self.value(key)?.to_vec()?.iter().map(|item| item.to_string().map(String::as_str)).collect()
    }

    /// A list of integers.
    ///
    /// # Errors
    /// The key is missing or not an array of 32-bit signed integers.
    pub fn integers(self, key: &str) -> Result<Vec<i32>> {
        self.value(key)?.to_vec()?.iter().map(Value::to_i32).collect()
    }
}
