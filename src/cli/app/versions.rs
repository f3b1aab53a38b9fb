//! `mesolith app versions` and `rollback`: what an app was, and making it so again.

use super::{Ask, ChangeArgs, absolute, api_path, change};
use crate::base::error::{Code, Error, Result};
use crate::cli::client::Method;
use crate::cli::exit::End;
use crate::cli::output::{Format, list, print, print_json, text};
use serde_json::{Value, json};

/// Lists the versions, newest first.
///
/// # Errors
/// As [`crate::cli::client::Client::get`].
pub async fn ls(ask: &Ask<'_>, id: &str) -> Result<End> {
    let id = absolute(id)?;
    let answer = ask.marathon.get(&format!("{}/versions", api_path(&id)), &[]).await?;
    match ask.format {
        Format::Json => print_json(&answer)?,
        Format::Table => {
            let present = text(&super::find(ask.marathon, &id).await?, "version");
            let mark = |v: &String| if *v == present { "  (present)" } else { "" };
            let lines = newest_first(&answer)
                .iter()
                .map(|v| format!("{v}{}\n", mark(v)))
                .collect::<String>();
            print(&lines)?;
        }
    }
    Ok(End::Done)
}

/// Goes back to a version.
///
/// # Errors
/// As [`change::change`]; not found.
pub async fn rollback(
    ask: &Ask<'_>,
    id: &str,
    version: Option<&str>,
    how: &ChangeArgs,
) -> Result<End> {
    let id = absolute(id)?;
    let present = text(&super::find(ask.marathon, &id).await?, "version");
    let answer = ask.marathon.get(&format!("{}/versions", api_path(&id)), &[]).await?;
    let version = choose(&newest_first(&answer), &present, version)?;
    eprintln!("{id}: back to version {version}");
    let body = Some(json!({ "version": version }));
    let (method, path, query) = (Method::PUT, api_path(&id), change::force(how));
    change::change(ask, change::Change { method, path, query, body, id }, how).await
}

/// The versions of an answer. Marathon promises no order; timestamps of one form are ordered as texts.
fn newest_first(answer: &Value) -> Vec<String> {
    let mut versions: Vec<String> =
        list(answer, "versions").iter().filter_map(|v| v.as_str().map(Into::into)).collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions
}

fn choose(versions: &[String], present: &str, wanted: Option<&str>) -> Result<String> {
    let Some(wanted) = wanted else {
        let before = versions.iter().find(|v| v.as_str() < present);
        return before.cloned().ok_or_else(|| {
            Error::new(Code::NotFound, "there is no version before the present one")
        });
    };
    let matching: Vec<&String> = versions.iter().filter(|v| v.starts_with(wanted)).collect();
    match matching.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Error::new(Code::NotFound, format!("there is no version {wanted:?}"))
            .hint("list them with `mesolith app versions ID`")),
        several => {
            let several = several.len();
            Err(Error::new(Code::Conflict, format!("{several} versions begin with {wanted:?}"))
                .hint("give more of it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_before_is_the_newest_that_is_older() {
        let answer = json!({"versions": ["2026-01-01T00:00:01.000Z", "2026-01-01T00:00:03.000Z",
            "2026-01-01T00:00:02.000Z"]});
        let versions = newest_first(&answer);
        let choose = |present: &str, wanted| choose(&versions, present, wanted);
        let last = |v: Result<String>| v.map(|v| v[17..19].to_string());
        assert_eq!(last(choose("2026-01-01T00:00:03.000Z", None)).as_deref(), Ok("02"));
        assert_eq!(last(choose("2026-01-01T00:00:02.000Z", None)).as_deref(), Ok("01"));
        assert_eq!(choose("2026-01-01T00:00:01.000Z", None).unwrap_err().code, Code::NotFound);
        let wanted = choose("2026-01-01T00:00:03.000Z", Some("2026-01-01T00:00:01"));
        assert_eq!(last(wanted).as_deref(), Ok("01"));
        assert_eq!(choose("x", Some("2026")).unwrap_err().code, Code::Conflict);
        assert_eq!(choose("x", Some("2027")).unwrap_err().code, Code::NotFound);
    }
}
