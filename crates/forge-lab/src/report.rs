//! A comparison as text, Markdown or JSON.
//!
//! # Design
//!
//! A figure that was not measured prints as `n/a`, never as 0. A row that may mislead carries its reason: an arena that
//! never reuses memory, a contestant that failed requests and so did less work, one that broke down. The footnotes say
//! what each figure is and is not, in the same output, because a table travels without its documentation.

use serde_json::{Value, json};

use crate::comparison::{Comparison, Figures, Row};
use crate::machine::Machine;
use crate::measurement::{Latency, Run};
use crate::statistics::median;
use crate::table::{Align, Table};

const ABSENT: &str = "n/a";

const COLUMNS: [(&str, Align); 13] = [
    ("rank", Align::Right),
    ("allocator", Align::Left),
    ("ns/op", Align::Right),
    ("spread", Align::Right),
    ("p50", Align::Right),
    ("p99", Align::Right),
    ("p99.9", Align::Right),
    ("max", Align::Right),
    ("peak RSS", Align::Right),
    ("peak live", Align::Right),
    ("frag", Align::Right),
    ("failed", Align::Right),
    ("note", Align::Left),
];

/// Renders for a terminal.
pub(crate) fn text(comparison: &Comparison, machine: &Machine) -> String {
    let figures = comparison.figures();
    let mut out = format!("{}\n{}\n{}\n\n", comparison.title, trace_line(comparison), machine.line());
    out.push_str(&table(comparison, &figures).text());
    out.push('\n');
    for line in footnotes(comparison, &figures) {
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// Renders as Markdown.
pub(crate) fn markdown(comparison: &Comparison, machine: &Machine) -> String {
    let figures = comparison.figures();
    let mut out = format!("### {}\n\n{}\n\n{}\n\n", comparison.title, trace_line(comparison), machine.line());
    out.push_str(&table(comparison, &figures).markdown());
    out.push('\n');
    for line in footnotes(comparison, &figures) {
        out.push_str(&format!("- {line}\n"));
    }
    out
}

/// Returns everything that was measured, and the figures of the table, as JSON. Times are in nanoseconds.
pub(crate) fn json(comparisons: &[Comparison], machine: &Machine) -> Value {
    json!({
        "format": "forge-lab compare",
        "version": 1,
        "machine": machine.json(),
        "comparisons": comparisons.iter().map(comparison_json).collect::<Vec<_>>(),
    })
}

fn comparison_json(comparison: &Comparison) -> Value {
    let stats = &comparison.stats;
    let rows: Vec<Value> = comparison.figures().iter().map(|(row, figures)| row_json(row, figures)).collect();
    json!({
        "trace": {
            "title": comparison.title,
            "events": stats.events,
            "blocks": stats.blocks,
            "resizes": stats.resizes,
            "frees": stats.frees,
            "threads": comparison.threads,
            "peak_live_bytes": stats.peak_live_bytes,
            "peak_live_blocks": stats.peak_live_blocks,
            "requested_bytes": stats.requested_bytes,
        },
        "replay_ns_per_operation": comparison.replay_per_operation(),
        "contestants": rows,
    })
}

fn row_json(row: &Row, figures: &Figures) -> Value {
    json!({
        "name": row.contestant.name,
        "about": row.contestant.about,
        "note": row.contestant.note,
        "breakdown": row.breakdown,
        "rank": figures.place.map(|place| json!({ "place": place.number, "shared": place.shared })),
        "ns_per_operation": figures.per_operation.map(|summary| json!({
            "median": summary.median,
            "spread": summary.spread,
            "minimum": summary.minimum,
            "maximum": summary.maximum,
            "runs": figures.timed_runs,
        })),
        "latency_ns": figures.latency.map(|latency| json!({
            "p50": latency.p50,
            "p99": latency.p99,
            "p999": latency.p999,
            "max": latency.max,
            "clock_overhead": latency.clock_overhead,
            "clock_step": latency.clock_step,
            "runs": figures.latency_runs,
        })),
        "peak_rss_bytes": figures.peak_rss,
        "fragmentation": figures.fragmentation,
        "failures": figures.failures,
        "runs": row.runs.iter().map(Run::json).collect::<Vec<_>>(),
    })
}

fn trace_line(comparison: &Comparison) -> String {
    let stats = &comparison.stats;
    let threads = match comparison.threads {
        0 | 1 => "1 thread".to_string(),
        threads => format!("{threads} threads, replayed by one in the recorded order"),
    };
    format!(
        "{} events, {} blocks, {} resizes, peak live {} in {} blocks, {threads}",
        grouped(stats.events as u64),
        grouped(stats.blocks as u64),
        grouped(stats.resizes as u64),
        bytes(stats.peak_live_bytes),
        grouped(stats.peak_live_blocks as u64),
    )
}

fn table(comparison: &Comparison, figures: &[(&Row, Figures)]) -> Table {
    let mut table = Table::new(&COLUMNS);
    for (row, figures) in figures {
        table.push(cells(row, figures, comparison.stats.peak_live_bytes));
    }
    table
}

fn cells(row: &Row, figures: &Figures, peak_live_bytes: u64) -> Vec<String> {
    let rank = match figures.place {
        Some(place) if place.shared => format!("{}=", place.number),
        Some(place) => place.number.to_string(),
        None => "-".to_string(),
    };
    let suspect = if figures.failures > 0 { "*" } else { "" };
    let time = figures.per_operation;
    let latency = figures.latency;
    vec![
        rank,
        row.contestant.name.to_string(),
        or_absent(time.map(|summary| format!("{}{suspect}", decimal(summary.median)))),
        or_absent(time.map(|summary| format!("±{}", decimal(summary.spread)))),
        or_absent(latency.map(|latency| duration(latency.p50))),
        or_absent(latency.map(|latency| duration(latency.p99))),
        or_absent(latency.map(|latency| duration(latency.p999))),
        or_absent(latency.map(|latency| duration(latency.max))),
        or_absent(figures.peak_rss.map(bytes)),
        bytes(peak_live_bytes),
        or_absent(figures.fragmentation.map(|ratio| format!("{ratio:.2}"))),
        if row.runs.is_empty() { ABSENT.to_string() } else { grouped(figures.failures) },
        note(row, figures),
    ]
}

fn note(row: &Row, figures: &Figures) -> String {
    let mut notes: Vec<String> = Vec::new();
    if let Some(reason) = &row.breakdown {
        notes.push(format!("broke down: {reason}"));
    }
    if !row.contestant.note.is_empty() {
        notes.push(row.contestant.note.to_string());
    }
    if figures.timed_runs > 0 {
        notes.push(format!("{} runs", figures.timed_runs));
    }
    notes.join("; ")
}

fn footnotes(comparison: &Comparison, figures: &[(&Row, Figures)]) -> Vec<String> {
    let replay = match comparison.replay_per_operation() {
        Some(nanoseconds) => {
            format!("the replay itself ({} ns, measured without an allocator)", decimal(nanoseconds))
        }
        None => "the replay itself".to_string(),
    };
    let mut lines = vec![
        format!(
            "ns/op: processor time, median over runs in fresh processes, ± half the interquartile range; includes \
             {replay} and the first touch of each page."
        ),
        "rank: 1 + the number of rows whose ns/op is lower beyond noise (rank-sum test over the runs, 5 % for the whole \
         table); =: shared."
            .to_string(),
    ];
    if let Some((overhead, step)) = clock_properties(figures) {
        lines.push(format!(
            "p50 to max: single calls, without the touching, in runs of their own (median over runs); the clock's cost \
             of {overhead:.0} ns is subtracted, its step is {step:.0} ns."
        ));
    }
    lines.push(
        "peak RSS: growth of resident memory during the replay, to within a few hundred KiB; frag: peak RSS / peak live."
            .to_string(),
    );
    if figures.iter().any(|(_, figures)| figures.peak_rss.is_none()) {
        lines.push(format!("{ABSENT}: not measured, or this system does not tell."));
    }
    if comparison.rows.iter().any(|row| row.contestant.note.contains("never reuses")) {
        lines.push(
            "never reuses memory: frees (all but that of the last block) give nothing back, which is fast until memory \
             ends."
                .to_string(),
        );
    }
    let undecided =
        |figures: &Figures| figures.place.is_none() && figures.failures == 0 && figures.timed_runs > 0;
    if figures.iter().any(|(row, figures)| row.breakdown.is_none() && undecided(figures)) {
        lines.push("rank -: too few runs to tell a difference from noise.".to_string());
    }
    if figures.iter().any(|(_, figures)| figures.failures > 0) {
        lines.push("*: requests failed, so it did less work than the others; it has no rank.".to_string());
    }
    lines
}

/// Returns the medians of the clock costs that were subtracted and of the clock's steps, in nanoseconds.
fn clock_properties(figures: &[(&Row, Figures)]) -> Option<(f64, f64)> {
    let latencies: Vec<Latency> = figures.iter().filter_map(|(_, figures)| figures.latency).collect();
    let of = |property: fn(&Latency) -> f64| median(&latencies.iter().map(property).collect::<Vec<_>>());
    Some((of(|latency| latency.clock_overhead)?, of(|latency| latency.clock_step)?))
}

fn or_absent(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| ABSENT.to_string())
}

/// Three significant digits or so: `7.25`, `54.3`, `5,120`.
fn decimal(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 999.5 {
        format!("{value:.1}")
    } else {
        grouped(value.round() as u64)
    }
}

/// A time of a single call: `84 ns`, `1.2 µs`, `3.4 ms`.
fn duration(nanoseconds: u64) -> String {
    match nanoseconds {
        0..=999 => format!("{nanoseconds} ns"),
        1_000..=999_949 => format!("{:.1} µs", nanoseconds as f64 / 1e3),
        _ => format!("{:.1} ms", nanoseconds as f64 / 1e6),
    }
}

/// A number of bytes: `512 B`, `1.5 KiB`, `9.4 MiB`.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A whole number with its thousands set apart: `400,316`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests;
