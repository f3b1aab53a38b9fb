//! The rules of the house (ARCHITECTURE.md, "Rooms and arrows"), kept by reading the sources: who may import whom, how long
//! a file may be, which room owns which third-party crate, and what a core must not touch.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file, tests left out.
const LINES_MAX: usize = 800;

/// Columns of a line.
const COLUMNS_MAX: usize = 140;

/// Room → rooms it may import. A room may always import itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("mesos", &["base"]),
    ("machine", &["base"]),
    ("store", &["base", "mesos"]),
    ("telemetry", &["base", "mesos"]),
    ("config", &["base", "mesos"]),
    ("security", &["base", "mesos"]),
    ("http", &["base", "mesos", "security", "telemetry"]),
    ("cluster", &["base", "machine", "mesos", "store", "http", "security", "telemetry"]),
    ("framework", &["base", "machine", "mesos", "http", "security", "telemetry"]),
    ("marathon", &["base", "machine", "mesos", "framework", "http", "security", "telemetry"]),
    ("chronos", &["base", "machine", "mesos", "framework", "http", "security", "telemetry"]),
    ("console", &["base", "http"]),
    (
        "master",
        &["base", "machine", "mesos", "framework", "cluster", "http", "security", "telemetry"],
    ),
    (
        "agent",
        &[
            "base",
            "machine",
            "mesos",
            "store",
            "cluster",
            "framework",
            "http",
            "security",
            "telemetry",
        ],
    ),
    ("cli", &["base", "mesos", "config", "framework", "marathon", "chronos", "node"]),
    (
        "node",
        &[
            "base",
            "machine",
            "mesos",
            "store",
            "telemetry",
            "config",
            "security",
            "http",
            "cluster",
            "framework",
            "master",
            "agent",
            "marathon",
            "chronos",
            "console",
        ],
    ),
    // Of the cluster only what decides: see `the_simulation_knows_no_shell_of_the_cluster`.
    ("sim", &["base", "machine", "mesos", "cluster", "master", "agent", "marathon", "chronos"]),
];

/// Third-party crate → the places that may name it (prefixes of paths under `src/`).
const OWNERS: &[(&str, &[&str])] = &[
    ("redb", &["store/"]),
    ("openraft", &["cluster/consensus/"]),
    ("chitchat", &["cluster/gossip/"]),
    ("anyhow", &["cluster/gossip/"]),
    ("async_trait", &["cluster/gossip/"]),
    ("libcontainer", &["agent/containerizer/"]),
    ("libcgroups", &["agent/containerizer/"]),
    ("bollard", &["agent/containerizer/docker/"]),
    ("seccompiler", &["agent/containerizer/isolators/seccomp/"]),
    ("clap", &["cli/", "config/", "main.rs", "options.rs"]),
    ("clap_complete", &["cli/"]),
    ("comfy_table", &["cli/"]),
    ("indicatif", &["cli/"]),
    ("flate2", &["agent/fetcher/", "agent/provisioner/", "http/", "console/"]),
    ("tar", &["agent/fetcher/", "agent/provisioner/"]),
    ("zip", &["agent/fetcher/"]),
    ("bzip2", &["agent/fetcher/"]),
    ("zstd", &["agent/fetcher/", "agent/provisioner/"]),
    ("lzma_rust2", &["agent/fetcher/"]),
    ("axum", &["http/", "api/", "console/"]),
    ("tracing_subscriber", &["telemetry/"]),
    ("postcard", &["cluster/", "store/", "agent/containerizer/"]),
    ("ring", &["console/", "cluster/identity/", "agent/provisioner/"]),
    ("rcgen", &["cluster/identity/"]),
    ("webpki", &["cluster/identity/"]),
    ("time", &["cluster/identity/"]),
    ("tokio_rustls", &["cluster/link/"]),
    ("percent_encoding", &["http/", "framework/", "agent/", "cli/", "master/api/"]),
];

/// Where decisions live: synchronous, deterministic, no I/O.
fn is_core(path: &str) -> bool {
    path.contains("/core/")
        || path.starts_with("master/allocator/")
        || path.starts_with("cluster/membership/")
        || path.starts_with("base/")
        || path == "machine/mod.rs"
        || path == "machine/timers.rs"
        || path.starts_with("sim/")
}

/// What no core may name.
const FORBIDDEN_IN_CORES: &[&str] = &[
    "async",
    "await",
    "tokio",
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "unwrap",
    "expect",
    "panic",
    "todo",
    "unimplemented",
    "println",
    "eprintln",
    "thread_rng",
];

/// Modules of std that no core may name.
const STD_FORBIDDEN_IN_CORES: &[&str] = &["fs", "net", "process", "env", "thread"];

struct Source {
    /// Below `src/`, with `/`.
    path: String,
    text: String,
    /// Words and punctuation outside tests, in order; groups are opened and closed by their brackets.
    tokens: Vec<String>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 20, "the sources are not where this test looks for them");
    files.into_iter().map(|file| read(&root, &file)).collect()
}

fn read(root: &Path, file: &Path) -> Source {
    let text = fs::read_to_string(file).expect("a source file is readable text");
    let relative = file.strip_prefix(root).expect("found below the root");
    let path = relative.to_string_lossy().replace('\\', "/");
    let stream: TokenStream = text.parse().unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    Source { path, text, tokens }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Unit tests may do what cores may not.
fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// Flattens a stream, leaving out items under `#[cfg(test)]`.
fn flatten(stream: TokenStream, out: &mut Vec<String>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        if is_cfg_test(&trees[at..]) {
            at += 2;
            // The item ends with a semicolon or with its braces.
            while at < trees.len() {
                let end = match &trees[at] {
                    TokenTree::Punct(p) => p.as_char() == ';',
                    TokenTree::Group(g) => g.delimiter() == Delimiter::Brace,
                    _ => false,
                };
                at += 1;
                if end {
                    break;
                }
            }
            continue;
        }
        match &trees[at] {
            TokenTree::Group(g) => {
                let (open, close) = match g.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::None => ("", ""),
                };
                out.push(open.into());
                flatten(g.stream(), out);
                out.push(close.into());
            }
            TokenTree::Ident(i) => out.push(i.to_string()),
            TokenTree::Punct(p) => out.push(p.as_char().to_string()),
            TokenTree::Literal(_) => out.push("\"\"".into()),
        }
        at += 1;
    }
}

fn is_cfg_test(trees: &[TokenTree]) -> bool {
    let [TokenTree::Punct(hash), TokenTree::Group(g), ..] = trees else { return false };
    let text = g.stream().to_string().replace(' ', "");
    hash.as_char() == '#' && (text == "cfg(test)" || text.starts_with("cfg(any(test"))
}

/// The first segments that follow `root ::`, also in a braced list.
fn imported(tokens: &[String], root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, t)| *t == root) {
        let rest = &tokens[at + 1..];
        if rest.len() < 3 || rest[0] != ":" || rest[1] != ":" {
            continue;
        }
        // `x::root::…` is not a path from the root.
        if root == "std" && at > 1 && tokens[at - 1] == ":" {
            continue;
        }
        if rest[2] != "{" {
            found.insert(rest[2].clone());
            continue;
        }
        let (mut depth, mut fresh) = (0, true);
        for token in &rest[2..] {
            match token.as_str() {
                "{" => {
                    depth += 1;
                    fresh = depth == 1;
                }
                "}" => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                "," if depth == 1 => fresh = true,
                word if depth == 1 && fresh => {
                    found.insert(word.to_string());
                    fresh = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn report(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

#[test]
fn rooms_import_only_along_the_arrows() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|s| s.path.contains('/') && !is_test_file(&s.path)) {
        let room = source.path.split('/').next().unwrap_or_default();
        let Some((_, allowed)) = ARROWS.iter().find(|(r, _)| *r == room) else {
            faults.push(format!("{}: the room {room} is not in the table", source.path));
            continue;
        };
        for other in imported(&source.tokens, "crate") {
            let is_room = ARROWS.iter().any(|(r, _)| *r == other);
            if is_room && other != room && !allowed.contains(&other.as_str()) {
                faults.push(format!("{} imports {other}", source.path));
            }
        }
    }
    report("a room imports against the arrows", &faults);
}

#[test]
fn cores_touch_no_clock_no_io_no_hash_order() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|s| is_core(&s.path) && !is_test_file(&s.path)) {
        for word in FORBIDDEN_IN_CORES {
            if source.tokens.iter().any(|t| t == word) {
                faults.push(format!("{} names `{word}`", source.path));
            }
        }
        for name in ["uuid", "getrandom", "rand"] {
            if source.tokens.windows(3).any(|w| w[0] == name && w[1] == ":" && w[2] == ":") {
                faults.push(format!("{} names the crate {name}", source.path));
            }
        }
        for module in imported(&source.tokens, "std") {
            if STD_FORBIDDEN_IN_CORES.contains(&module.as_str()) {
                faults.push(format!("{} names `std::{module}`", source.path));
            }
        }
        if source.path.starts_with("cluster/membership/") {
            for part in imported(&source.tokens, "crate").into_iter().filter(|p| p != "base") {
                faults.push(format!("{} imports {part}: it is a function of base", source.path));
            }
        }
        if source.path.contains("/core/") {
            for part in imported(&source.tokens, "crate") {
                let own = source.path.split('/').next().unwrap_or_default();
                let fine = matches!(part.as_str(), "base" | "machine" | "mesos") || part == own;
                if !fine {
                    faults.push(format!("{} imports {part}: a core knows no service", source.path));
                }
            }
        }
    }
    report("a core is not pure", &faults);
}

#[test]
fn the_simulation_knows_no_shell_of_the_cluster() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|s| s.path.starts_with("sim/")) {
        let direct = |w: &[String]| w[0] == "crate" && w[3] == "cluster";
        let paths: Vec<&[String]> = source.tokens.windows(7).filter(|w| direct(w)).collect();
        faults.extend(
            paths
                .iter()
                .filter(|w| w[6] != "membership")
                .map(|w| format!("{} imports {} of the cluster", source.path, w[6])),
        );
        // In a braced list nobody looks further.
        if paths.is_empty() && imported(&source.tokens, "crate").contains("cluster") {
            faults.push(format!("{} imports the cluster in a list", source.path));
        }
    }
    report("the simulation imports more of the cluster than its core", &faults);
}

#[test]
fn third_party_crates_have_one_owner() {
    let mut faults = Vec::new();
    for source in sources() {
        for (name, owners) in OWNERS {
            if is_test_file(&source.path) {
                continue;
            }
            // `x::ring::…` is not a path of that crate.
            let inner = |at: usize| at > 0 && source.tokens[at - 1] == ":";
            let used = source
                .tokens
                .windows(3)
                .enumerate()
                .any(|(at, w)| w[0] == *name && w[1] == ":" && w[2] == ":" && !inner(at));
            let allowed = owners.iter().any(|o| {
                source.path.starts_with(o)
                    || source.path.ends_with(o)
                    || source.path.contains(&format!("/{o}"))
            });
            if used && !allowed {
                faults.push(format!("{} names {name}, which belongs to {owners:?}", source.path));
            }
        }
    }
    report("a crate is used outside its room", &faults);
}

#[test]
fn files_stay_small() {
    let mut faults = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX && !is_test_file(&source.path) {
            faults.push(format!("{} has {lines} lines", source.path));
        }
        for (number, line) in source.text.lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX {
                faults.push(format!("{}:{} is too wide", source.path, number + 1));
            }
        }
    }
    report("a file is too long: split it by concern", &faults);
}

#[test]
fn modules_say_what_they_are_and_nothing_is_left_unfinished() {
    let mut faults = Vec::new();
    for source in sources() {
        let head = source.text.trim_start();
        if !head.starts_with("//!") && !is_test_file(&source.path) {
            faults.push(format!("{} has no module head (`//!`)", source.path));
        }
        for mark in ["todo", "unimplemented"] {
            if source.tokens.windows(2).any(|w| w[0] == mark && w[1] == "!") {
                faults.push(format!("{} has a `{mark}!`", source.path));
            }
        }
    }
    report("unfinished", &faults);
}

#[test]
fn the_tree_has_only_the_rooms_of_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for entry in fs::read_dir(root).expect("src is readable").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = ARROWS.iter().any(|(r, _)| *r == name);
        if entry.path().is_dir() && !known {
            faults.push(format!("src/{name} is no room of the table"));
        }
        if entry.path().is_file() && name != "lib.rs" && name != "main.rs" {
            faults.push(format!("src/{name} belongs in a room"));
        }
    }
    report("a room without arrows", &faults);
}

#[test]
fn a_path_in_braces_is_seen() {
    let tokens = |text: &str| {
        let mut out = Vec::new();
        flatten(text.parse().expect("tokens"), &mut out);
        out
    };
    let rooms =
        imported(&tokens("use crate::{base::ids, master::{a, b}}; crate::agent::x()"), "crate");
    let expected: BTreeSet<String> = ["agent", "base", "master"].map(String::from).into();
    assert_eq!(rooms, expected);
    let tested = tokens("#[cfg(test)] mod tests { use std::fs; } fn f() {}");
    assert!(imported(&tested, "std").is_empty());
}
