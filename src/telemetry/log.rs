//! Log set-up: JSON lines for machines, plain lines for a terminal. Log lines go to standard error; no line
//! carries prompt or answer text.

use std::{
    io::{self, IsTerminal, Write},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    thread::{self, Thread},
    time::Duration,
};

use tracing_subscriber::{EnvFilter, filter::ParseError};

use super::json::Json;

/// How long a line may wait for others, so that they are written together: to write each for itself costs a request
/// more (`make bench`), and so does a channel to a thread that writes (`tracing-appender`).
const WAIT: Duration = Duration::from_millis(20);

/// The most bytes that wait. Whoever reads the log too slowly loses further lines, and holds up no request.
const MOST_WAITING: usize = 4 << 20;

/// The lines that wait.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes the lines that wait; sleeps while there are none. Nothing when the system gives no thread.
static WRITER: LazyLock<Option<Thread>> = LazyLock::new(|| {
    let work = || {
        loop {
            thread::park();
            thread::sleep(WAIT);
            write_out();
        }
    };
    thread::Builder::new().name("log".to_owned()).spawn(work).ok().map(|writer| writer.thread().clone())
});

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_out() {
    /// Held while lines are written, so that they stay in order.
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = lock(&WRITING);
    let lines = std::mem::take(&mut *lock(&LINES));
    // Standard error that can't be written to leaves nowhere to say so.
    let _ = io::stderr().write_all(&lines);
}

/// Takes lines.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = lock(&LINES);
        let is_first = lines.is_empty();
        if lines.len() + line.len() <= MOST_WAITING {
            lines.extend_from_slice(line);
        }
        drop(lines);
        match &*WRITER {
            Some(writer) if is_first => writer.unpark(),
            Some(_) => {}
            None => write_out(),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        write_out();
        Ok(())
    }
}

/// Writes what waits when it is dropped.
#[derive(Debug)]
pub struct Flush(());

impl Drop for Flush {
    fn drop(&mut self) {
        write_out();
    }
}

/// Starts logging with these directives, such as `info` or `demur=debug,hyper=warn`; as JSON lines or plain
/// ones. Colours only on a terminal. The last lines are written when what it returns is dropped.
///
/// # Errors
/// Directives that are none.
pub fn init(directives: &str, json: bool) -> Result<Flush, ParseError> {
    let filter = EnvFilter::builder().parse(directives)?;
    let terminal = io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Lines).with_ansi(terminal);
    // A second call (in tests) keeps the first one's logger.
    let _ = if json { builder.event_format(Json).try_init() } else { builder.with_target(false).try_init() };
    Ok(Flush(()))
}
