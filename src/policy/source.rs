//! Where policies come from: files, and those that ship in the program. Follows `extends`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    error::{PolicyError, PolicyErrors, suggest},
    raw::RawPolicy,
};

/// The shipped policies, by name.
pub const BUILTIN: [&str; 6] = ["default", "patterns", "strict", "children", "workplace", "observe"];

fn builtin_text(name: &str) -> Option<&'static str> {
    Some(match name {
        "default" => include_str!("../../policies/default.yaml"),
        "patterns" => include_str!("../../policies/patterns.yaml"),
        "strict" => include_str!("../../policies/strict.yaml"),
        "children" => include_str!("../../policies/children.yaml"),
        "workplace" => include_str!("../../policies/workplace.yaml"),
        "observe" => include_str!("../../policies/observe.yaml"),
        _ => return None,
    })
}

/// One file of a policy.
pub(super) struct Layer {
    /// Its name in errors.
    pub(super) file: Arc<str>,
    pub(super) path: Option<PathBuf>,
    pub(super) text: String,
    pub(super) raw: RawPolicy,
}

/// The files of a policy: those it extends first, itself last.
pub(super) type Layers = Vec<Layer>;

pub(super) fn from_file(path: &Path) -> Result<Layers, PolicyErrors> {
    let mut gatherer = Gatherer::default();
    gatherer.add_file(path)?;
    Ok(gatherer.layers)
}

pub(super) fn from_builtin(name: &str) -> Result<Layers, PolicyErrors> {
    let mut gatherer = Gatherer::default();
    gatherer.add_builtin(name).unwrap_or_else(|| {
        let message = format!("no shipped policy of that name{}", suggest(name, BUILTIN));
        Err(PolicyError { file: name.to_owned(), line: 0, column: 0, message }.into())
    })?;
    Ok(gatherer.layers)
}

pub(super) fn from_text(file: &str, text: &str) -> Result<Layers, PolicyErrors> {
    let mut gatherer = Gatherer::default();
    gatherer.add(file, None, text.to_owned())?;
    Ok(gatherer.layers)
}

#[derive(Default)]
struct Gatherer {
    layers: Layers,
    /// The files that are being followed: meeting one again is a cycle.
    open: Vec<String>,
    done: BTreeSet<String>,
}

impl Gatherer {
    fn add_file(&mut self, path: &Path) -> Result<(), PolicyErrors> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| PolicyError {
            file: file.clone(),
            line: 0,
            column: 0,
            message: format!("can't read the policy: {error}"),
        })?;
        self.add(&file, Some(path), text)
    }

    fn add_builtin(&mut self, name: &str) -> Option<Result<(), PolicyErrors>> {
        let text = builtin_text(name)?;
        Some(self.add(&format!("policies/{name}.yaml"), None, text.to_owned()))
    }

    fn add(&mut self, file: &str, path: Option<&Path>, text: String) -> Result<(), PolicyErrors> {
        let raw: RawPolicy = serde_saphyr::from_str(&text).map_err(|error| unreadable(file, &error))?;
        self.open.push(file.to_owned());
        if let Some(extends) = &raw.extends {
            let (line, column) = (extends.referenced.line(), extends.referenced.column());
            for base in extends.value.clone().into_vec() {
                self.extend(&base, path).map_err(|mut errors| {
                    // What is wrong in a base is told there; that there is none is told here.
                    for error in errors.0.iter_mut().filter(|error| error.file.is_empty()) {
                        (error.file, error.line, error.column) = (file.to_owned(), line, column);
                    }
                    errors
                })?;
            }
        }
        self.open.pop();
        self.done.insert(file.to_owned());
        self.layers.push(Layer { file: file.into(), path: path.map(Path::to_owned), text, raw });
        Ok(())
    }

    /// A base next to the file first, then a shipped one.
    fn extend(&mut self, base: &str, from: Option<&Path>) -> Result<(), PolicyErrors> {
        let here = |message: String| PolicyError { file: String::new(), line: 0, column: 0, message }.into();
        let folder = from.map(|path| path.parent().unwrap_or(Path::new("")));
        let beside = folder.and_then(|folder| {
            [folder.join(base), folder.join(format!("{base}.yaml"))].into_iter().find(|path| path.is_file())
        });
        // A file called `default.yaml` that extends `default` means the shipped one.
        let itself = beside.as_deref().is_some_and(|path| from == Some(path));
        let beside = beside.filter(|_| !(itself && BUILTIN.contains(&base)));
        let name = match &beside {
            Some(path) => path.display().to_string(),
            None => format!("policies/{base}.yaml"),
        };
        if self.open.contains(&name) {
            return Err(here(format!("`{base}` extends itself: {} -> {name}", self.open.join(" -> "))));
        }
        if self.done.contains(&name) {
            return Ok(());
        }
        match beside {
            Some(path) => self.add_file(&path),
            None => self.add_builtin(base).unwrap_or_else(|| {
                let hint = suggest(base, BUILTIN);
                Err(here(format!("`{base}` is no file beside this one and no shipped policy{hint}")))
            }),
        }
    }
}

/// A text that is no policy at all: the parser knows where and why.
fn unreadable(file: &str, error: &serde_saphyr::Error) -> PolicyErrors {
    let place = error.location();
    let message = error.without_snippet().to_string();
    // The parser names the place in its words too.
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    PolicyError {
        file: file.to_owned(),
        line: place.map_or(0, |place| place.line()),
        column: place.map_or(0, |place| place.column()),
        message,
    }
    .into()
}
