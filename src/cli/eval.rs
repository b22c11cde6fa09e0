//! `demur eval`: scores labelled rows against a policy.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::guard::GuardArgs;
use crate::{
    eval::{Book, Chapter, Figures, Line, Outcome, Report, Rows, Tax, judge_all, page, table},
    guard::Guard,
    nn::threads,
};

/// Score labelled rows against a policy.
///
/// Rows are JSON Lines, packed by gzip or not: {"text": ..., "context": ...,
/// "role": ..., "unsafe": 0|1, "jailbreak": 0|1, "injection": 0|1, "toxic": 0|1,
/// "refusal": 0|1}. A row with a context is judged as an answer to it; a tool's
/// content (role "tool") as input beside it. Labels may be absent or null.
///
/// A label's score is that of the guard model's signal (unsafe is guard.harm,
/// toxic is guard.toxicity). Without a guard model it is the strongest action that
/// a rule about the label asks for, from log (1/6) to refuse (1); redactions do
/// not count.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Files of rows (.jsonl, .jsonl.gz)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    guard: GuardArgs,

    /// From which score on a row counts as positive, for F1, recall and the false-positive rate
    #[arg(long, default_value_t = 0.5, value_name = "SCORE")]
    threshold: f64,

    /// Rows that are judged at once [default: the number of cores]
    #[arg(long, value_name = "N")]
    at_once: Option<usize>,

    /// Print one JSON object for each file
    #[arg(long)]
    json: bool,

    /// Write a report with pictures, the worst mistakes and the alignment tax: a page (.html) or data (.json)
    #[arg(long, value_name = "FILE", value_parser = report_path)]
    report: Vec<PathBuf>,

    /// Show the texts of the worst mistakes in reports; else they stand there by name and line
    #[arg(long)]
    show_texts: bool,
}

fn report_path(path: &str) -> Result<PathBuf, String> {
    match Path::new(path).extension().and_then(|extension| extension.to_str()) {
        Some("html" | "json") => Ok(path.into()),
        _ => Err("expected a name that ends in .html or .json".to_owned()),
    }
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = args.guard.load()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut files, mut chapters) = (BTreeMap::new(), Vec::new());
    for file in &args.files {
        let (report, outcomes) = runtime.block_on(report(loaded.guard(), file, args))?;
        if args.json {
            anstream::println!("{}", serde_json::to_string(&report)?);
        } else {
            print(&report);
        }
        chapters.push(Chapter::new(report, args.show_texts));
        files.insert(stem(file), outcomes);
    }
    let quality = table(&files);
    if !args.json {
        print_quality(&quality);
    }
    if !args.report.is_empty() {
        let tax = Tax::new(files.values().flatten());
        let policy = loaded.guard().policy().id().to_string();
        write(&Book { policy, quality, tax, files: chapters }, &args.report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The file's name without its endings.
fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn write(book: &Book, paths: &[PathBuf]) -> anyhow::Result<()> {
    for path in paths {
        let is_page = path.extension().is_some_and(|extension| extension == "html");
        let text = if is_page { page(book)? } else { serde_json::to_string_pretty(book)? };
        std::fs::write(path, text).with_context(|| format!("can't write `{}`", path.display()))?;
        anstream::eprintln!("report: {}", path.display());
    }
    Ok(())
}

async fn report(guard: &Arc<Guard>, file: &Path, args: &Args) -> anyhow::Result<(Report, Vec<Outcome>)> {
    // Reading them once more is cheap beside judging them, and gives the bar its length.
    let rows = if stderr().is_terminal() { Rows::open(file)?.count() } else { 0 };
    let bar = ProgressBar::new(rows as u64).with_style(style());
    bar.set_message(file.display().to_string());
    let at_once = args.at_once.unwrap_or_else(threads::possible);
    let outcomes = judge_all(guard, Rows::open(file)?, at_once, || bar.inc(1)).await?;
    bar.finish_and_clear();
    Ok((Report::new(&file.display().to_string(), &outcomes, args.threshold), outcomes))
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos} of {len}, {per_sec}, {eta} left");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn print(report: &Report) {
    let bold = anstyle::Style::new().bold();
    let Report { file, rows, refused, latency_ms, .. } = report;
    anstream::println!("{bold}{file}{bold:#}: {rows} rows");
    if !report.signals.is_empty() {
        anstream::println!(
            "  {:<10} {:>6} {:>9} {:>6} {:>6} {:>6} {:>6} {:>6}",
            "",
            "n",
            "positive",
            "AUROC",
            "AUPRC",
            "F1",
            "recall",
            "FPR"
        );
    }
    for (name, Figures { n, positives, auroc, auprc, f1, recall, fpr, .. }) in &report.signals {
        let [auroc, auprc, f1, recall, fpr] = [auroc, auprc, f1, recall, fpr].map(|figure| number(*figure));
        anstream::println!(
            "  {name:<10} {n:>6} {positives:>9} {auroc:>6} {auprc:>6} {f1:>6} {recall:>6} {fpr:>6}"
        );
    }
    let [all, harmful, safe] = [refused.all, refused.harmful, refused.safe].map(percent);
    anstream::println!("  refused: {all} of all, {harmful} of unsafe, {safe} of safe");
    let actions: Vec<String> = report
        .actions
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(action, count)| format!("{action} {count}"))
        .collect();
    anstream::println!("  actions: {}", actions.join(", "));
    anstream::println!("  latency: p50 {} ms, p99 {} ms\n", number(latency_ms.p50), number(latency_ms.p99));
}

/// The quality table, where the files are those of it.
fn print_quality(lines: &[Line]) {
    for line in lines {
        let (sign, told) = (if line.up { '≥' } else { '≤' }, if line.is_met() { "met" } else { "missed" });
        anstream::println!("{:<34} {:.3}   {sign} {:<5} {told}", line.what, line.value, line.bar);
        for (file, value) in line.parts.iter().filter(|_| line.parts.len() > 1) {
            anstream::println!("  {file:<32} {value:.3}");
        }
    }
}

fn number(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}
