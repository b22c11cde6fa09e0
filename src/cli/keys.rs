//! `demur keys`: makes API keys for callers. Only the hash belongs into the settings.

use std::process::ExitCode;

use uuid::Uuid;

use crate::http::keys::hash;

/// Make API keys for callers.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key: printed once; the settings keep its hash
    New {
        /// A name for logs and for choosing a policy
        #[arg(long, default_value = "client")]
        name: String,
    },
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Command::New { name } = &args.command;
    // 244 random bits from the system's generator.
    let key = format!("dm-{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    anstream::println!("# give this to the caller; it is not kept anywhere\n# {key}\n");
    anstream::println!("# and this into demur.yaml\nkeys:\n  - name: {name}\n    sha256: {}", hash(&key));
    Ok(ExitCode::SUCCESS)
}
