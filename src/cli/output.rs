//! What commands print: tables for people, JSON for programs. Data goes to stdout; a reader that has enough
//! (`| head`) ends the command quietly.

use crate::base::error::{Code, Error, Result};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people; fits the terminal.
    #[default]
    Table,
    /// One JSON document, never cut.
    Json,
}

/// Prints a text to stdout.
///
/// # Errors
/// [`Code::System`] when stdout cannot be written; a closed pipe ends the process with success.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => Err(Error::new(Code::System, format!("cannot write to stdout: {e}"))),
    }
}

/// Prints JSON, indented.
///
/// # Errors
/// As [`print`].
pub fn print_json(value: &Value) -> Result<()> {
    print(&format!("{value:#}\n"))
}

/// Prints a table; `empty` stands for one without rows.
///
/// # Errors
/// As [`print`].
pub fn print_table(headers: &[&str], rows: Vec<Vec<String>>, empty: &str) -> Result<()> {
    if rows.is_empty() {
        // Said to people only: a program that reads the table gets no line for no row.
        eprintln!("{empty}");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headers.iter().copied());
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in rows {
        table.add_row(row);
    }
    print(&format!("{}\n", trimmed(&table)))
}

/// The table's lines without trailing blanks, so that copies of it stay clean.
fn trimmed(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|l| l.trim_end().to_string()).collect();
    lines.join("\n")
}

/// Prints names and values, one a line.
///
/// # Errors
/// As [`print`].
pub fn print_facts(facts: &[(&str, String)]) -> Result<()> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in facts {
        text.push_str(&format!("{name:<width$}  {value}\n"));
    }
    print(&text)
}

/// A string of a JSON object, or empty.
pub fn text(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A number of a JSON object, or zero.
pub fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(0.0)
}

/// The list under a key, or an empty one.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// `3.5` without needless zeros.
pub fn short(n: f64) -> String {
    let text = format!("{n:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Megabytes as people read them.
pub fn megabytes(mb: f64) -> String {
    match mb {
        mb if mb >= 1024.0 * 1024.0 => format!("{} TiB", short(mb / 1024.0 / 1024.0)),
        mb if mb >= 1024.0 => format!("{} GiB", short(mb / 1024.0)),
        mb => format!("{} MiB", short(mb)),
    }
}

/// How long ago a time in seconds since 1970 was.
pub fn ago(secs: f64) -> String {
    if secs <= 0.0 {
        return "-".into();
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64());
    let passed = (now - secs).max(0.0) as u64;
    match passed {
        0..=119 => format!("{passed}s ago"),
        120..=7199 => format!("{}m ago", passed / 60),
        7200..=172_799 => format!("{}h ago", passed / 3600),
        _ => format!("{}d ago", passed / 86_400),
    }
}
