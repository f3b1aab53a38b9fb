//! Merges where settings come from: defaults < files < environment < flags. Every value knows its origin, and
//! everything wrong is told at once. What a setting means is known to the room that declares it.

pub mod ancestors;

use crate::base::settings::{Kind, Origin, Setting, Values};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Longest value that is read from a file named by `file://`, in bytes.
const FILE_VALUE_BYTES_MAX: u64 = 1024 * 1024;

/// What was given on the command line, by setting name or alias; a bare flag has the text `true`.
pub type Flags = BTreeMap<String, String>;

/// Where values may come from besides the command line.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// TOML files, later ones win: `name = value` lines.
    pub files: Vec<String>,
    /// Which section of them is read; none: what is before the first, and no word about frameworks' sections.
    pub section: Option<&'static str>,
    /// Files that hold the value of one setting, with its name: `/etc/mesos/zk`. All others win over them.
    pub values: Vec<(&'static str, String)>,
    /// Folders in the manner of `/etc/mesos-master`: one file a flag, named like it; `?name` and `?no-name` are booleans.
    pub folders: Vec<String>,
    /// Prefixes of environment variables, later ones win (`MESOS_`, `MESOLITH_`).
    pub env_prefixes: Vec<&'static str>,
}

/// Merges all origins for the settings of `table`. Faults (unreadable files, unknown names in files) are in the values.
pub fn merge(
    table: &[Setting],
    sources: &Sources,
    env: &BTreeMap<String, String>,
    flags: &Flags,
) -> Values {
    let mut texts = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, file) in &sources.values {
        match (find(table, name), read_value(file)) {
            (None, _) => {}
            (Some(_), Ok(text)) if text.is_empty() => {}
            (Some(setting), Ok(text)) => {
                texts.insert(setting.name.to_string(), (text, Origin::File(file.clone())));
            }
            (Some(_), Err(why)) => faults.push(why),
        }
    }
    for folder in &sources.folders {
        read_folder(table, folder, &mut texts, &mut faults);
    }
    for file in &sources.files {
        read_toml(table, file, sources.section, &mut texts, &mut faults);
    }
    for prefix in &sources.env_prefixes {
        for setting in table {
            for name in names(setting) {
                let variable = format!("{prefix}{}", name.to_uppercase().replace('-', "_"));
                if let Some(text) = env.get(&variable) {
                    let origin = Origin::Environment(variable);
                    texts.insert(setting.name.to_string(), (text.clone(), origin));
                }
            }
        }
    }
    for (name, text) in flags {
        if let Some(setting) = find(table, name) {
            let origin = Origin::Flag(name.clone());
            texts.insert(setting.name.to_string(), (text.clone(), origin));
        }
    }
    for (name, (text, origin)) in &mut texts {
        if let Some(path) = text.strip_prefix("file://") {
            match read_value(path) {
                Ok(content) => *text = content,
                Err(why) => faults.push(format!("{name}={text} ({origin}): {why}")),
            }
        }
    }
    let mut values = Values::new(texts);
    for fault in faults {
        values.fault_text(fault);
    }
    values
}

fn names(setting: &Setting) -> impl Iterator<Item = &'static str> {
    // Aliases first, so that the real name wins.
    setting.aliases.iter().copied().chain([setting.name])
}

fn find<'a>(table: &'a [Setting], name: &str) -> Option<&'a Setting> {
    let wanted = name.replace('-', "_");
    table.iter().find(|s| names(s).any(|n| n.replace('-', "_") == wanted))
}

fn read_value(path: &str) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|e| format!("cannot read {path}: {e}"))?.len();
    if size > FILE_VALUE_BYTES_MAX {
        return Err(format!("{path} has {size} bytes; at most {FILE_VALUE_BYTES_MAX} are read"));
    }
    let text = fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
    Ok(text.trim_end().to_string())
}

type Texts = BTreeMap<String, (String, Origin)>;

fn read_toml(
    table: &[Setting],
    file: &str,
    section: Option<&str>,
    texts: &mut Texts,
    faults: &mut Vec<String>,
) {
    let content = match fs::read_to_string(file) {
        Ok(content) => content,
        Err(e) => return faults.push(format!("cannot read {file}: {e}")),
    };
    let parsed: toml::Table = match content.parse() {
        Ok(parsed) => parsed,
        Err(e) => return faults.push(format!("{file} is not TOML: {e}")),
    };
    let lines = match section {
        None => parsed,
        Some(section) => match parsed.get(section) {
            Some(toml::Value::Table(lines)) => lines.clone(),
            Some(_) => return faults.push(format!("{file}: {section} is no section")),
            None => return,
        },
    };
    for (name, value) in lines {
        if section.is_none() && FRAMEWORKS.contains(&name.as_str()) {
            continue;
        }
        let text = match value {
            toml::Value::String(s) => s,
            toml::Value::Integer(n) => n.to_string(),
            toml::Value::Float(n) => n.to_string(),
            toml::Value::Boolean(b) => b.to_string(),
            other => {
                faults.push(format!("{file}: {name} is a {}, expected a value", other.type_str()));
                continue;
            }
        };
        match find(table, &name) {
            Some(setting) => {
                texts.insert(setting.name.into(), (text, Origin::File(file.to_string())));
            }
            None => {
                faults.push(format!("{file}: there is no setting {name}{}", near(table, &name)))
            }
        }
    }
}

fn read_folder(table: &[Setting], folder: &str, texts: &mut Texts, faults: &mut Vec<String>) {
    // A folder of the packages' convention need not exist.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if path.is_dir() || file_name.starts_with('.') {
            continue;
        }
        let (name, text) = match file_name.strip_prefix('?') {
            // Mesos says `?no-name`, Marathon and Chronos `?disable_name`.
            Some(flag) => match flag.strip_prefix("no-").or(flag.strip_prefix("disable_")) {
                Some(name) => (name.to_string(), "false".to_string()),
                None => (flag.to_string(), "true".to_string()),
            },
            None => match read_value(&path.to_string_lossy()) {
                Ok(text) if text.is_empty() => continue,
                Ok(text) => (file_name, text),
                Err(why) => {
                    faults.push(why);
                    continue;
                }
            },
        };
        // Flags of the original that have no meaning here (log_auto_initialize …) are in these folders on every old machine.
        if let Some(setting) = find(table, &name) {
            let origin = Origin::File(path.to_string_lossy().into_owned());
            texts.insert(setting.name.into(), (text, origin));
        }
    }
}

/// `" (did you mean X?)"`, when a name of the table is close.
pub fn near(table: &[Setting], name: &str) -> String {
    let best = table.iter().map(|s| (distance(s.name, name), s.name)).min();
    match best {
        Some((d, candidate)) if d <= 1 + name.len() / 4 => format!(" (did you mean {candidate}?)"),
        _ => String::new(),
    }
}

/// Edit distance of two short words (Wagner–Fischer).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Cuts flags of the original's form out of arguments: `--name=value`, `--name value` for those that take one,
/// `--name` and `--no-name` for booleans.
///
/// # Errors
/// One line for each argument that is no flag of the table, or lacks its value.
pub fn parse_flags(table: &[Setting], args: &[String]) -> Result<Flags, Vec<String>> {
    let mut flags = Flags::new();
    let mut faults = Vec::new();
    let mut rest = args.iter().peekable();
    while let Some(arg) = rest.next() {
        let Some(body) = arg.strip_prefix("--") else {
            faults.push(format!("unexpected argument {arg:?}"));
            continue;
        };
        let (name, text) = match body.split_once('=') {
            Some((name, text)) => (name, Some(text.to_string())),
            None => (body, None),
        };
        if let Some(setting) = find(table, name) {
            let text = match (text, setting.kind) {
                (Some(text), _) => text,
                (None, Kind::Bool) => "true".into(),
                (None, _) => match rest.next_if(|next| !next.starts_with("--")) {
                    Some(next) => next.clone(),
                    None => {
                        faults.push(format!("--{name} needs a value"));
                        continue;
                    }
                },
            };
            flags.insert(setting.name.to_string(), text);
        } else if let Some(setting) = name.strip_prefix("no-").and_then(|n| find(table, n)) {
            if setting.kind == Kind::Bool && text.is_none() {
                flags.insert(setting.name.to_string(), "false".into());
            } else {
                faults.push(format!("--{name}: {} is not a yes-or-no flag", setting.name));
            }
        } else {
            faults.push(format!("there is no flag --{name}{}", near(table, name)));
        }
    }
    if faults.is_empty() { Ok(flags) } else { Err(faults) }
}

/// Frameworks with settings of their own: their sections in files.
const FRAMEWORKS: &[&str] = &["marathon", "chronos"];

impl Sources {
    /// The sources of a framework's settings: its section of the same files, its ancestor's folder
    /// (`/etc/marathon/conf`), its ancestor's environment (`MARATHON_`), and `MESOLITH_MARATHON_`.
    ///
    /// The ancestor's places are read where those of Mesos are.
    pub fn of_framework(&self, name: &str) -> Self {
        let (section, folder, env_prefixes) = match name {
            "marathon" => {
                (Some("marathon"), "/etc/marathon/conf", vec!["MARATHON_", "MESOLITH_MARATHON_"])
            }
            _ => (Some("chronos"), "/etc/chronos/conf", vec!["CHRONOS_", "MESOLITH_CHRONOS_"]),
        };
        let folders = match self.folders.is_empty() {
            true => Vec::new(),
            false => vec![folder.to_string()],
        };
        Self { files: self.files.clone(), section, values: Vec::new(), folders, env_prefixes }
    }
}

/// The settings file that is read when it is there and no other is named.
pub const DEFAULT_FILE: &str = "/etc/mesolith/config.toml";

/// Where the packages of Mesos keep which masters there are.
pub const ZK_FILE: &str = "/etc/mesos/zk";

/// The sources of a machine with the packages' layout: only those files that exist.
pub fn standard_sources(named: Option<&str>) -> Sources {
    sources_with(named, &["/etc/mesos-master", "/etc/mesos-slave", "/etc/mesos-agent"])
}

/// The same with the folders of one of Mesos's programs.
pub fn sources_with(named: Option<&str>, folders: &[&str]) -> Sources {
    let files = match named {
        Some(file) => vec![file.to_string()],
        None if Path::new(DEFAULT_FILE).exists() => vec![DEFAULT_FILE.to_string()],
        None => Vec::new(),
    };
    let zk = Path::new(ZK_FILE).exists().then(|| ("zk", ZK_FILE.to_string()));
    Sources {
        files,
        section: None,
        values: zk.into_iter().collect(),
        folders: folders.iter().map(|f| f.to_string()).collect(),
        env_prefixes: vec!["MESOS_", "MESOLITH_"],
    }
}
