//! Which GPUs an agent offers, by what is there, `--resources` and `--nvidia_gpu_devices`: as the original has it, either
//! both are said or neither, and then it is all of them.

use super::find::{Gpu, Machine};
use crate::base::resources::{Resources, Scalar};

/// What the operator says.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// The resources that are named.
    pub resources: Option<&'a Resources>,
    /// Whether `gpus` is among them: none of them is a number, too.
    pub named: bool,
    /// Numbers of GPUs, each once.
    pub devices: Option<&'a [u32]>,
}

/// The GPUs to offer.
///
/// # Errors
/// A text for the operator: what does not go together, or is not there.
pub fn choose(machine: &Machine, said: Said<'_>) -> Result<Vec<Gpu>, String> {
    let amount = said.resources.map_or(Scalar::whole(0), Resources::gpus);
    let indices: Vec<usize> = match (said.named, said.devices) {
        (false, None) => (0..machine.gpus.len()).collect(),
        (false, Some(_)) => {
            return Err("--nvidia_gpu_devices needs gpus in --resources, too".into());
        }
        (true, None) if amount == Scalar::whole(0) => Vec::new(),
        (true, None) => {
            return Err("gpus in --resources need --nvidia_gpu_devices, too".into());
        }
        (true, Some(devices)) => {
            if amount != Scalar::whole(i64::try_from(devices.len()).unwrap_or(i64::MAX)) {
                let n = devices.len();
                return Err(format!(
                    "--resources has {amount} gpus, --nvidia_gpu_devices names {n}"
                ));
            }
            devices.iter().map(|n| *n as usize).collect()
        }
    };
    let there = machine.gpus.len();
    let gpu = |n: usize| {
        let found = machine.gpus.get(n).cloned();
        found.ok_or_else(|| format!("there is no GPU {n}: this machine shows {there}"))
    };
    let chosen = indices.into_iter().map(gpu).collect::<Result<Vec<_>, _>>()?;
    match machine.missing.as_slice() {
        [] => Ok(chosen),
        _ if chosen.is_empty() => Ok(chosen),
        missing => {
            Err(format!("there are GPUs, but not {}: is the driver loaded?", missing.join(" and ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::find::Node;
    use super::*;

    fn machine(n: u64) -> Machine {
        let gpu = |minor| Gpu {
            model: None,
            node: Node { path: format!("/dev/nvidia{minor}").into(), number: (195, minor) },
        };
        Machine { gpus: (0..n).map(gpu).collect(), ..Machine::default() }
    }

    fn chosen(text: &str, devices: Option<&[u32]>) -> Result<Vec<u64>, String> {
        let resources = Resources::parse(text, "*").unwrap();
        let named = text.contains("gpus");
        let said = Said { resources: Some(&resources), named, devices };
        choose(&machine(3), said).map(|all| all.iter().map(|g| g.node.number.1).collect())
    }

    #[test]
    fn both_are_said_or_neither() {
        assert_eq!(chosen("cpus:1", None), Ok(vec![0, 1, 2]));
        assert_eq!(chosen("cpus:1;gpus:0", None), Ok(vec![]));
        assert_eq!(chosen("gpus:2", Some(&[2, 0])), Ok(vec![2, 0]));
        for (text, devices, words) in [
            ("cpus:1", Some(&[0][..]), "needs gpus in --resources"),
            ("gpus:1", None, "need --nvidia_gpu_devices"),
            ("gpus:2", Some(&[0][..]), "has 2 gpus, --nvidia_gpu_devices names 1"),
            ("gpus:0.5", Some(&[0][..]), "has 0.5 gpus"),
            ("gpus:1", Some(&[3][..]), "no GPU 3: this machine shows 3"),
        ] {
            let why = chosen(text, devices).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }

    #[test]
    fn gpus_without_their_driver_are_not_offered() {
        let broken = Machine { missing: vec!["/dev/nvidia-uvm".into()], ..machine(1) };
        let said = Said { resources: None, named: false, devices: None };
        assert!(choose(&broken, said).unwrap_err().contains("/dev/nvidia-uvm"));
        assert_eq!(choose(&Machine::default(), said), Ok(vec![]));
    }
}
