//! The command line. Each command is a module with a `run`; nothing is decided here.

mod check;
mod eval;
mod guard;
mod keys;
mod models;
mod policy;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

/// A safety guardrail gateway for language models: it judges prompts and answers, and declines politely.
#[derive(Debug, Parser)]
#[command(name = "demur", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Check(check::Args),
    Eval(eval::Args),
    Policy(policy::Args),
    Models(models::Args),
    Keys(keys::Args),
    /// Print completions for a shell, such as `demur completions bash > /etc/bash_completion.d/demur`
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Parses the arguments, runs the command, and turns an error into one line on standard error.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => return serve::run(*args),
        Command::Check(args) => check::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Policy(args) => policy::run(args),
        Command::Models(args) => models::run(args),
        Command::Keys(args) => keys::run(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "demur", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| fail(&error))
}

/// Exit code for wrong settings or arguments, as clap's own.
const USAGE: u8 = 2;

fn fail(error: &anyhow::Error) -> ExitCode {
    anstream::eprintln!("demur: {error:#}");
    ExitCode::from(USAGE)
}
