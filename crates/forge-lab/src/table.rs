//! A table of text cells, rendered aligned for a terminal or as Markdown.
//!
//! # Design
//!
//! Cells are finished strings: what a number looks like is the report's business, where it stands is the table's. Width
//! is counted in characters, which is exact for what the reports print (no wide or combining characters). Nothing wraps
//! or is cut: a figure that is not visible cannot be checked.

use std::fmt::{self, Write as _};

/// On which side a column's cells are padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words: padded on the right.
    Left,
    /// Numbers: padded on the left.
    Right,
}

/// A header, an alignment for each column, and rows of as many cells.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns a table without rows.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, surplus ones are dropped.
    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Renders for a terminal: two spaces between columns, a rule under the header.
    pub(crate) fn text(&self) -> String {
        let widths = self.widths();
        let mut out = String::new();
        let headers = self.columns.iter().map(|(header, _)| *header);
        self.line(&mut out, headers, &widths, "", "  ", "");
        let total: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        out.push_str(&"-".repeat(total));
        out.push('\n');
        for row in &self.rows {
            self.line(&mut out, row.iter(), &widths, "", "  ", "");
        }
        out
    }

    /// Renders as a Markdown table whose source is aligned too.
    pub(crate) fn markdown(&self) -> String {
        let escaped = Self {
            columns: self.columns.clone(),
            rows: self
                .rows
                .iter()
                .map(|row| row.iter().map(|cell| cell.replace('|', "\\|")).collect())
                .collect(),
        };
        let widths: Vec<usize> = escaped.widths().into_iter().map(|width| width.max(3)).collect();
        let mut out = String::new();
        let headers = escaped.columns.iter().map(|(header, _)| *header);
        escaped.line(&mut out, headers, &widths, "| ", " | ", " |");
        out.push('|');
        for (&width, (_, align)) in widths.iter().zip(&escaped.columns) {
            out.push_str(&"-".repeat(width + 1));
            out.push(if *align == Align::Right { ':' } else { '-' });
            out.push('|');
        }
        out.push('\n');
        for row in &escaped.rows {
            escaped.line(&mut out, row.iter(), &widths, "| ", " | ", " |");
        }
        out
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(header, _)| header.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    fn line<S: AsRef<str>>(
        &self,
        out: &mut String,
        cells: impl Iterator<Item = S>,
        widths: &[usize],
        open: &str,
        between: &str,
        close: &str,
    ) {
        out.push_str(open);
        for (index, ((cell, &width), (_, align))) in cells.zip(widths).zip(&self.columns).enumerate() {
            if index > 0 {
                out.push_str(between);
            }
            pad(out, cell.as_ref(), width, *align);
        }
        out.push_str(close);
        let end = out.trim_end_matches(' ').len();
        out.truncate(end);
        out.push('\n');
    }
}

fn pad(out: &mut String, cell: &str, width: usize, align: Align) {
    let written: fmt::Result = match align {
        Align::Left => write!(out, "{cell:<width$}"),
        Align::Right => write!(out, "{cell:>width$}"),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

#[cfg(test)]
mod tests;
