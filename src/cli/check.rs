//! `demur check`: judges texts from the command line.

use std::{
    io::{IsTerminal, Read, stdin},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anstyle::{AnsiColor, Style};
use anyhow::{Context, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::guard::{GuardArgs, Loaded};
use crate::{
    dialect::native::CheckResponse,
    eval::Rows,
    gateway::Checked,
    message::{Direction, Exchange, Segment},
    verdict::Action,
};

/// Judge a text, a file, or rows of texts.
///
///     demur check "How do I kill a Python process?"
///     demur check --file letter.txt --direction output --context "Write a letter"
///     demur check --jsonl rows.jsonl --json
///
/// Without a text, standard input is read. The exit code is 0 whatever the
/// verdict, unless --fail-on says otherwise; 2 when nothing could be judged.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The text; `-` reads standard input
    #[arg(value_name = "TEXT", conflicts_with_all = ["file", "jsonl"])]
    text: Option<String>,

    /// A file that holds the text
    #[arg(short, long, value_name = "FILE", conflicts_with = "jsonl")]
    file: Option<PathBuf>,

    /// A file of rows, each an object with `text` and perhaps `context` and `role` (.jsonl, .jsonl.gz)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["direction", "context"])]
    jsonl: Option<PathBuf>,

    /// Which way the text travels: a question or an answer [default: input, or output with --context]
    #[arg(short, long, value_parser = PossibleValuesParser::new(["input", "output"]).map(|way| direction(&way)))]
    direction: Option<Direction>,

    /// The question that the text answers
    #[arg(short, long, value_name = "TEXT")]
    context: Option<String>,

    #[command(flatten)]
    guard: GuardArgs,

    /// The language of the reply, such as de [default: that of the text]
    #[arg(long, value_name = "CODE")]
    language: Option<String>,

    /// The region for help lines, such as DE
    #[arg(long, env = "DEMUR_REGION", value_name = "CODE")]
    region: Option<String>,

    /// Exit with 1 when the action is this or a stronger one
    #[arg(long, value_name = "ACTION", value_parser = PossibleValuesParser::new(Action::ALL.map(Action::as_str)).try_map(|name| name.parse::<Action>()))]
    fail_on: Option<Action>,

    /// Print one JSON object for each text, of the form that POST /v1/guard/check answers
    #[arg(long)]
    json: bool,
}

fn direction(name: &str) -> Direction {
    if name == "output" { Direction::Output } else { Direction::Input }
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = args.guard.load()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut strongest = Action::Allow;
    let mut check = |name: Option<String>, exchange: Exchange| -> anyhow::Result<()> {
        let checked = runtime.block_on(judge(&loaded, exchange, args));
        strongest = strongest.max(checked.judged.verdict.action);
        print(checked, name.as_deref(), args.json)
    };
    if let Some(path) = &args.jsonl {
        for (i, row) in Rows::open(path)?.enumerate() {
            check(Some(format!("{}, row {}", path.display(), i + 1)), row?.into_exchange())?;
        }
    } else {
        let direction = args.direction.unwrap_or(match args.context {
            Some(_) => Direction::Output,
            None => Direction::Input,
        });
        let segments = Arc::from([Segment::bare(direction, text(args)?)]);
        let context: Arc<[Segment]> =
            args.context.iter().map(|text| Segment::bare(Direction::Input, text.clone())).collect();
        check(None, Exchange { direction, segments, context, caller: None, media: 0 })?;
    }
    let failed = args.fail_on.is_some_and(|action| strongest >= action);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn judge(loaded: &Loaded, exchange: Exchange, args: &Args) -> Checked {
    let judged = loaded.guard().judge(exchange).await;
    Checked::new(judged, loaded.replies(), args.language.as_deref(), args.region.as_deref())
}

fn text(args: &Args) -> anyhow::Result<String> {
    match (&args.file, args.text.as_deref()) {
        (Some(path), _) => {
            std::fs::read_to_string(path).with_context(|| format!("can't read `{}`", path.display()))
        }
        (None, Some(text)) if text != "-" => Ok(text.to_owned()),
        (None, None) if stdin().is_terminal() => {
            bail!("nothing to judge; give a text, --file, --jsonl or standard input")
        }
        _ => {
            let mut text = String::new();
            stdin().read_to_string(&mut text).context("can't read standard input")?;
            Ok(text)
        }
    }
}

fn print(checked: Checked, name: Option<&str>, json: bool) -> anyhow::Result<()> {
    let texts: Vec<Arc<str>> =
        checked.judged.segments().iter().map(|segment| Arc::clone(&segment.text)).collect();
    let spans: Vec<_> = checked.judged.verdict.findings.iter().map(|f| (f.segment, f.span.clone())).collect();
    let (action, took) = (checked.judged.verdict.action, checked.judged.took);
    let response = checked.into_response();
    if json {
        anstream::println!("{}", serde_json::to_string(&response)?);
        return Ok(());
    }
    let CheckResponse { verdict, reply, redacted, notices } = response;
    let (style, dim) = (style(action), Style::new().dimmed());
    let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
    let ms = took.as_secs_f64() * 1e3;
    anstream::println!("{name}{style}{action}{style:#}  {dim}{} in {ms:.1} ms{dim:#}", verdict.policy);
    for rule in &verdict.rules {
        let shadow = if rule.mode == "shadow" { ", in shadow" } else { "" };
        let hazard = rule.hazard.map(|hazard| format!(" ({hazard})")).unwrap_or_default();
        anstream::println!("  rule     {}: {}{hazard}{shadow}", rule.id, rule.action);
    }
    for (finding, (segment, span)) in verdict.findings.iter().zip(spans) {
        let place = span.map(|span| {
            let found = texts.get(segment).and_then(|text| text.get(span.clone())).unwrap_or_default();
            format!(" at {}..{}: {}", span.start, span.end, excerpt(found))
        });
        anstream::println!("  found    {} {:.2}{}", finding.signal, finding.score, place.unwrap_or_default());
    }
    for failure in &verdict.failures {
        anstream::println!("  failed   {}: {}, {}", failure.detector, failure.reason, failure.outcome);
    }
    let texts = reply.map(|text| ("reply", text)).into_iter().chain(redacted.map(|text| ("redacted", text)));
    for (what, text) in texts.chain(notices.into_iter().map(|text| ("notice", text))) {
        anstream::println!("  {what:<8} {}", text.trim_end().replace('\n', "\n           "));
    }
    Ok(())
}

/// What was found, in a line.
fn excerpt(found: &str) -> String {
    let line: String = found.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() < found.len() { format!("{line}…") } else { line }
}

fn style(action: Action) -> Style {
    let color = match action {
        Action::Allow => AnsiColor::Green,
        Action::Log | Action::Review => AnsiColor::Cyan,
        Action::Warn | Action::Steer => AnsiColor::Yellow,
        Action::Redact => AnsiColor::Magenta,
        Action::Refuse => AnsiColor::Red,
    };
    color.on_default().bold()
}
