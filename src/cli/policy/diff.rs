//! `demur policy diff`: what changes for a file of texts when one policy takes the place of another.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use super::super::guard::ModelArgs;
use super::{BOLD, Bench, DIM, Decision, clip, counted, style};
use crate::{
    message::{Direction, Exchange, Place, Role, Segment},
    verdict::Action,
};

/// Run a file of texts through two policies and show what changes
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy in force: a file, or the name of a shipped one
    #[arg(value_name = "OLD")]
    old: String,
    /// The policy that shall take its place
    #[arg(value_name = "NEW")]
    new: String,
    /// The texts: one a line, or JSON rows with `text` (and perhaps `role` and `context`); may be gzipped
    file: PathBuf,

    /// A folder of replies and notices that replace the shipped ones, key by key
    #[arg(long, env = "DEMUR_REPLIES", value_name = "DIR")]
    replies: Option<PathBuf>,

    #[command(flatten)]
    model: ModelArgs,

    /// Show at most so many of the texts that are judged differently
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: usize,

    /// Print one JSON object; it names lines, not texts
    #[arg(long)]
    json: bool,
}

/// A row of a file of texts.
#[derive(Debug, Deserialize)]
struct Row {
    text: String,
    role: Option<Role>,
    /// What `text` answers.
    context: Option<String>,
}

impl Row {
    /// A line of a file: a JSON object, else the text itself.
    fn parse(line: &str) -> Result<Self, serde_json::Error> {
        if line.starts_with('{') {
            return serde_json::from_str(line);
        }
        Ok(Self { text: line.to_owned(), role: None, context: None })
    }

    fn exchange(self) -> Exchange {
        let role = self.role.unwrap_or(if self.context.is_some() { Role::Assistant } else { Role::User });
        let context: Arc<[Segment]> =
            self.context.map(|text| Segment::bare(Direction::Input, text)).into_iter().collect();
        if role == Role::Assistant {
            return Exchange::output(vec![Segment::bare(Direction::Output, self.text)], context);
        }
        let segment = Segment { role, place: Place::of(role), ..Segment::bare(Direction::Input, self.text) };
        Exchange {
            direction: Direction::Input,
            segments: Arc::from([segment]),
            context,
            caller: None,
            media: 0,
        }
    }
}

/// A text that the two policies judge differently.
#[derive(Debug, Serialize)]
struct Change {
    line: usize,
    from: Side,
    to: Side,
    #[serde(skip)]
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Side {
    action: Action,
    rule: Option<Arc<str>>,
}

impl From<Decision> for Side {
    fn from(decision: Decision) -> Self {
        Self { action: decision.action, rule: decision.rule }
    }
}

/// How often one decision became another.
#[derive(Debug, Serialize)]
struct Transition {
    from: Side,
    to: Side,
    texts: usize,
}

#[derive(Debug, Serialize)]
struct Report {
    old: String,
    new: String,
    texts: usize,
    changed: usize,
    transitions: Vec<Transition>,
    changes: Vec<Change>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let replies = args.replies.as_deref();
    let (old, new) =
        (Bench::new(&args.old, replies, &args.model)?, Bench::new(&args.new, replies, &args.model)?);
    let report = compare(&old, &new, &args.file)?;
    if args.json {
        anstream::println!("{}", serde_json::to_string(&report)?);
    } else {
        show(&report, args);
    }
    Ok(ExitCode::SUCCESS)
}

fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    let file = File::open(path).with_context(|| format!("can't read `{}`", path.display()))?;
    let gzipped = path.extension().is_some_and(|extension| extension == "gz");
    let plain: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(Box::new(BufReader::new(plain)))
}

fn compare(old: &Bench, new: &Bench, path: &Path) -> anyhow::Result<Report> {
    let mut texts = 0;
    let mut changes = Vec::new();
    let mut transitions: BTreeMap<(Side, Side), usize> = BTreeMap::new();
    for (at, line) in open(path)?.lines().enumerate() {
        let place = || format!("{}:{}", path.display(), at + 1);
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let row = Row::parse(&line)
            .with_context(|| format!("{}: expected a text, or a JSON object with `text`", place()))?;
        texts += 1;
        let text = clip(&row.text, 80);
        let exchange = row.exchange();
        let side = |bench: &Bench| Side::from(Decision::of(&bench.judge(exchange.clone()).verdict));
        let (from, to) = (side(old), side(new));
        if from != to {
            *transitions.entry((from.clone(), to.clone())).or_default() += 1;
            changes.push(Change { line: at + 1, from, to, text });
        }
    }
    let mut transitions: Vec<Transition> =
        transitions.into_iter().map(|((from, to), texts)| Transition { from, to, texts }).collect();
    transitions.sort_by_key(|transition| std::cmp::Reverse(transition.texts));
    Ok(Report {
        old: old.guard().policy().id().to_string(),
        new: new.guard().policy().id().to_string(),
        texts,
        changed: changes.len(),
        transitions,
        changes,
    })
}

fn show(report: &Report, args: &Args) {
    for change in report.changes.iter().take(args.limit) {
        let place = format!("{}:{}", args.file.display(), change.line);
        anstream::println!(
            "{place}: {} -> {}  {DIM}{}{DIM:#}",
            coloured(&change.from),
            coloured(&change.to),
            change.text
        );
    }
    let more = report.changed.saturating_sub(args.limit);
    if more > 0 {
        anstream::println!("{DIM}… and {more} more; `--limit` shows them{DIM:#}");
    }
    if report.changed > 0 {
        anstream::println!();
    }
    for Transition { from, to, texts } in &report.transitions {
        anstream::println!("{texts:>7}  {} -> {}", coloured(from), coloured(to));
    }
    anstream::println!(
        "{BOLD}{} of {} change{BOLD:#} from {} to {}",
        report.changed,
        counted(report.texts, "text"),
        report.old,
        report.new
    );
}

fn coloured(side: &Side) -> String {
    let colour = style(side.action);
    let rule = side.rule.as_ref().map(|rule| format!(" ({rule})")).unwrap_or_default();
    format!("{colour}{}{colour:#}{rule}", side.action)
}
