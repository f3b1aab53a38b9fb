//! Settings as flags of a command: a room's table becomes arguments with help, whose texts go to `config` unread, so
//! that all faults of all origins are told together.

use crate::base::settings::{Kind, Setting};
use crate::config::Flags;
use crate::node::settings;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// The settings given as flags.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags(pub Flags);

/// `data_dir` is typed `--data-dir`; Mesos's own spelling with `_` is read too.
fn long(setting: &Setting) -> String {
    setting.name.replace('_', "-")
}

fn argument(setting: &Setting, heading: &'static str) -> Arg {
    let name = long(setting);
    let help = match setting.default {
        Some(default) => format!("{} [default: {default}]", setting.help),
        None => setting.help.to_string(),
    };
    let mut arg = Arg::new(setting.name).long(name.clone()).help(help).help_heading(heading);
    if name != setting.name {
        arg = arg.alias(setting.name);
    }
    for alias in setting.aliases {
        arg = arg.alias(*alias).alias(alias.replace('_', "-"));
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
fn negation(setting: &Setting) -> Arg {
    Arg::new(format!("no-{}", setting.name))
        .long(format!("no-{}", long(setting)))
        .alias(format!("no-{}", setting.name))
        .action(ArgAction::SetTrue)
        .conflicts_with(setting.name)
        .hide(true)
}

impl Args for SettingFlags {
    fn augment_args(mut command: Command) -> Command {
        for (heading, table) in settings::tables() {
            for setting in table {
                command = command.arg(argument(setting, heading));
                if setting.kind == Kind::Bool {
                    command = command.arg(negation(setting));
                }
            }
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Flags::new();
        for setting in settings::table() {
            if let Some(text) = matches.get_one::<String>(setting.name) {
                flags.insert(setting.name.to_string(), text.clone());
            }
            let no = format!("no-{}", setting.name);
            if setting.kind == Kind::Bool && matches.get_flag(&no) {
                flags.insert(setting.name.to_string(), "false".into());
            }
        }
        Ok(Self(flags))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

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
