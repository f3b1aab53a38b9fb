//! Settings as flags of a command: a room's table becomes arguments with help, whose texts go to `config` unread, so
//! that all faults of all origins are told together.

use crate::base::settings::{Kind, Setting};
use crate::config::Flags;
use crate::node::settings::{self, Table};
use crate::node::standalone::{self, ChronosProcess, MarathonProcess};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// The settings of `up` given as flags.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags(pub Flags);

/// Those of `marathon`.
#[derive(Clone, Debug, Default)]
pub struct MarathonFlags(pub Flags);

/// Those of `chronos`.
#[derive(Clone, Debug, Default)]
pub struct ChronosFlags(pub Flags);

/// The setting that names whom a node joins: its flag may be given several times.
pub const JOIN: &str = "join";

/// `data_dir` is typed `--data-dir`; Mesos's own spelling with `_` is read too. What belongs to a framework begins with
/// its name.
fn long(prefix: &str, setting: &Setting) -> String {
    format!("{prefix}{}", setting.flag).replace('_', "-")
}

/// Under which name the text goes to `config`.
fn id(prefix: &str, setting: &Setting) -> String {
    format!("{prefix}{}", setting.name)
}

fn argument(table: &Table, setting: &Setting) -> Arg {
    let name = long(table.prefix, setting);
    let help = match setting.default {
        Some(default) => format!("{} [default: {default}]", setting.help),
        None => setting.help.to_string(),
    };
    let mut arg = Arg::new(id(table.prefix, setting)).long(name.clone()).help(help);
    arg = arg.help_heading(table.heading);
    let mesos = format!("{}{}", table.prefix, setting.flag);
    if name != mesos {
        arg = arg.alias(mesos);
    }
    for alias in setting.aliases {
        let alias = format!("{}{alias}", table.prefix);
        arg = arg.alias(alias.replace('_', "-"));
        if alias.contains('_') {
            arg = arg.alias(alias);
        }
    }
    if setting.name == JOIN {
        arg = arg.action(ArgAction::Append);
    }
    match setting.kind {
        Kind::Bool => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL"),
        Kind::Text => arg.value_name("TEXT"),
        Kind::Number | Kind::Double => arg.value_name("NUMBER").allow_negative_numbers(true),
        Kind::Duration => arg.value_name("DURATION"),
        Kind::Bytes => arg.value_name("SIZE"),
    }
}

/// The `--no-NAME` of a yes-or-no setting; not shown in help.
fn negation(table: &Table, setting: &Setting) -> Arg {
    let id = id(table.prefix, setting);
    Arg::new(format!("no-{id}"))
        .long(format!("no-{}", long(table.prefix, setting)))
        .alias(format!("no-{}{}", table.prefix, setting.flag))
        .action(ArgAction::SetTrue)
        .conflicts_with(id)
        .hide(true)
}

/// Adds the flags of those tables to a command.
fn augment(mut command: Command, tables: &[Table]) -> Command {
    for table in tables {
        for setting in table.settings {
            command = command.arg(argument(table, setting));
            if setting.kind == Kind::Bool {
                command = command.arg(negation(table, setting));
            }
        }
    }
    command
}

/// The texts of those tables that were given as flags.
fn given(matches: &ArgMatches, tables: &[Table]) -> Flags {
    let mut flags = Flags::new();
    for table in tables {
        for setting in table.settings {
            let id = id(table.prefix, setting);
            if let Some(texts) = matches.get_many::<String>(&id) {
                // Only one that may be repeated has several; they are a list, as in files.
                let texts: Vec<&str> = texts.map(String::as_str).collect();
                flags.insert(id.clone(), texts.join(","));
            }
            let no = format!("no-{id}");
            if setting.kind == Kind::Bool && matches.get_flag(&no) {
                flags.insert(id, "false".into());
            }
        }
    }
    flags
}

/// Flags of `up` as they are typed.
pub fn arguments(flags: &Flags) -> Vec<String> {
    let tables = settings::tables();
    let typed = tables.iter().flat_map(|table| {
        let typed = |setting: &Setting| {
            let text = flags.get(&id(table.prefix, setting))?;
            Some(format!("--{}={text}", long(table.prefix, setting)))
        };
        table.settings.iter().filter_map(typed).collect::<Vec<_>>()
    });
    typed.collect()
}

/// The flags of a command as its arguments.
macro_rules! flags_of {
    ($name:ident, $tables:expr) => {
        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                augment(command, &$tables)
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl From<$name> for Flags {
            fn from(flags: $name) -> Flags {
                flags.0
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self(given(matches, &$tables)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

flags_of!(SettingFlags, settings::tables());
flags_of!(MarathonFlags, standalone::tables::<MarathonProcess>());
flags_of!(ChronosFlags, standalone::tables::<ChronosProcess>());

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Flags {
        let command = SettingFlags::augment_args(Command::new("up").no_binary_name(true));
        let matches = command.try_get_matches_from(args).expect("flags of the table");
        SettingFlags::from_arg_matches(&matches).expect("texts").0
    }

    #[test]
    fn both_spellings_and_both_forms_are_read() {
        let flags =
            parse(&["--data-dir=/d", "--master_port", "1", "--ephemeral", "--no-switch_user"]);
        let expected = [
            ("data_dir", "/d"),
            ("ephemeral", "true"),
            ("master_port", "1"),
            ("switch_user", "false"),
        ];
        assert_eq!(flags, expected.map(|(a, b)| (a.to_string(), b.to_string())).into());
        assert_eq!(parse(&["--slave_ping_timeout=1secs"])["agent_ping_timeout"], "1secs");
    }

    #[test]
    fn the_table_makes_a_sound_command() {
        SettingFlags::augment_args(Command::new("up")).debug_assert();
    }
}
