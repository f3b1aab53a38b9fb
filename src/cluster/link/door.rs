//! The doors of a node: what other nodes may ask for, by path, and which role may use which. Pure.

use super::wire::FaceName;
use crate::cluster::identity::{Role, Roles};

/// Something that is asked for over the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// Who are you, which versions do you speak.
    Hello,
    /// Let me in; also passed on by members.
    Join,
    /// A new certificate for the same key.
    Renew,
    /// How a node stands with the cluster, and which nodes were removed: for what its own copy of the log does not tell.
    Standing,
    /// Entries, votes.
    RaftCall,
    /// A leader's sign of life.
    RaftHeartbeat,
    /// A whole state.
    RaftSnapshot,
    /// Gossip.
    Gossip,
    /// An agent's stream with the leading master.
    Agent,
    /// A user's request, passed on to a face.
    Face(FaceName),
}

impl Door {
    /// All of them, each face too.
    pub const ALL: [Door; 13] = [
        Door::Hello,
        Door::Join,
        Door::Renew,
        Door::Standing,
        Door::RaftCall,
        Door::RaftHeartbeat,
        Door::RaftSnapshot,
        Door::Gossip,
        Door::Agent,
        Door::Face(FaceName::Master),
        Door::Face(FaceName::Agent),
        Door::Face(FaceName::Marathon),
        Door::Face(FaceName::Chronos),
    ];

    /// Its path; a face's has the request's own path behind it.
    pub fn path(self) -> &'static str {
        match self {
            Self::Hello => "/hello",
            Self::Join => "/join",
            Self::Renew => "/renew",
            Self::Standing => "/standing",
            Self::RaftCall => "/raft/call",
            Self::RaftHeartbeat => "/raft/heartbeat",
            Self::RaftSnapshot => "/raft/snapshot",
            Self::Gossip => "/gossip",
            Self::Agent => "/agent",
            Self::Face(FaceName::Master) => "/face/master",
            Self::Face(FaceName::Agent) => "/face/agent",
            Self::Face(FaceName::Marathon) => "/face/marathon",
            Self::Face(FaceName::Chronos) => "/face/chronos",
        }
    }

    /// The door of a path.
    pub fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|door| match (door, path.strip_prefix(door.path())) {
            (Self::Face(_), Some(rest)) => rest.starts_with('/'),
            (_, Some(rest)) => rest.is_empty(),
            (_, None) => false,
        })
    }
}

/// Whether a role may use a door. No role: somebody without a certificate.
pub fn may(role: Option<Role>, door: Door) -> bool {
    match (door, role) {
        // The one door for strangers. Members pass joins on.
        (Door::Join, _) => true,
        (_, None) => false,
        (Door::Hello | Door::Renew | Door::Standing | Door::Gossip | Door::Face(_), Some(_)) => {
            true
        }
        (Door::RaftCall | Door::RaftHeartbeat | Door::RaftSnapshot, Some(role)) => {
            role == Role::Master
        }
        (Door::Agent, Some(role)) => role == Role::Agent,
    }
}

/// Whether a member with these roles may use a door.
pub fn roles_may(roles: Roles, door: Door) -> bool {
    roles.iter().any(|role| may(Some(role), door))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_door_or_nothing() {
        for door in Door::ALL {
            let path = match door {
                Door::Face(_) => format!("{}/x", door.path()),
                _ => door.path().into(),
            };
            assert_eq!(Door::of(&path), Some(door), "{path}");
        }
        for path in
            ["", "/", "/raft", "/raft/call/", "/hello2", "/face/master", "/face/other/x", "*"]
        {
            assert_eq!(Door::of(path), None, "{path}");
        }
    }

    #[test]
    fn who_may_use_which_door() {
        use Door::{
            Agent, Face, Gossip, Hello, Join, RaftCall, RaftHeartbeat, RaftSnapshot, Renew,
            Standing,
        };
        let allowed = |role| Door::ALL.into_iter().filter(|d| may(role, *d)).collect::<Vec<_>>();
        assert_eq!(allowed(None), [Join]);
        let faces = [FaceName::Master, FaceName::Agent, FaceName::Marathon, FaceName::Chronos];
        let faces = faces.map(Face);
        let mut agent = vec![Hello, Join, Renew, Standing, Gossip, Agent];
        agent.extend(faces);
        assert_eq!(allowed(Some(Role::Agent)), agent);
        let mut master =
            vec![Hello, Join, Renew, Standing, RaftCall, RaftHeartbeat, RaftSnapshot, Gossip];
        master.extend(faces);
        assert_eq!(allowed(Some(Role::Master)), master);
        assert!(roles_may(Roles::FULL, RaftCall) && roles_may(Roles::FULL, Agent));
        assert!(!roles_may(Roles::NONE, Hello));
    }
}
