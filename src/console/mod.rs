//! The pages on the user ports: hand-written ES modules and vendored libraries, embedded, and how
//! they are served.
//!
//! It reads nothing of the cluster itself: pages ask the same endpoints as everybody else, under
//! the same realms. The pages' own files are public.
//!
//! ```text
//! let face = master_api::face(…).with(console::face(Section::Mesos, &links));
//! ```

mod assets;
mod page;
mod serve;

#[cfg(test)]
mod tests;

use crate::http::Face;
use serde::Serialize;

/// Which port a page is on; it lands on that port's subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// The Mesos master, :5050, at `/`.
    Mesos,
    /// The Mesos agent, :5051, at `/`: a small page that points to the master's.
    Agent,
    /// Marathon, :8080, at `/ui/`, where `/` leads to.
    Marathon,
    /// Chronos, :4400, at `/`.
    Chronos,
}

/// Where another face is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On this port of the host by whose name this page was asked for.
    Port(u16),
    /// Elsewhere: a whole URL.
    Url(String),
}

/// Where the faces are; those that are nowhere have no link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Links {
    /// The master's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesos: Option<Place>,
    /// Marathon's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marathon: Option<Place>,
    /// Chronos's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chronos: Option<Place>,
}

/// The page of that section, its files below `/mesolith/ui`, and `/mesolith/v1/console`, from
/// which the page learns where the other faces are.
pub fn face(section: Section, links: &Links) -> Face {
    serve::face(section, links)
}
