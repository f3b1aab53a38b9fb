//! Names: of nodes, of clusters, of what a node may do.

use crate::base::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A node: the first eight bytes of its public key's hash. Never 0; printed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// A cluster: random, made with it; printed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u64);

fn from_hex(what: &str, text: &str) -> Result<u64> {
    let bad = || {
        Error::new(Code::Invalid, format!("'{text}' is no {what}"))
            .hint(format!("a {what} is 16 hexadecimal digits"))
    };
    let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !digits {
        return Err(bad());
    }
    u64::from_str_radix(text, 16).map_err(|_| bad())
}

macro_rules! hex_name {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:016x})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                from_hex($what, text).map(Self)
            }
        }
    };
}

hex_name!(NodeId, "node id");
hex_name!(ClusterId, "cluster id");

impl ClusterId {
    /// A new one.
    ///
    /// # Errors
    /// [`Code::System`] without randomness.
    pub fn random() -> Result<Self> {
        Ok(Self(u64::from_le_bytes(super::random()?).max(1)))
    }
}

/// What a certificate lets a node be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May vote, replicate and lead.
    Master,
    /// Runs tasks.
    Agent,
}

impl Role {
    /// All there are.
    pub const ALL: [Role; 2] = [Role::Master, Role::Agent];

    /// Its name in certificates and texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Agent => "agent",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Master => 1,
            Self::Agent => 2,
        }
    }
}

/// A set of roles. Bits of other versions' roles are kept, and give nothing here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Roles(u8);

impl Roles {
    /// None.
    pub const NONE: Roles = Roles(0);
    /// A full node: master and agent.
    pub const FULL: Roles = Roles(3);
    /// A node that only runs tasks.
    pub const AGENT: Roles = Roles(2);
    /// A node that runs no tasks.
    pub const MASTER: Roles = Roles(1);

    /// Those roles.
    pub fn of(roles: impl IntoIterator<Item = Role>) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }

    /// Whether the role is among them.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether all of them are in `other`.
    pub fn within(self, other: Roles) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them that this version knows.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Role::name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(" and "))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roles({self})")
    }
}
