//! Files of definitions: what each of them holds, told by its keys, and the order in which it is sent.

use crate::base::error::{Code, Error, Result};
use crate::cli::app::{absolute, strip_read_only};
use crate::cli::files;
use crate::cli::job::after_parents;
use crate::cli::output::list;
use serde_json::Value;
use std::collections::BTreeMap;

/// At most so many files are read at a time.
const FILES_MAX: usize = 10_000;

/// What a definition is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A group of Marathon, with its apps.
    Group,
    /// An app of Marathon.
    App,
    /// A job of Chronos.
    Job,
}

impl Kind {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::App => "app",
            Self::Job => "job",
        }
    }
}

/// One definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// In which file it is.
    pub file: String,
    /// What it is.
    pub kind: Kind,
    /// The absolute id, or the name of a job.
    pub id: String,
    /// The definition.
    pub body: Value,
}

impl Item {
    /// Its kind and id.
    pub fn name(&self) -> String {
        format!("{} {}", self.kind.name(), self.id)
    }

    /// Whether sending it starts a deployment.
    pub fn deploys(&self) -> bool {
        self.kind != Kind::Job
    }

    /// The apps that are known to be affected.
    pub fn apps(&self) -> Vec<String> {
        if self.kind == Kind::App { vec![self.id.clone()] } else { Vec::new() }
    }
}

/// Reads all files; answers what they hold in the order in which it is to be sent.
///
/// # Errors
/// [`Code::Invalid`] with a line for each file at fault.
pub fn read(paths: &[String]) -> Result<Vec<Item>> {
    let (mut items, mut faults) = (Vec::new(), Vec::new());
    for file in files_of(paths)? {
        match files::read(&file).and_then(|value| items_of(&file, value)) {
            Ok(found) => items.extend(found),
            Err(e) => faults.push(e),
        }
    }
    if !faults.is_empty() {
        let causes: Vec<String> = faults.iter().map(|e| e.cause.clone()).collect();
        let mut error = Error::new(Code::Invalid, causes.join("\n"));
        error.hint = faults.into_iter().find_map(|e| e.hint);
        return Err(error.context("nothing was sent"));
    }
    in_order(items)
}

/// The files of the paths: of a folder its JSON files, by name, without those of its folders.
fn files_of(paths: &[String]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let invalid = |cause: String| Error::new(Code::Invalid, cause);
    for path in paths {
        if path == "-" || !std::path::Path::new(path).is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries =
            std::fs::read_dir(path).map_err(|e| invalid(format!("cannot read {path}: {e}")))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| invalid(format!("cannot read {path}: {e}")))?.path();
            if entry.is_file() && entry.extension().is_some_and(|e| e == "json") {
                found.push(entry.display().to_string());
            }
        }
        if found.is_empty() {
            return Err(invalid(format!("{path} holds no .json file")));
        }
        found.sort();
        files.extend(found);
    }
    if files.len() > FILES_MAX {
        return Err(invalid(format!("{} files are more than {FILES_MAX}", files.len())));
    }
    Ok(files)
}

/// What a file holds: one definition, or a list of them.
fn items_of(file: &str, value: Value) -> Result<Vec<Item>> {
    match value {
        Value::Array(all) if all.is_empty() => {
            Err(Error::new(Code::Invalid, format!("{file} holds an empty list")))
        }
        Value::Array(all) => {
            let one =
                |(n, value)| item(file, value).map_err(|e| e.context(format!("entry {}", n + 1)));
            all.into_iter().enumerate().map(one).collect()
        }
        one => Ok(vec![item(file, one)?]),
    }
}

fn item(file: &str, value: Value) -> Result<Item> {
    let invalid = |why: &str| {
        Error::new(Code::Invalid, format!("{file}: {why}")).hint(
            "apps have an \"id\", groups an \"id\" and \"apps\" or \"groups\", jobs a \"name\" and a \"command\"",
        )
    };
    let Value::Object(mut object) = value else {
        return Err(invalid("neither an app, a group nor a job: no JSON object"));
    };
    // What `app show -o json` prints.
    if object.len() == 1
        && let Some(Value::Object(inner)) = object.get("app")
    {
        object = inner.clone();
    }
    let has = |key: &str| object.contains_key(key);
    let kind = if has("apps") || has("groups") {
        Kind::Group
    } else if has("id") && has("containers") {
        return Err(invalid("it is a pod, which is not supported"));
    } else if has("id") {
        Kind::App
    } else if has("name") && (has("command") || has("schedule") || has("parents")) {
        Kind::Job
    } else {
        return Err(invalid("neither an app, a group nor a job"));
    };
    let id = match kind {
        Kind::Job => object.get("name").and_then(Value::as_str).map(Into::into),
        // A file with groups of the root need not say so.
        Kind::Group if !has("id") || object["id"] == "/" => Some("/".to_string()),
        Kind::Group | Kind::App => match object.get("id").and_then(Value::as_str) {
            Some(id) => Some(absolute(id).map_err(|e| e.context(file))?),
            None => None,
        },
    };
    let Some(id) = id.filter(|id: &String| !id.is_empty()) else {
        return Err(invalid(if kind == Kind::Job {
            "\"name\" is no text"
        } else {
            "\"id\" is no text"
        }));
    };
    if kind == Kind::App {
        strip_read_only(&mut object);
    }
    Ok(Item { file: file.into(), kind, id, body: Value::Object(object) })
}

/// Groups and apps before jobs; apps after those they depend on, jobs after their parents.
fn in_order(items: Vec<Item>) -> Result<Vec<Item>> {
    let mut seen: BTreeMap<(Kind, &str), &str> = BTreeMap::new();
    for item in &items {
        if let Some(other) = seen.insert((item.kind, &item.id), &item.file) {
            let cause = format!("{} is in {other} and again in {}", item.name(), item.file);
            return Err(Error::new(Code::Invalid, cause).context("nothing was sent"));
        }
    }
    let (jobs, apps): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|i| i.kind == Kind::Job);
    let bodies: Vec<&Value> = jobs.iter().map(|i| &i.body).collect();
    let order = after_parents(&bodies).map_err(|e| e.context("nothing was sent"))?;
    let mut sorted = after_dependencies(apps);
    sorted.extend(order.into_iter().map(|n| jobs[n].clone()));
    Ok(sorted)
}

/// Each app after those it depends on. In a circle, which Marathon refuses, they stay as they are.
fn after_dependencies(mut left: Vec<Item>) -> Vec<Item> {
    let mut sorted: Vec<Item> = Vec::new();
    while !left.is_empty() {
        let waits = |item: &Item| {
            list(&item.body, "dependencies").iter().filter_map(Value::as_str).any(|d| {
                let wanted = resolved(d, &item.id);
                left.iter().any(|other| other.id == wanted && other.id != item.id)
            })
        };
        let (next, later): (Vec<Item>, Vec<Item>) =
            left.clone().into_iter().partition(|item| !waits(item));
        if next.is_empty() {
            sorted.extend(later);
            break;
        }
        sorted.extend(next);
        left = later;
    }
    sorted
}

/// A dependency as an absolute id; relative ones are taken from the group of the app.
fn resolved(dependency: &str, app: &str) -> String {
    let group = app.rsplit_once('/').map_or("", |(group, _)| group);
    let from = if dependency.starts_with('/') { String::new() } else { group.to_string() };
    let mut segments: Vec<&str> = Vec::new();
    let whole = format!("{from}/{dependency}");
    for segment in whole.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kinds(value: Value) -> Result<Vec<(Kind, String)>> {
        Ok(items_of("f", value)?.into_iter().map(|i| (i.kind, i.id)).collect())
    }

    #[test]
    fn definitions_are_told_by_their_keys() {
        let one = |value: Value| kinds(value).map(|mut all| all.remove(0));
        assert_eq!(one(json!({"id": "a/b", "cmd": "x"})), Ok((Kind::App, "/a/b".into())));
        assert_eq!(one(json!({"app": {"id": "/a", "cmd": "x"}})), Ok((Kind::App, "/a".into())));
        assert_eq!(one(json!({"id": "/g", "apps": []})), Ok((Kind::Group, "/g".into())));
        assert_eq!(one(json!({"groups": []})), Ok((Kind::Group, "/".into())));
        assert_eq!(one(json!({"name": "j", "command": "x"})), Ok((Kind::Job, "j".into())));
        assert_eq!(one(json!({"name": "j", "parents": ["i"]})), Ok((Kind::Job, "j".into())));
        let list = json!([{"id": "a"}, {"name": "j", "schedule": "R//PT1M"}]);
        assert_eq!(kinds(list), Ok(vec![(Kind::App, "/a".into()), (Kind::Job, "j".into())]));
    }

    #[test]
    fn what_is_none_of_them_is_refused_with_its_file() {
        for value in [
            json!({}),
            json!(3),
            json!([]),
            json!([{"id": "a"}, {}]),
            json!({"id": 3}),
            json!({"name": "j"}),
            json!({"id": "p", "containers": []}),
            json!({"name": 1, "command": "x"}),
        ] {
            let error = kinds(value.clone()).unwrap_err();
            assert_eq!(error.code, Code::Invalid, "{value}");
            assert!(error.cause.contains('f'), "{value}: {error:?}");
        }
    }

    #[test]
    fn what_depends_comes_later_and_nothing_comes_twice() {
        let items = |values: &[Value]| {
            values.iter().map(|v| item("f", v.clone()).unwrap()).collect::<Vec<_>>()
        };
        let job = |name: &str, parents: &[&str]| json!({"name": name, "command": "x", "parents": parents});
        let app = |id: &str, on: &[&str]| json!({"id": id, "dependencies": on});
        let mixed = items(&[
            job("c", &["p"]),
            app("/g/a", &["b", "../x"]),
            job("p", &[]),
            app("/g/b", &[]),
            app("/x", &[]),
        ]);
        let order: Vec<String> = in_order(mixed).unwrap().into_iter().map(|i| i.id).collect();
        assert_eq!(order, ["/g/b", "/x", "/g/a", "p", "c"]);
        let twice = items(&[app("a", &[]), app("/a", &[])]);
        assert!(in_order(twice).unwrap_err().cause.contains("again"));
        let circle = items(&[job("a", &["b"]), job("b", &["a"])]);
        assert!(in_order(circle).unwrap_err().cause.contains("circle"));
        let circle = items(&[app("/a", &["/b"]), app("/b", &["/a"])]);
        assert_eq!(in_order(circle).unwrap().len(), 2, "Marathon says what is wrong with it");
    }

    #[test]
    fn folders_are_read_by_name_and_all_faults_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("b.json"), r#"{"id": "b"}"#).unwrap();
        std::fs::write(path("a.json"), r#"{"id": "a"}"#).unwrap();
        std::fs::write(path("notes.txt"), "no").unwrap();
        let given = [dir.path().display().to_string()];
        let ids: Vec<String> = read(&given).unwrap().into_iter().map(|i| i.id).collect();
        assert_eq!(ids, ["/a", "/b"]);
        std::fs::write(path("c.json"), "{").unwrap();
        std::fs::write(path("d.json"), "{}").unwrap();
        let error = read(&given).unwrap_err();
        assert_eq!(error.code, Code::Invalid);
        assert!(error.cause.contains("c.json") && error.cause.contains("d.json"), "{error:?}");
        assert!(error.cause.starts_with("nothing was sent"), "{error:?}");
    }
}
