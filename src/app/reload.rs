//! Hot reload: when a file of the rules changes, or on SIGHUP, everything is read anew and swapped whole. What
//! does not compile changes nothing.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Loader;
use crate::http::State;

/// Editors and ConfigMaps change a file in several steps; this long after the last one it is read.
const SETTLE: Duration = Duration::from_millis(150);

/// Watches the files of the rules, and SIGHUP, until `stop` is cancelled. Dropping the watcher ends it too.
///
/// # Errors
/// The system can't watch the folders.
pub(super) fn watch(
    state: &State,
    loader: &Arc<Loader>,
    stop: &CancellationToken,
) -> anyhow::Result<RecommendedWatcher> {
    let (asked, mut asks) = mpsc::channel::<()>(1);
    let on_change = asked.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // One ask that waits is enough.
            let _ = on_change.try_send(());
        }
    })
    .context("can't watch files")?;
    for folder in folders(&loader.sources(&state.gateway.rules())) {
        watcher
            .watch(&folder, RecursiveMode::NonRecursive)
            .with_context(|| format!("can't watch `{}`", folder.display()))?;
    }
    super::signals::on_hangup(asked, stop.clone())?;
    let (state, loader, stop) = (Arc::clone(state), Arc::clone(loader), stop.clone());
    tokio::spawn(async move {
        while let Some(Some(())) = stop.run_until_cancelled(asks.recv()).await {
            settle(&mut asks).await;
            reload(&state, &loader).await;
        }
    });
    Ok(watcher)
}

/// Waits until no further change has come for a while.
async fn settle(asks: &mut mpsc::Receiver<()>) {
    while let Ok(Some(())) = tokio::time::timeout(SETTLE, asks.recv()).await {}
}

async fn reload(state: &State, loader: &Arc<Loader>) {
    let reader = Arc::clone(loader);
    let loaded = tokio::task::spawn_blocking(move || reader.load()).await;
    match loaded {
        Ok(Ok(rules)) => {
            let policies: Vec<String> =
                rules.guards.all().map(|guard| guard.policy().id().to_string()).collect();
            state.gateway.replace_rules(rules);
            state.metrics.policy_loads.with_label_values(&["ok"]).inc();
            tracing::info!(policies = policies.join(", "), "policies reloaded");
        }
        Ok(Err(error)) => {
            state.metrics.policy_loads.with_label_values(&["error"]).inc();
            tracing::error!(
                error = format!("{error:#}"),
                "policies not reloaded: the last good ones go on serving"
            );
        }
        Err(_) => {
            state.metrics.policy_loads.with_label_values(&["error"]).inc();
            tracing::error!("policies not reloaded: reading them panicked");
        }
    }
}

/// The folders to watch: files are replaced rather than written by many editors, and a watch on the old file
/// would see nothing.
fn folders(sources: &[PathBuf]) -> BTreeSet<PathBuf> {
    sources
        .iter()
        .filter_map(|source| match source.is_dir() {
            true => Some(source.clone()),
            false => source
                .parent()
                .map(|parent| if parent == Path::new("") { ".".into() } else { parent.to_owned() }),
        })
        .collect()
}
