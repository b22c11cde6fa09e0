//! `demur policy test`: runs the cases that policies carry through the real guard.

use std::process::ExitCode;

use super::{BAD, BOLD, Bench, DIM, Decision, GOOD, Policies, clip, counted};
use crate::{
    policy::Case,
    verdict::{Mode, Verdict},
};

/// Run the cases that policies carry; exit code 1 if one fails. Cases of a policy in shadow mode say what it would do
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    policies: Policies,

    /// Show the cases that pass, too
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut failed = 0;
    for name in args.policies.resolve() {
        failed += test(&name, args)?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many cases of a policy fail.
fn test(name: &str, args: &Args) -> anyhow::Result<usize> {
    let bench = Bench::new(name, args.policies.replies.as_deref(), &args.policies.model)?;
    let policy = bench.guard().policy();
    let (mut failed, mut act) = (0, 0);
    for case in policy.cases() {
        let verdict = bench.judge(case.exchange()).verdict;
        act += usize::from(case.action != crate::verdict::Action::Allow);
        let decision = Decision::of(&verdict);
        let as_expected = decision.action == case.action
            && case.rule.as_deref().is_none_or(|rule| has_hit(&verdict, rule, &decision));
        if !as_expected {
            failed += 1;
            show_failure(case, &decision, &verdict);
        } else if args.verbose {
            let text = clip(&case.say, 60);
            anstream::println!("{}: {GOOD}ok{GOOD:#} {} {DIM}{text}{DIM:#}", case.at, decision.text());
        }
    }
    let all = policy.cases().len();
    let kinds = format!("{act} that act, {} to allow", all - act);
    let (style, summary) = match failed {
        0 => (GOOD, format!("{} pass", counted(all, "case"))),
        _ => (BAD, format!("{failed} of {all} cases fail")),
    };
    anstream::println!("{BOLD}{name}{BOLD:#}: {style}{summary}{style:#} ({kinds})");
    Ok(failed)
}

/// Whether this rule matched with the action that was decided: of several equally strong ones each decides.
fn has_hit(verdict: &Verdict, rule: &str, decision: &Decision) -> bool {
    let counts = |mode| mode == Mode::Enforce || verdict.mode == Mode::Shadow;
    verdict.hits.iter().any(|hit| *hit.rule == *rule && hit.action == decision.action && counts(hit.mode))
}

fn show_failure(case: &Case, came: &Decision, verdict: &Verdict) {
    let wanted = Decision { action: case.action, rule: case.rule.as_deref().map(Into::into) };
    anstream::println!(
        "{}: {BAD}expected {}, came {}{BAD:#}: {}",
        case.at,
        wanted.text(),
        came.text(),
        clip(case.answer.as_ref().unwrap_or(&case.say), 100)
    );
    if let Some(why) = &case.why {
        anstream::println!("    the case is there because: {why}");
    }
    let matched: Vec<String> =
        verdict.hits.iter().map(|hit| format!("{} ({})", hit.rule, hit.action)).collect();
    let matched = if matched.is_empty() { "none".to_owned() } else { matched.join(", ") };
    anstream::println!("    rules that matched: {matched}");
    for (failure, _) in &verdict.failures {
        anstream::println!("    the detector `{}` did not judge: {:?}", failure.detector, failure.reason);
    }
}
