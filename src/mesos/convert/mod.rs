//! Between the wire forms and the vocabulary of `base`: resources, labels, attributes.
//!
//! Reading checks what Mesos checks of one resource (its `Resources::validate`) and answers its texts; rules that
//! need to know more than the resource (volumes of a task, capabilities of a framework) are not here.

mod attributes;
mod command_line;
mod describe;
mod disk;
mod read;
mod write;

pub use attributes::{attributes_from_v1, attributes_to_v1};
pub use command_line::parse_resources;
pub use read::{resource_from_v1, resources_from_v1};
pub use write::{Format, resource_to_v1, resources_to_v1};

use super::v1;
use crate::base::labels::Labels;

/// Labels off the wire.
pub fn labels_from_v1(labels: &v1::Labels) -> Labels {
    Labels(labels.labels.iter().map(|l| (l.key.clone(), l.value.clone())).collect())
}

/// Labels for the wire.
pub fn labels_to_v1(labels: &Labels) -> v1::Labels {
    let label = |(key, value): &(String, Option<String>)| v1::Label {
        key: key.clone(),
        value: value.clone(),
    };
    v1::Labels { labels: labels.0.iter().map(label).collect() }
}
