//! Tables: one for the terminal while a row is done, one document for all rows.

use crate::harness::{Line, Outcome, Side, Statistic, Summary};
use crate::rows::hardening;

/// How far from one a ratio may be and still mean that both cost the same: hot rows repeat within this.
const NOISE: f64 = 0.02;

/// Where and how the rows were measured.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The processor, its cores and the operating system.
    pub machine: String,
    /// The compiler that built the benchmarks.
    pub compiler: String,
    /// The command that measures the rows and writes the document.
    pub command: String,
}

impl Setting {
    /// Returns the setting of this process, started by `command`.
    pub fn here(command: String) -> Self {
        let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| model_name(&text));
        let model = model.unwrap_or_else(|| "unknown processor".to_string());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let machine = format!(
            "{model}, {threads} hardware threads, {} {}",
            std::env::consts::OS,
            std::env::consts::ARCH
        );
        Self { machine, compiler: crate::COMPILER.to_string(), command }
    }
}

/// Returns the first model name in the text of `/proc/cpuinfo`.
fn model_name(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// Returns the table of one row for a terminal.
pub fn terminal(outcome: &Outcome) -> String {
    let width = outcome.lines.iter().map(|line| line.name.len()).max().unwrap_or(0).max(11);
    let mut text = format!("{} ({}), {}\n", outcome.title, outcome.id, measured_in(outcome, "ns"));
    text += &format!(
        "  {:width$}  {:>9} {:>9} {:>7} {:>8}\n",
        "contestant", "minimum", "median", "spread", "vs peer"
    );
    for line in &outcome.lines {
        text += &match &line.outcome {
            Ok(summary) => format!(
                "  {:width$}  {:>9} {:>9} {:>6.1}% {:>8}\n",
                line.name,
                nanoseconds(summary.minimum),
                nanoseconds(summary.median),
                100.0 * summary.spread,
                to_best_peer(outcome, line, summary),
            ),
            Err(reason) => format!("  {:width$}  FAILED its check: {reason}\n", line.name),
        };
    }
    text + &format!("  {}\n", verdict(outcome))
}

/// Returns the document of all rows.
pub fn markdown(outcomes: &[Outcome], setting: &Setting) -> String {
    let mut text = format!(
        "# Performance\n\n\
         This file is written by `{}`; nothing in it is typed by hand.\n\n\
         Machine: {}. Compiler: {}.\n\n\
         All contestants of a row run in one process, in turn. The figures are nanoseconds per operation: the minimum, \
         the median, and the distance between the quartiles as a part of the median. Read them as ratios within a row. \
         \"Limit\" is hand-written code without checks, growth or errors; \"context\" solves another problem and is not \
         compared. Rows about memory are no times: their figures say what they are themselves. Allocators live across rounds, except where a row is about new ones; contents are compared before the \
         rounds.\n\n## Ours and the best peer\n\n\
         | row | ours | ns | best peer | ns | ratio | goal |\n|---|---|---|---|---|---|---|\n",
        setting.command, setting.machine, setting.compiler
    );
    for outcome in outcomes {
        text += &overview_line(outcome);
    }
    text += &layers(outcomes);
    for outcome in outcomes {
        text += &section(outcome);
    }
    text
}

/// Returns the table of what the layers cost over the bare slab of the same library; empty without such rows.
fn layers(outcomes: &[Outcome]) -> String {
    let lines: String = outcomes.iter().filter_map(layer).collect();
    if lines.is_empty() {
        return lines;
    }
    format!(
        "\n## What a layer costs over the bare slab\n\n\
         Nanoseconds per pair beyond those of the bare slab of the same library in the same run, and the ratio to it.\n\n\
         | layer | ours | ratio | reference | ratio | part of the reference's cost | wanted ratio |\n\
         |---|---|---|---|---|---|---|\n{lines}"
    )
}

/// Returns the line of a row about a layer.
fn layer(outcome: &Outcome) -> Option<String> {
    let goal = hardening::goal_over_bare(outcome.id)?;
    let time = |wanted: &dyn Fn(&Line) -> bool| {
        let line = outcome.lines.iter().find(|line| wanted(line))?;
        line.outcome.as_ref().ok().map(|summary| outcome.statistic.of(summary))
    };
    let layered = |side| time(&move |line: &Line| line.side == side);
    let bare = |who: &str| time(&|line: &Line| line.side == Side::Context && line.name.starts_with(who));
    let (ours, theirs) = (layered(Side::Ours)?, layered(Side::Peer)?);
    let (our_slab, their_slab) = (bare("ours")?, bare("reference")?);
    let (cost, their_cost) = (ours - our_slab, theirs - their_slab);
    let part = if their_cost > 0.0 { format!("{:.2}", cost / their_cost) } else { "-".to_string() };
    Some(format!(
        "| {} | {cost:.2} | {:.2} | {their_cost:.2} | {:.2} | {part} | {goal:.2} |\n",
        outcome.title.trim_start_matches("layer over a slab: "),
        ours / our_slab,
        theirs / their_slab,
    ))
}

/// Returns the row's line in the first table.
fn overview_line(outcome: &Outcome) -> String {
    let statistic = outcome.statistic;
    let cell = |side| match outcome.best(side, statistic) {
        Some((line, summary)) => format!("{} | {}", line.name, nanoseconds(statistic.of(&summary))),
        None => "- | -".to_string(),
    };
    let ratio = outcome.ratio(statistic).map_or("-".to_string(), |ratio| format!("{ratio:.2}"));
    format!(
        "| {} | {} | {} | {ratio} | {:.2} |\n",
        outcome.title,
        cell(Side::Ours),
        cell(Side::Peer),
        outcome.goal
    )
}

/// Returns the row's own table.
fn section(outcome: &Outcome) -> String {
    let mut text = format!(
        "\n## {}\n\n{}; {} are compared. Alone: `--row {}`.\n\n\
         | contestant | side | minimum | median | spread | vs best peer |\n|---|---|---|---|---|---|\n",
        outcome.title,
        measured_in(outcome, "Nanoseconds"),
        match outcome.statistic {
            Statistic::Minimum => "minima",
            Statistic::Median => "medians",
            Statistic::Figure => "figures, of which there is one each,",
        },
        outcome.id
    );
    for line in &outcome.lines {
        let side = match line.side {
            Side::Ours => "ours",
            Side::Peer => "peer",
            Side::Limit => "limit",
            Side::Context => "context",
        };
        text += &match &line.outcome {
            Ok(summary) => format!(
                "| {} | {side} | {} | {} | {:.1} % | {} |\n",
                line.name,
                nanoseconds(summary.minimum),
                nanoseconds(summary.median),
                100.0 * summary.spread,
                to_best_peer(outcome, line, summary),
            ),
            Err(reason) => format!("| {} | {side} | failed its check: {reason} | - | - | - |\n", line.name),
        };
    }
    text
}

/// Returns what the figures of a row are, where times are said in `times`.
fn measured_in(outcome: &Outcome, times: &str) -> String {
    match outcome.statistic {
        Statistic::Figure => outcome.unit.to_string(),
        _ => format!("{times} per {}", outcome.unit),
    }
}

/// Returns a time with three significant digits or so.
fn nanoseconds(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// Returns how the line compares with the best peer, empty for lines that are not compared.
fn to_best_peer(outcome: &Outcome, line: &Line, summary: &Summary) -> String {
    let statistic = outcome.statistic;
    match outcome.best(Side::Peer, statistic) {
        Some((_, peer)) if line.side != Side::Context => {
            format!("{:.2}", statistic.of(summary) / statistic.of(&peer))
        }
        _ => String::new(),
    }
}

/// Returns the row's conclusion in one line.
fn verdict(outcome: &Outcome) -> String {
    let statistic = outcome.statistic;
    let (Some(ratio), Some((ours, _)), Some((peer, _))) =
        (outcome.ratio(statistic), outcome.best(Side::Ours, statistic), outcome.best(Side::Peer, statistic))
    else {
        return "nothing to compare".to_string();
    };
    let place = match ratio {
        ratio if ratio <= outcome.goal => "goal reached",
        ratio if ratio < 1.0 - NOISE => "ahead",
        ratio if ratio <= 1.0 + NOISE => "level",
        _ => "BEHIND",
    };
    format!("{place}: {} / {} = {ratio:.2} (goal {:.2})", ours.name, peer.name, outcome.goal)
}

#[cfg(test)]
mod tests;
