//! `demur policy`: checks policies, runs their cases, says why a text is judged as it is, and compares two.

mod diff;
mod explain;
mod lint;
mod test;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anstyle::{AnsiColor, Style};
use anyhow::Context;

use super::guard::{Loaded, ModelArgs, load};
use crate::{
    guard::{Guard, Judged, Limits},
    message::Exchange,
    policy::BUILTIN,
    verdict::{Action, Mode, Verdict},
};

/// Check, test, explain and compare policies
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Lint(lint::Args),
    Test(test::Args),
    Explain(explain::Args),
    Diff(diff::Args),
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Lint(args) => lint::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Diff(args) => diff::run(&args),
    }
}

/// Which policies, and the texts they may name.
#[derive(Debug, clap::Args)]
struct Policies {
    /// Files, or names of shipped policies; all shipped ones if none is given
    #[arg(value_name = "POLICY")]
    names: Vec<String>,

    /// A folder of replies and notices that replace the shipped ones, key by key
    #[arg(long, env = "DEMUR_REPLIES", value_name = "DIR")]
    replies: Option<PathBuf>,

    #[command(flatten)]
    model: ModelArgs,
}

impl Policies {
    fn resolve(&self) -> Vec<String> {
        if self.names.is_empty() { BUILTIN.map(str::to_owned).to_vec() } else { self.names.clone() }
    }
}

/// A guard that judges one exchange after the other.
struct Bench {
    runtime: tokio::runtime::Runtime,
    loaded: Loaded,
}

impl Bench {
    fn new(policy: &str, replies: Option<&Path>, model: &ModelArgs) -> anyhow::Result<Self> {
        Self::of(load(policy, replies.map(Path::to_owned), Limits::default(), model)?)
    }

    fn of(loaded: Loaded) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .context("can't start the runtime that detectors run on")?;
        Ok(Self { runtime, loaded })
    }

    fn guard(&self) -> &Arc<Guard> {
        self.loaded.guard()
    }

    fn judge(&self, exchange: Exchange) -> Judged {
        self.runtime.block_on(self.guard().judge(exchange))
    }
}

/// What a policy does about a text, and which rule decides; for a policy in shadow mode, what it would do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decision {
    action: Action,
    rule: Option<Arc<str>>,
}

impl Decision {
    fn of(verdict: &Verdict) -> Self {
        let shadow = verdict.mode == Mode::Shadow;
        let action = if shadow { verdict.would } else { verdict.action };
        let deciding =
            |hit: &&crate::verdict::RuleHit| hit.action == action && (shadow || hit.mode == Mode::Enforce);
        Self { action, rule: verdict.hits.iter().find(deciding).map(|hit| Arc::clone(&hit.rule)) }
    }

    /// The action alone, or with its rule: `refuse (jailbreak)`.
    fn text(&self) -> String {
        match &self.rule {
            Some(rule) => format!("{} ({rule})", self.action),
            None => self.action.to_string(),
        }
    }
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DOUBT: Style = AnsiColor::Yellow.on_default();

/// The colour of an action.
fn style(action: Action) -> Style {
    match action {
        Action::Allow => GOOD,
        Action::Refuse => BAD.bold(),
        _ => DOUBT,
    }
}

/// A text on one line, cut to a length in characters.
fn clip(text: &str, most: usize) -> String {
    let line: String =
        text.chars().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).take(most).collect();
    if text.chars().nth(most).is_some() { format!("{line}…") } else { line }
}

/// `1 case`, `2 cases`.
fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
