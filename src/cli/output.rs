//! What commands print: tables for people, JSON for programs. Data goes to stdout; a reader that has enough
//! (`| head`) ends the command quietly.

use crate::base::error::{Code, Error, Result};
use clap::ValueEnum;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde_json::Value;
use std::io::Write as _;

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
    print(&table(headers, rows, Fit::default(), terminal_width()))
}

/// How many columns the terminal has that stdout is; none when it is none.
pub fn terminal_width() -> Option<u16> {
    Table::new().width()
}

/// How a table is made to fit a terminal, by the names of its columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fit<'a> {
    /// Those whose cells are never broken, so that they can be copied.
    pub whole: &'a [&'a str],
    /// Those that are left out while the table does not fit, the first first; other verbs tell what they hold.
    pub spare: &'a [&'a str],
}

/// A table of that width at most, as far as words and [`Fit`] allow.
pub fn table(
    headers: &[&str],
    mut rows: Vec<Vec<String>>,
    fit: Fit<'_>,
    width: Option<u16>,
) -> String {
    let mut headers = headers.to_vec();
    if let Some(width) = width.map(usize::from) {
        let spare = fit.spare.iter().filter_map(|s| headers.iter().position(|h| h == s));
        let mut spare: Vec<usize> = spare.collect();
        // From the first to be left out to the last.
        spare.reverse();
        while natural_width(&headers, &rows) > width {
            let Some(n) = spare.pop() else { break };
            headers.remove(n);
            rows.iter_mut().for_each(|row| drop(row.remove(n)));
            spare.iter_mut().filter(|later| **later > n).for_each(|later| *later -= 1);
        }
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headers.iter().copied());
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for row in rows {
        table.add_row(row);
    }
    for (n, header) in headers.iter().enumerate() {
        if let Some(column) = table.column_mut(n).filter(|_| fit.whole.contains(header)) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    format!("{}\n", trimmed(&table))
}

/// How wide a table is in which nothing is broken: each cell has a blank on both sides.
fn natural_width(headers: &[&str], rows: &[Vec<String>]) -> usize {
    let cells = |n: usize| rows.iter().filter_map(move |row| row.get(n));
    let widest = |(n, header): (usize, &&str)| {
        let widths = cells(n).map(|cell| cell.chars().count());
        widths.chain([header.chars().count()]).max().unwrap_or(0) + 2
    };
    headers.iter().enumerate().map(widest).sum()
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
    print(&self::facts(facts))
}

/// Names and values, one a line.
pub fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
}

/// A text in lines of at most so many characters, as far as words allow; from the second on, so many blanks precede.
pub fn wrapped(text: &str, width: Option<u16>, indent: usize) -> String {
    let Some(width) = width.map(usize::from) else { return text.to_string() };
    let (mut out, mut column, mut fresh) = (String::new(), 0, true);
    for (n, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if !fresh && column + 1 + length > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if n > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        fresh = fresh && word.is_empty();
    }
    out
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
    format!("{} ago", passed((now_ms() as f64 / 1_000.0 - secs).max(0.0) as u64))
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// So many seconds, as people say it.
pub fn passed(secs: u64) -> String {
    match secs {
        0..=119 => format!("{secs}s"),
        120..=7199 => format!("{}m", secs / 60),
        7200..=172_799 => format!("{}h", secs / 3600),
        _ => format!("{}d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_long_ones_stay_whole() {
        let text = "n1  voter: it is one of three";
        assert_eq!(wrapped(text, None, 4), text);
        assert_eq!(wrapped(text, Some(80), 4), text);
        assert_eq!(wrapped(text, Some(16), 4), "n1  voter: it is\n    one of three");
        assert_eq!(wrapped("a bbbbbbbbbbbb c", Some(6), 2), "a\n  bbbbbbbbbbbb\n  c");
        assert_eq!(wrapped("  a b", Some(80), 2), "  a b");
    }

    #[test]
    fn columns_that_must_stay_whole_are_not_broken() {
        let rows = || vec![vec!["a word or two more".into(), "0123456789abcdef".into()]];
        let fit = Fit { whole: &["ID"], spare: &[] };
        let narrow = table(&["TEXT", "ID"], rows(), fit, Some(28));
        let expected =
            [" TEXT      ID", " a word    0123456789abcdef", " or two", " more", ""].join("\n");
        assert_eq!(narrow, expected);
        let wide = table(&["TEXT", "ID"], rows(), fit, Some(80));
        assert_eq!(wide, table(&["TEXT", "ID"], rows(), fit, None));
    }

    #[test]
    fn columns_to_spare_are_left_out_one_after_the_other() {
        let headers = ["A", "B", "C", "D"];
        let rows = || vec![["aaaa", "bbbb", "cccc", "dddd"].map(String::from).to_vec()];
        let fit = Fit { whole: &[], spare: &["C", "A"] };
        for (width, left) in [
            (None, " aaaa  bbbb  cccc  dddd\n"),
            (Some(24), " aaaa  bbbb  cccc  dddd\n"),
            (Some(23), " aaaa  bbbb  dddd\n"),
            (Some(17), " bbbb  dddd\n"),
        ] {
            let told = table(&headers, rows(), fit, width);
            assert!(told.ends_with(left), "{width:?}: {told}");
        }
    }
}
