//! What a container of an image does: the command, environment, folder and user of the image, where the task names none.
//! The rules are those of the original's `docker/runtime` isolator.

use crate::agent::containerizer::spec::Command;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// Texts of one kind in a configuration, at most.
const WORDS_MAX: usize = 4096;

/// An image's own wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// `NAME=value`.
    pub env: Vec<String>,
    /// First words of the command.
    pub entrypoint: Vec<String>,
    /// The other words, unless the task names some.
    pub cmd: Vec<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// `user`, `uid`, `user:group` or `uid:gid`.
    pub user: Option<String>,
}

impl Runtime {
    /// The same, if it can be used.
    ///
    /// # Errors
    /// What cannot.
    pub fn checked(self) -> Result<Self, String> {
        let all = || self.env.iter().chain(&self.entrypoint).chain(&self.cmd);
        let words = all().count();
        let single = self.cwd.iter().chain(&self.user);
        if words > WORDS_MAX || all().chain(single).any(|w| w.contains('\0')) {
            return Err("the configuration of the image holds a zero byte or too many words".into());
        }
        if let Some(cwd) = &self.cwd
            && Path::new(cwd).components().any(|c| c == Component::ParentDir)
        {
            let cwd = super::shown(cwd);
            return Err(format!("the working directory {cwd} of the image leads upwards"));
        }
        Ok(self)
    }

    /// The working directory as an absolute path.
    pub fn folder(&self) -> Option<String> {
        self.cwd.as_ref().map(|cwd| format!("/{}", cwd.trim_start_matches('/')))
    }

    /// The command of a task in a container of this image.
    ///
    /// A command of the task replaces the image's. Without one, its arguments follow the entry point instead of the
    /// image's; where there is no entry point, they follow the first word of the image's command.
    ///
    /// # Errors
    /// Nobody names a command.
    pub fn command(
        &self,
        shell: bool,
        value: Option<&str>,
        arguments: &[String],
    ) -> Result<Command, String> {
        match (shell, value) {
            (true, Some(text)) => return Ok(Command::Shell(text.into())),
            (true, None) => return Err("a shell command needs a value".into()),
            (false, Some(program)) => {
                return Ok(Command::Exec { program: program.into(), argv: arguments.to_vec() });
            }
            (false, None) => {}
        }
        let words = |first: &[String]| {
            let rest = if arguments.is_empty() { &self.cmd } else { arguments };
            first.iter().chain(rest).cloned().collect::<Vec<_>>()
        };
        let argv = match (self.entrypoint.as_slice(), self.cmd.as_slice()) {
            ([], []) => {
                return Err("neither the task nor the image names a command".into());
            }
            ([], [_, ..]) if arguments.is_empty() => self.cmd.clone(),
            ([], [first, ..]) => words(std::slice::from_ref(first)),
            (entrypoint, _) => words(entrypoint),
        };
        let program = argv.first().cloned().unwrap_or_default();
        Ok(Command::Exec { program, argv })
    }

    /// The environment: the image's variables replace what every task gets, the task's own (`named`) stay, and what the
    /// agent tells of itself does, too.
    pub fn environment(
        &self,
        given: &[(String, String)],
        named: impl Fn(&str) -> bool,
    ) -> Vec<(String, String)> {
        let mut all = given.to_vec();
        for (name, value) in self.env.iter().filter_map(|v| v.split_once('=')) {
            let agents = |n: &str| n.starts_with("MESOS_") || n.starts_with("LIBPROCESS_");
            match all.iter_mut().find(|(n, _)| n == name) {
                _ if name.is_empty() => {}
                Some((n, _)) if named(n) || agents(n) => {}
                Some((_, slot)) => *slot = value.into(),
                None => all.push((name.into(), value.into())),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn image(entrypoint: &str, cmd: &str) -> Runtime {
        Runtime { entrypoint: words(entrypoint), cmd: words(cmd), ..Runtime::default() }
    }

    // covers: MES-0902, MES-0903
    #[test]
    fn the_table_of_commands() {
        let run = |image: &Runtime, value: Option<&str>, argv: &str| {
            image.command(false, value, &words(argv)).map(|c| c.resolve())
        };
        let is = |argv: &str| {
            let argv = words(argv);
            Ok((argv[0].clone(), argv))
        };
        let (none, cmd) = (image("", ""), image("", "c0 c1"));
        let (entry, both) = (image("e0 e1", ""), image("e0 e1", "c0 c1"));
        assert!(run(&none, None, "").is_err());
        assert!(run(&none, None, "a").is_err());
        assert_eq!(run(&cmd, None, ""), is("c0 c1"));
        assert_eq!(run(&cmd, None, "a b"), is("c0 a b"));
        assert_eq!(run(&entry, None, ""), is("e0 e1"));
        assert_eq!(run(&entry, None, "a b"), is("e0 e1 a b"));
        assert_eq!(run(&both, None, ""), is("e0 e1 c0 c1"));
        assert_eq!(run(&both, None, "a b"), is("e0 e1 a b"));
        for image in [&none, &cmd, &entry, &both] {
            assert_eq!(run(image, Some("v"), ""), is("v"));
            let named = run(image, Some("v"), "arg0 a").expect("good");
            assert_eq!(named, ("v".into(), words("arg0 a")));
            let shell = image.command(true, Some("x | y"), &words("a")).expect("good");
            assert_eq!(shell, Command::Shell("x | y".into()));
            assert!(image.command(true, None, &words("a")).is_err());
        }
    }

    #[test]
    fn the_images_variables_come_between() {
        let image = Runtime {
            env: words("PATH=/image A=image B=image C=x=y MESOS_SANDBOX=no broken =x"),
            ..Runtime::default()
        };
        let given: Vec<(String, String)> =
            [("PATH", "/default"), ("MESOS_SANDBOX", "/s"), ("A", "operator"), ("B", "task")]
                .map(|(n, v)| (n.into(), v.into()))
                .into();
        let all = image.environment(&given, |n| n == "B");
        let value = |n: &str| all.iter().find(|(name, _)| name == n).map(|(_, v)| v.as_str());
        assert_eq!(value("PATH"), Some("/image"));
        assert_eq!(value("A"), Some("image"));
        assert_eq!(value("B"), Some("task"));
        assert_eq!(value("C"), Some("x=y"));
        assert_eq!(value("MESOS_SANDBOX"), Some("/s"));
        assert_eq!(all.len(), 5);
    }

    #[test]
    fn a_folder_that_leads_upwards_is_refused() {
        let of = |cwd: &str| Runtime { cwd: Some(cwd.into()), ..Runtime::default() }.checked();
        assert_eq!(of("srv").expect("good").folder().as_deref(), Some("/srv"));
        assert!(of("/a/../../etc").is_err());
        assert!(of("/a\0").is_err());
    }
}
