//! `demur policy lint`: every mistake of a policy with its place, and what looks like one.

use std::process::ExitCode;

use super::{BAD, BOLD, DOUBT, GOOD, Policies, counted};
use crate::{
    app,
    guard::{Detectors, reply::Replies},
    policy::{Catalog, Policy, PolicyErrors},
};

/// Compile policies and show every mistake as `file:line:column: message`; exit code 1 if there is one
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    policies: Policies,

    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let replies = match &args.policies.replies {
        Some(folder) => Replies::load(folder)?,
        None => Replies::builtin(),
    };
    let catalog = Detectors::builtin().catalog(replies.names(), replies.notices());
    let mut failed = false;
    for name in args.policies.resolve() {
        failed |= !lint(&name, &catalog, args.strict)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether the policy passes.
fn lint(name: &str, catalog: &Catalog, strict: bool) -> anyhow::Result<bool> {
    let policy = match app::find(name, catalog) {
        Ok(policy) => policy,
        Err(error) => {
            let errors = error.downcast::<PolicyErrors>()?;
            for error in &errors.0 {
                anstream::println!("{error}");
            }
            anstream::println!("{BAD}{name}: {}{BAD:#}", counted(errors.0.len(), "error"));
            return Ok(false);
        }
    };
    for warning in policy.warnings() {
        anstream::println!(
            "{}:{}:{}: {DOUBT}warning:{DOUBT:#} {}",
            warning.file,
            warning.line,
            warning.column,
            warning.message
        );
    }
    let passes = policy.warnings().is_empty() || !strict;
    let style = if passes { GOOD } else { BAD };
    anstream::println!("{BOLD}{name}{BOLD:#}: {style}{}{style:#}", summary(&policy));
    Ok(passes)
}

fn summary(policy: &Policy) -> String {
    let parts = [
        counted(policy.rules().len(), "rule"),
        counted(policy.patterns().len(), "search").replace("searchs", "searches"),
        counted(policy.cases().len(), "case"),
        counted(policy.warnings().len(), "warning"),
    ];
    format!("{} ({})", parts.join(", "), policy.id())
}
