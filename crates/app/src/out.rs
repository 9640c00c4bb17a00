//! Output of the commands: data on stdout, progress on stderr, never mixed.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// Form of a command's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document (or one a line, where a command says so), for programs.
    Json,
}

impl Output {
    /// True for programs.
    pub fn is_json(self) -> bool {
        self == Self::Json
    }

    /// Prints `value` as JSON, or the text.
    pub fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        let line = match self {
            Self::Json => serde_json::to_string(value)?,
            Self::Text => text(),
        };
        let mut stdout = io::stdout().lock();
        stdout.write_all(line.as_bytes())?;
        if !line.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()
    }
}

/// How often a bar is drawn.
const TICK: Duration = Duration::from_millis(120);

/// A bar on stderr; hidden where stderr is no terminal and for JSON output.
pub fn progress(output: Output, what: &str, total: Option<u64>, bytes: bool) -> ProgressBar {
    let target = match output {
        Output::Json => ProgressDrawTarget::hidden(),
        Output::Text => ProgressDrawTarget::stderr(),
    };
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    bar.set_draw_target(target);
    let template = match (total.is_some(), bytes) {
        (true, true) => "{msg:18} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
        (true, false) => "{msg:18} [{bar:30}] {human_pos}/{human_len} {per_sec} {eta}",
        (false, true) => "{msg:18} {spinner} {bytes} {binary_bytes_per_sec}",
        (false, false) => "{msg:18} {spinner} {human_pos} {per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(Cow::Owned(what.to_owned()));
    bar.enable_steady_tick(TICK);
    bar
}

/// A table with aligned columns; the last column is not padded.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            let gap = width.saturating_sub(cell.chars().count()) + 2;
            text.push_str(cell);
            text.push_str(&" ".repeat(gap));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_cleanly() {
        let rows = vec![
            vec!["a".into(), "1".into()],
            vec!["long".into(), String::new()],
        ];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME  N\na     1\nlong\n");
    }
}
