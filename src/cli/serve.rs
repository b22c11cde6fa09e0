//! `demur serve`.

use std::{
    io::{IsTerminal, stderr},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::Context;

use crate::{
    app::{self, App},
    config::{self, LogFormat, Settings},
    http::serve::Drained,
    nn::threads,
    telemetry,
};

/// Serve the guarded model.
///
/// Without an upstream the small model inside answers as `demur-chat`; it is
/// fetched when it is missing. With one, Demur stands in front of it:
///
///     demur serve --upstream http://127.0.0.1:8000/v1
///
/// Every setting can be given as a flag, in the environment as DEMUR_*, or in
/// demur.yaml (the flag's name with underscores). A flag beats the environment,
/// the environment beats the file.
///
/// Policies are read again when their files change, and on SIGHUP. SIGTERM and
/// Ctrl-C let requests under way finish; a second one ends the process at once.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The settings file [default: demur.yaml, when it is there]
    #[arg(short, long, env = "DEMUR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(args: Args) -> ExitCode {
    match serve(args) {
        Ok(Drained::All) => ExitCode::SUCCESS,
        // Requests were cut off: whoever stopped us should know.
        Ok(Drained::CutOff) => ExitCode::FAILURE,
        Err(error) => super::fail(&error),
    }
}

fn serve(args: Args) -> anyhow::Result<Drained> {
    let config = config::resolve(args.settings, args.config.as_deref())?;
    if let Some(local) = &config.local {
        with_threads(local.threads)?;
    }
    let json = config.log_format.map_or_else(|| !stderr().is_terminal(), |format| format == LogFormat::Json);
    let _log = telemetry::log::init(&config.log, json).context("`log`")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let drained = runtime.block_on(async {
        let stop = app::stop()?;
        let app =
            stop.run_until_cancelled(App::build(config)).await.context("stopped before it served")??;
        app.run(stop).await
    });
    // A generation that ignores its cancelled client must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    drained
}

/// Starts this program over with the number of threads for the networks in its environment, which is the only
/// place where candle looks for it (see [`threads`]). The process stays the same one for whoever started it.
fn with_threads(wanted: Option<usize>) -> anyhow::Result<()> {
    if std::env::var_os(threads::VARIABLE).is_some() {
        return Ok(());
    }
    let mut again = Command::new(std::env::current_exe().context("can't find this program's own file")?);
    again.args(std::env::args_os().skip(1)).env(threads::VARIABLE, threads::setting(wanted));
    // It comes back only when it fails.
    Err(again.exec()).context("can't start over with `threads` set")
}
