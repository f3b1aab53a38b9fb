//! Capabilities: the task's, else the operator's, else the usual ones; never more than the operator's bound.

use super::Policy;
use crate::agent::containerizer::ContainerSpec;
use crate::agent::containerizer::spec::{CapabilitySets, DEFAULT_CAPABILITIES};
use crate::mesos::v1;
use v1::capability_info::Capability;

/// By which device nodes are made.
const MKNOD: &str = "CAP_MKNOD";

/// Reads a flag's JSON, as `{"capabilities": ["CHOWN", "KILL"]}`.
///
/// # Errors
/// A text for the operator.
pub fn parse(text: &str) -> Result<Vec<String>, String> {
    // By name, not as the message: that drops names it does not know.
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        capabilities: Vec<String>,
    }
    let named: Named = serde_json::from_str(text)
        .map_err(|e| format!("expected {{\"capabilities\": [\"CHOWN\", …]}}: {e}"))?;
    let known = |name: String| match Capability::from_str_name(&name) {
        Some(Capability::Unknown) | None => Err(format!("Unknown capability '{name}'")),
        Some(known) => Ok(format!("CAP_{}", known.as_str_name())),
    };
    named.capabilities.into_iter().map(known).collect()
}

fn names(info: &v1::CapabilityInfo) -> Result<Vec<String>, String> {
    let known = |number: &i32| match Capability::try_from(*number) {
        Ok(Capability::Unknown) | Err(_) => Err("Unknown capability".to_string()),
        Ok(known) => Ok(format!("CAP_{}", known.as_str_name())),
    };
    info.capabilities.iter().map(known).collect()
}

/// Requires that all of `asked` are among `allowed`.
fn within(asked: &[String], allowed: &[String]) -> Result<(), String> {
    if asked.iter().all(|c| allowed.contains(c)) {
        return Ok(());
    }
    Err(format!(
        "Requested capabilities '{}', but only '{}' are allowed",
        asked.join(", "),
        allowed.join(", ")
    ))
}

impl Policy {
    pub(super) fn capabilities(
        &self,
        linux: &v1::LinuxInfo,
        spec: &mut ContainerSpec,
    ) -> Result<(), String> {
        // `capability_info` is the older name of `effective_capabilities`.
        #[allow(deprecated)]
        let older = linux.capability_info.as_ref();
        let asked = match (older, linux.effective_capabilities.as_ref()) {
            (Some(older), Some(newer)) if older != newer => {
                return Err("'capability_info' and 'effective_capabilities' differ: set the \
                            latter alone"
                    .into());
            }
            (older, newer) => newer.or(older).map(names).transpose()?,
        };
        let asked_bound = linux.bounding_capabilities.as_ref().map(names).transpose()?;
        if let (Some(bound), Some(most)) = (&asked_bound, &self.bounding) {
            within(bound, most)?;
        }
        let makes_nodes = |set: &Option<Vec<String>>| set.iter().flatten().any(|c| c == MKNOD);
        if self.isolation.no_mknod && (makes_nodes(&asked) || makes_nodes(&asked_bound)) {
            return Err(format!("{MKNOD} cannot be had here: device nodes are kept out"));
        }
        let effective = asked.or_else(|| self.effective.clone());
        // Without a bound the effective set is one.
        let bounding = asked_bound.or_else(|| self.bounding.clone()).or_else(|| effective.clone());
        if let (Some(effective), Some(bounding)) = (&effective, &bounding) {
            within(effective, bounding)?;
        }
        // Whoever names them means them, also for a user that is not root.
        spec.linux.ambient = effective.is_some();
        let usual = |bound: &Vec<String>| -> Vec<String> {
            let usual = DEFAULT_CAPABILITIES.iter().map(|c| (*c).to_string());
            usual.filter(|c| bound.contains(c)).collect()
        };
        let mut effective = effective.or_else(|| bounding.as_ref().map(usual));
        let mut bounding = bounding;
        if self.isolation.no_mknod {
            // The operator's own sets are for where they may be made.
            effective.iter_mut().chain(&mut bounding).for_each(|set| set.retain(|c| c != MKNOD));
        }
        spec.capabilities = CapabilitySets { effective, bounding };
        Ok(())
    }
}
