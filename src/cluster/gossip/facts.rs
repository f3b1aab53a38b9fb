//! What a node says of itself, as keys and values of gossip.
//!
//! A newer version may say more: keys that are not known here are passed over. A value that cannot be what its key
//! says is counted and left out; the rest holds.

use crate::base::error::{Code, Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The longest value, in bytes. With it, what 900 nodes say fits gossip's frames many times over.
pub const VALUE_BYTES_MAX: usize = 256;

/// What runs on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It may lead, and have the log.
    Master,
    /// It runs tasks.
    Agent,
    /// It hosts Marathon.
    Marathon,
    /// It hosts Chronos.
    Chronos,
}

/// All roles.
pub const ROLES: [Role; 4] = [Role::Master, Role::Agent, Role::Marathon, Role::Chronos];

impl Role {
    /// As the options and gossip name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Agent => "agent",
            Self::Marathon => "marathon",
            Self::Chronos => "chronos",
        }
    }

    fn face(self) -> &'static str {
        match self {
            Self::Master => "face.master",
            Self::Agent => "face.agent",
            Self::Marathon => "face.marathon",
            Self::Chronos => "face.chronos",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a node says of itself. May be stale, and is never the ground of a decision that must be safe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The program's version.
    pub version: String,
    /// The oldest and the newest version of the wire that it speaks.
    pub wire: Option<(u32, u32)>,
    /// What runs there.
    pub roles: BTreeSet<Role>,
    /// Its failure domain; empty: none was named.
    pub zone: String,
    /// The name under which its agent offers resources.
    pub hostname: String,
    /// Whom it takes for the leader, and in which epoch.
    pub leader: Option<(u64, u64)>,
    /// Where its user ports are, `host:port`.
    pub faces: BTreeMap<Role, String>,
    /// Whether it wants to have the log, and to vote if it is chosen.
    pub candidate: bool,
    /// Whether it is about to leave for good.
    pub leaving: bool,
    /// How busy its processors are, in percent of all of them.
    pub load: Option<u32>,
}

impl Facts {
    /// Whether they can be told.
    ///
    /// # Errors
    /// [`Code::Invalid`], naming the key, when a value is too long.
    pub fn check(&self) -> Result<()> {
        match self.encode().into_iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
            None => Ok(()),
            Some((key, value)) => Err(Error::new(
                Code::Invalid,
                format!("{key} has {} bytes, gossip carries {VALUE_BYTES_MAX}", value.len()),
            )),
        }
    }

    /// Each key with its value; all keys are there, an empty value says that there is nothing to say.
    pub(super) fn encode(&self) -> Vec<(&'static str, String)> {
        let flag = |set: bool| if set { "1".into() } else { String::new() };
        let roles: Vec<&str> = self.roles.iter().map(|role| role.name()).collect();
        let pair = |(a, b): (u64, u64), of: &str| format!("{a:016x}{of}{b}");
        let mut all = vec![
            ("version", self.version.clone()),
            ("wire", self.wire.map(|(old, new)| format!("{old}-{new}")).unwrap_or_default()),
            ("roles", roles.join(",")),
            ("zone", self.zone.clone()),
            ("hostname", self.hostname.clone()),
            ("leader", self.leader.map(|leader| pair(leader, "@")).unwrap_or_default()),
            ("candidate", flag(self.candidate)),
            ("leaving", flag(self.leaving)),
            ("load", self.load.map(|load| load.to_string()).unwrap_or_default()),
        ];
        for role in ROLES {
            all.push((role.face(), self.faces.get(&role).cloned().unwrap_or_default()));
        }
        all
    }

    /// The facts, and how many values were not what their keys say.
    pub(super) fn decode<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> (Self, u64) {
        let (mut facts, mut bad) = (Self::default(), 0);
        for (key, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            if facts.take(key, value).is_none() {
                bad += 1;
            }
        }
        (facts, bad)
    }

    /// Takes one value; none: it is a bad one.
    fn take(&mut self, key: &str, value: &str) -> Option<()> {
        if value.len() > VALUE_BYTES_MAX {
            return None;
        }
        let flag = |value: &str| (value == "1").then_some(true);
        match key {
            "version" => self.version = word(value)?,
            "wire" => {
                let (oldest, newest) = value.split_once('-')?;
                let (oldest, newest) = (number(oldest)?, number(newest)?);
                self.wire = (oldest <= newest).then_some(Some((oldest, newest)))?;
            }
            // A newer version may have further roles.
            "roles" => {
                let named = |word: &str| ROLES.into_iter().find(|role| role.name() == word);
                self.roles = value.split(',').filter_map(named).collect();
            }
            "zone" => self.zone = word(value)?,
            "hostname" => self.hostname = word(value)?,
            "leader" => {
                let (node, epoch) = value.split_once('@')?;
                self.leader = Some((super::node_of(node)?, number(epoch)?));
            }
            "candidate" => self.candidate = flag(value)?,
            "leaving" => self.leaving = flag(value)?,
            "load" => self.load = Some(number(value)?),
            _ => {
                if let Some(role) = ROLES.into_iter().find(|role| role.face() == key) {
                    self.faces.insert(role, word(value)?);
                }
            }
        }
        Some(())
    }
}

/// A number in its one form.
fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    let number: T = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Text that can be shown.
fn word(text: &str) -> Option<String> {
    (!text.chars().any(char::is_control)).then(|| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Facts {
        Facts {
            version: "0.1.0".into(),
            wire: Some((1, 2)),
            roles: [Role::Master, Role::Chronos].into(),
            zone: "rack-7".into(),
            hostname: "node7.example".into(),
            leader: Some((0xfeed, 4711)),
            faces: [(Role::Master, "10.0.0.7:5050".into()), (Role::Agent, "[::1]:5051".into())]
                .into(),
            candidate: true,
            leaving: true,
            load: Some(42),
        }
    }

    fn decode(pairs: &[(&str, &str)]) -> (Facts, u64) {
        Facts::decode(pairs.iter().copied())
    }

    #[test]
    fn what_is_said_is_understood() {
        for facts in [full(), Facts::default()] {
            let said = facts.encode();
            let heard = Facts::decode(said.iter().map(|(key, value)| (*key, value.as_str())));
            assert_eq!(heard, (facts, 0));
        }
    }

    #[test]
    fn the_keys_and_values_are_these() {
        let said: Vec<String> =
            full().encode().iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            said.join(" "),
            "version=0.1.0 wire=1-2 roles=master,chronos zone=rack-7 hostname=node7.example \
             leader=000000000000feed@4711 candidate=1 leaving=1 load=42 \
             face.master=10.0.0.7:5050 face.agent=[::1]:5051 face.marathon= face.chronos="
        );
    }

    #[test]
    fn bad_values_are_counted_and_the_rest_holds() {
        let (facts, bad) = decode(&[
            ("wire", "2-1"),
            ("leader", "7@1"),
            ("leader", "000000000000feed@-1"),
            ("leader", "000000000000feed"),
            ("candidate", "yes"),
            ("load", "many"),
            ("load", "+7"),
            ("zone", "a\nb"),
            ("face.master", &"x".repeat(VALUE_BYTES_MAX + 1)),
            ("version", "0.2.0"),
        ]);
        assert_eq!((facts.version.as_str(), bad), ("0.2.0", 9));
        assert_eq!(Facts { version: String::new(), ..facts }, Facts::default());
    }

    #[test]
    fn what_a_newer_version_says_is_passed_over() {
        let (facts, bad) =
            decode(&[("colour", "\u{1}"), ("face.dns", "x:53"), ("roles", "dns,agent")]);
        assert_eq!(bad, 0);
        assert_eq!(facts.roles, [Role::Agent].into());
        assert!(facts.faces.is_empty());
    }

    #[test]
    fn what_is_too_long_is_not_told() {
        assert!(full().check().is_ok());
        let facts = Facts { zone: "z".repeat(VALUE_BYTES_MAX + 1), ..full() };
        assert!(facts.check().expect_err("too long").cause.starts_with("zone has 257 bytes"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(key in "(wire|leader|roles|load|candidate|zone|face.agent)", value in ".*") {
            let _ = decode(&[(&key, &value)]);
        }
    }
}
