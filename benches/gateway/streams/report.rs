//! The figures of streams: medians over rounds, each beside its bar. It is a report: a bar that is missed fails nothing.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Alone, CROWD, CROWD_RATE, Crowd, Own, client::Seen};

/// How much later than direct `hold` may show its first words and its end at 50 tokens a second, in ms.
const FIRST: f64 = 400.0;
const LAST: f64 = 150.0;
/// Characters that may be held at the median.
const HELD: f64 = 160.0;
/// The guard's deadline: nothing in a crowd may be later, in ms.
const DEADLINE: f64 = 2000.0;

/// A bar and what was measured against it.
struct Bar {
    name: &'static str,
    measured: f64,
    limit: f64,
}

/// Everything that is reported: tables with their heads, and bars.
pub(crate) struct Report {
    tables: Vec<(Vec<&'static str>, Vec<Vec<String>>)>,
    bars: Vec<Bar>,
    load: [f64; 2],
}

impl Report {
    pub(super) fn new(alone: &[Alone], crowds: &[Crowd], load: [f64; 2]) -> Self {
        let head = vec![
            "tokens/s",
            "mode",
            "first words (ms)",
            "added",
            "end (ms)",
            "added",
            "characters held, p50",
            "max",
            "CPU",
            "CPU, ms for 1000 tokens",
            "not whole",
        ];
        let crowd_head = vec![
            "streams at once",
            "first words (ms), p50",
            "max",
            "end, p50",
            "max",
            "latest token, p50",
            "max",
            "longest wait, p50",
            "max",
            "not whole",
            "failures",
            "MiB before, 1st half, 2nd half, after",
            "CPU",
            "passes",
            "tokens a pass",
        ];
        let tables = vec![
            (head, alone.iter().map(Alone::row).collect()),
            (crowd_head, crowds.iter().map(Crowd::row).collect()),
        ];
        let mut bars = Vec::new();
        if let Some(hold) = alone.iter().find(|of| of.mode == "hold" && of.rate == 50) {
            let bar = |name, measured, limit| Bar { name, measured, limit };
            bars.push(bar(
                "`hold`, 50 tokens/s: first words later than direct (ms)",
                hold.added(first),
                FIRST,
            ));
            bars.push(bar("`hold`, 50 tokens/s: end later than direct (ms)", hold.added(last), LAST));
            bars.push(bar("`hold`, 50 tokens/s: characters held at the median", median(&hold.held()), HELD));
        }
        for (crowd, own) in crowds.iter().filter_map(|crowd| Some((crowd, crowd.own.as_ref()?))) {
            let latest = most(&crowd.each(|seen| ms(seen.latest())));
            bars.push(Bar {
                name: "100 streams: the latest token of those shown (ms)",
                measured: latest,
                limit: DEADLINE,
            });
            let failed = own.failures + crowd.broken() as f64;
            bars.push(Bar {
                name: "100 streams: detectors that failed, answers that are not whole",
                measured: failed,
                limit: 0.0,
            });
        }
        Self { tables, bars, load }
    }

    /// Tables for people.
    pub(crate) fn to_markdown(&self) -> String {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let [before, after] = self.load;
        let mut out = format!(
            "Streams of {} tokens, {} characters each; load before {before:.1}, after {after:.1}, on {cores} cores.\n",
            super::prose::tokens(&super::prose::page(0)).len(),
            super::prose::page(0).len(),
        );
        for (head, rows) in &self.tables {
            let _ = writeln!(out, "\n| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()));
            for row in rows {
                let _ = writeln!(out, "| {} |", row.join(" | "));
            }
        }
        out.push_str("\n| bar | measured | limit | |\n|---|---|---|---|\n");
        for bar in &self.bars {
            let met = if bar.is_met() { "met" } else { "missed" };
            let _ = writeln!(out, "| {} | {:.0} | {} | {met} |", bar.name, bar.measured, bar.limit);
        }
        out
    }

    /// One object for programs.
    pub(crate) fn to_json(&self) -> Value {
        let table = |(head, rows): &(Vec<&str>, Vec<Vec<String>>)| json!({"head": head, "rows": rows});
        let bars = self.bars.iter().map(
            |bar| json!({"bar": bar.name, "measured": bar.measured, "limit": bar.limit, "met": bar.is_met()}),
        );
        json!({
            "load": self.load,
            "tables": self.tables.iter().map(table).collect::<Vec<_>>(),
            "bars": bars.collect::<Vec<_>>(),
        })
    }
}

impl Bar {
    fn is_met(&self) -> bool {
        self.measured <= self.limit
    }
}

impl Alone {
    /// The median of a figure of the exchanges through Demur.
    fn p50(&self, figure: fn(&Seen) -> f64) -> f64 {
        median(&self.pairs.iter().map(|(through, _)| figure(through)).collect::<Vec<_>>())
    }

    /// The median of what it is more than in the direct exchange beside.
    fn added(&self, figure: fn(&Seen) -> f64) -> f64 {
        let more = self.pairs.iter().map(|(through, direct)| figure(through) - figure(direct));
        median(&more.collect::<Vec<_>>())
    }

    /// Of all events of all exchanges.
    fn held(&self) -> Vec<f64> {
        self.pairs.iter().flat_map(|(through, _)| through.held()).collect()
    }

    fn row(&self) -> Vec<String> {
        let held = self.held();
        let tokens = self.pairs.len() * super::prose::tokens(&super::prose::page(0)).len();
        let broken = self.pairs.iter().filter(|(through, _)| !through.whole).count();
        vec![
            self.rate.to_string(),
            self.mode.to_owned(),
            whole(self.p50(first)),
            whole(self.added(first)),
            whole(self.p50(last)),
            whole(self.added(last)),
            whole(median(&held)),
            whole(most(&held)),
            percent(self.used.as_secs_f64() / self.took.as_secs_f64()),
            whole(self.used.as_secs_f64() * 1e6 / tokens as f64),
            broken.to_string(),
        ]
    }
}

impl Crowd {
    fn each(&self, figure: impl Fn(&Seen) -> f64) -> Vec<f64> {
        self.streams.iter().map(figure).collect()
    }

    /// Answers that were refused or ended early.
    fn broken(&self) -> usize {
        self.streams.iter().filter(|seen| !seen.whole).count()
    }

    fn row(&self) -> Vec<String> {
        let mut row = vec![format!("{CROWD} × {CROWD_RATE} tokens/s, {}", self.name)];
        let figures: [fn(&Seen) -> f64; 4] =
            [first, last, |seen| ms(seen.latest()), |seen| ms(seen.longest_wait())];
        for figure in figures {
            let each = self.each(figure);
            row.extend([whole(median(&each)), whole(most(&each))]);
        }
        row.push(self.broken().to_string());
        let own = self.own.as_ref().map(Own::cells);
        row.extend(own.unwrap_or_else(|| std::array::from_fn(|_| String::new())));
        row
    }
}

impl Own {
    fn cells(&self) -> [String; 5] {
        [
            whole(self.failures),
            self.memory.map(whole).join(", "),
            percent(self.used.as_secs_f64() / self.took.as_secs_f64()),
            whole(self.passes),
            whole(self.tokens / self.passes.max(1.0)),
        ]
    }
}

fn first(seen: &Seen) -> f64 {
    ms(seen.first)
}

fn last(seen: &Seen) -> f64 {
    ms(seen.last)
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn whole(figure: f64) -> String {
    format!("{figure:.0}")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
