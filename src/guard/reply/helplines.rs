//! Help lines by region: whom a person in distress can call, and the emergency number.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    error::{RepliesError, Spot},
    file, language,
};

/// The built-in help lines, YAML.
const BUILTIN: &str = include_str!("../../../policies/replies/helplines.yaml");

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HelplinesFile {
    international: Option<Region>,
    #[serde(default)]
    regions: BTreeMap<String, Spanned<Region>>,
}

/// What a region offers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Region {
    /// The region's name in its own language; shown when lines of several regions stand together.
    #[serde(default)]
    name: String,
    /// The number to call when a life is in danger.
    emergency: String,
    /// Lines to talk to someone.
    #[serde(default)]
    lines: Vec<Line>,
}

/// One help line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// What it calls itself.
    name: String,
    /// Its number or address.
    contact: String,
}

/// The help lines of all regions, and those for everywhere else.
#[derive(Clone, Debug)]
pub(super) struct Helplines {
    international: Region,
    regions: BTreeMap<String, Region>,
}

impl Helplines {
    /// The lines in the box.
    pub(super) fn builtin() -> Result<Self, RepliesError> {
        let path = Path::new("policies/replies/helplines.yaml");
        let file: HelplinesFile = file::parse(BUILTIN, path)?;
        let international =
            file.international.clone().expect("the built-in help lines name the international ones");
        let mut helplines = Self { international, regions: BTreeMap::new() };
        helplines.add(file, path)?;
        Ok(helplines)
    }

    /// Puts the regions of a file in place of the ones that are there.
    pub(super) fn override_with(&mut self, yaml: &str, path: &Path) -> Result<(), RepliesError> {
        self.add(file::parse(yaml, path)?, path)
    }

    fn add(&mut self, file: HelplinesFile, path: &Path) -> Result<(), RepliesError> {
        for (code, region) in file.regions {
            if !language::is_region(&code) {
                return Err(RepliesError::Region { spot: Spot::new(path, region.referenced), code });
            }
            self.regions.insert(code, region.value);
        }
        if let Some(international) = file.international {
            self.international = international;
        }
        Ok(())
    }

    /// The regions to show, with their codes: the one asked for, else those where the language is spoken.
    /// Unknown ones are left out.
    fn choose<'a>(&'a self, region: Option<&str>, language: &str) -> Vec<(&'a str, &'a Region)> {
        let get = |code: &str| self.regions.get_key_value(code).map(|(code, region)| (code.as_str(), region));
        match region {
            Some(code) => get(&code.to_ascii_uppercase()).into_iter().collect(),
            None => {
                let spoken = language::builtin(language).map_or(&[][..], |language| language.regions);
                spoken.iter().copied().filter_map(get).collect()
            }
        }
    }

    /// The lines as a list, one a line; the international ones always come last.
    pub(super) fn list(&self, region: Option<&str>, language: &str) -> String {
        let chosen = self.choose(region, language);
        let mut list = Vec::new();
        for (_, region) in &chosen {
            for Line { name, contact } in &region.lines {
                list.push(match chosen.len() {
                    1 => format!("- {name}: {contact}"),
                    _ => format!("- {} – {name}: {contact}", region.name),
                });
            }
        }
        list.extend(self.international.lines.iter().map(|line| format!("- {}: {}", line.name, line.contact)));
        list.join("\n")
    }

    /// The emergency number; where several regions have different ones, each with its regions:
    /// `911 (US, CA), 999 (GB)`.
    pub(super) fn emergency(&self, region: Option<&str>, language: &str) -> String {
        let mut numbers: Vec<(&str, Vec<&str>)> = Vec::new();
        for (code, region) in self.choose(region, language) {
            match numbers.iter_mut().find(|(number, _)| *number == region.emergency) {
                Some((_, codes)) => codes.push(code),
                None => numbers.push((&region.emergency, vec![code])),
            }
        }
        match &numbers[..] {
            [] => self.international.emergency.clone(),
            [(number, _)] => (*number).to_owned(),
            several => {
                let each = several.iter().map(|(number, codes)| format!("{number} ({})", codes.join(", ")));
                each.collect::<Vec<_>>().join(", ")
            }
        }
    }
}
