//! Definitions in files: read whole, checked for syntax, nothing sent.

use crate::base::error::{Code, Error, Result};
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads JSON from a file, or from stdin for `-`.
///
/// # Errors
/// [`Code::Invalid`] when it cannot be read, is too large, or is no JSON; then with line and column.
pub fn read(path: &str) -> Result<Value> {
    let text = match path {
        "-" => text_of(std::io::stdin().lock()),
        _ => std::fs::File::open(Path::new(path)).and_then(text_of),
    };
    let text = text.map_err(|e| Error::new(Code::Invalid, format!("cannot read {path}: {e}")))?;
    parse(path, &text)
}

fn text_of(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Reads JSON; `name` is for the error.
///
/// # Errors
/// [`Code::Invalid`], with line and column.
pub fn parse(name: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|e| Error::new(Code::Invalid, format!("{name} is not valid JSON: {e}")))
}

/// `K=V` of a flag that may be given several times, as a JSON object.
///
/// # Errors
/// [`Code::Invalid`] for one without `=`.
pub fn pairs(flag: &str, given: &[String]) -> Result<serde_json::Map<String, Value>> {
    let mut map = serde_json::Map::new();
    for pair in given {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                map.insert(name.to_string(), Value::from(value));
            }
            _ => {
                let cause = format!("{flag} {pair:?} has no name and value");
                return Err(
                    Error::new(Code::Invalid, cause).hint(format!("write {flag} NAME=VALUE"))
                );
            }
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_errors_name_file_line_and_column() {
        let error = parse("a.json", "{\n  \"id\": }").unwrap_err();
        assert_eq!(error.code, Code::Invalid);
        assert!(error.cause.starts_with("a.json is not valid JSON"), "{error:?}");
        assert!(error.cause.contains("line 2 column 9"), "{error:?}");
        let error = read("/no/such/file").unwrap_err();
        assert!(error.cause.contains("/no/such/file"), "{error:?}");
    }

    #[test]
    fn pairs_need_a_name() {
        let read = pairs("--env", &["A=b=c".into(), "D=".into()]).unwrap();
        assert_eq!(Value::from(read), serde_json::json!({"A": "b=c", "D": ""}));
        assert!(pairs("--env", &["A".into()]).is_err());
        assert!(pairs("--env", &["=x".into()]).is_err());
    }
}
