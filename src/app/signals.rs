//! What the process does on signals: SIGHUP reloads, SIGTERM and SIGINT stop.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// Asks for a reload at every SIGHUP.
pub(super) fn on_hangup(asked: mpsc::Sender<()>, stop: CancellationToken) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while let Some(Some(())) = stop.run_until_cancelled(hangup.recv()).await {
            let _ = asked.try_send(());
        }
    });
    Ok(())
}

/// Cancelled at the first SIGTERM or SIGINT. A second one ends the process at once.
///
/// # Errors
/// The system won't tell of signals.
pub fn stop() -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = token.clone();
    tokio::spawn(async move {
        let mut next = async || tokio::select! { _ = term.recv() => (), _ = int.recv() => () };
        next().await;
        stop.cancel();
        next().await;
        tracing::warn!("stopped at once by a second signal");
        std::process::exit(130);
    });
    Ok(token)
}
