//! What can be chosen about what is accepted; filled from flags.

use std::collections::BTreeSet;

/// Choices that definitions are completed and checked with.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `--mesos_role`: the role of apps that name none.
    pub mesos_role: String,
    /// `--default_network_name`: the network of container-mode apps that name none.
    pub default_network_name: Option<String>,
    /// `--mesos_bridge_name`: an old `ipAddress` naming it means the bridge.
    pub mesos_bridge_name: String,
    /// `--enable_features`.
    pub features: BTreeSet<String>,
}

impl Rules {
    /// The message for something that needs a feature which is off.
    pub fn disabled(feature: &str) -> String {
        // Marathon's own text, with its stray bracket.
        format!("Feature {feature} is not enabled. Enable with --enable_features {feature})")
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            mesos_role: "*".into(),
            default_network_name: None,
            mesos_bridge_name: "mesos-bridge".into(),
            features: BTreeSet::new(),
        }
    }
}
