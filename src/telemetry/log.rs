//! Log set-up: JSON lines for machines, plain lines for a terminal. Log lines go to standard error; no line
//! carries prompt or answer text.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError};

/// Starts logging with these directives, such as `info` or `demur=debug,hyper=warn`; as JSON lines or plain
/// ones. Colours only on a terminal.
///
/// # Errors
/// Directives that are none.
pub fn init(directives: &str, json: bool) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(directives)?;
    let terminal = io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(terminal);
    // A second call (in tests) keeps the first one's logger.
    let _ = if json {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        builder.with_target(false).try_init()
    };
    Ok(())
}
