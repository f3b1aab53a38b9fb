//! The container of a job: the flat form of the original, and the nested one that Marathon's users write; words in any case.

use super::fields::Fields;
use super::problem::Problem;
use serde::Serialize;

/// Volumes, parameters or networks of one container, at most.
pub const ENTRIES_MAX: usize = 256;

const NO_PORTS: &str = "is not supported: jobs have no ports of the host";

/// Who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Engine {
    /// A docker engine.
    Docker,
    /// The agent itself.
    Mesos,
}

/// The network of a docker container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Network {
    /// The machine's.
    Host,
    /// The engine's own bridge.
    Bridge,
    /// One with a name.
    User,
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The name.
    pub key: String,
    /// The value.
    pub value: String,
}

/// A network with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkInfo {
    /// Which.
    pub name: String,
    /// For the network's own use.
    pub labels: Vec<Pair>,
}

/// A volume that is not of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct External {
    /// Its name.
    pub name: String,
    /// The driver.
    pub provider: String,
    /// The driver's options.
    pub options: Vec<Pair>,
}

/// What the container sees of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Where in the container.
    pub container_path: String,
    /// Where on the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    /// `RO` or `RW`.
    pub mode: &'static str,
    /// Instead of a path of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
}

/// A job's container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Who makes it.
    #[serde(rename = "type")]
    pub engine: Engine,
    /// Of which image.
    pub image: String,
    /// In which network.
    pub network: Network,
    /// The name of a network, in an older form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_name: Option<String>,
    /// Networks with names.
    pub network_infos: Vec<NetworkInfo>,
    /// What it sees of the machine.
    pub volumes: Vec<Volume>,
    /// Whether its image is pulled each time.
    pub force_pull_image: bool,
    /// Options of `docker run`.
    pub parameters: Vec<Pair>,
}

/// Reads `container`, if there is one.
pub(super) fn read(f: &Fields<'_>) -> Result<Option<Container>, Problem> {
    let Some(outer) = object(f, "container")? else { return Ok(None) };
    let nested = object(&outer, "docker")?;
    // Where the engine's part may be.
    let f = nested.as_ref().unwrap_or(&outer);
    let engine = word(&outer, "type", &[("DOCKER", Engine::Docker), ("MESOS", Engine::Mesos)])?;
    let image = f.required("image")?;
    if image.is_empty() || image.contains(char::is_whitespace) {
        return Err(f.wrong("image", "must be the name of an image"));
    }
    let networks = [("HOST", Network::Host), ("BRIDGE", Network::Bridge), ("USER", Network::User)];
    let mut parameters = pairs(f, "parameters")?;
    if f.flag("privileged", false)? {
        parameters.push(Pair { key: "privileged".into(), value: "true".into() });
    }
    if !f.list("portMappings")?.is_empty() {
        return Err(f.wrong("portMappings", NO_PORTS));
    }
    let container = Container {
        engine: engine.unwrap_or(Engine::Docker),
        image,
        network: word(f, "network", &networks)?.unwrap_or(Network::Host),
        network_name: f.text("networkName")?,
        network_infos: network_infos(&outer)?,
        volumes: volumes(&outer)?,
        force_pull_image: f.flag("forcePullImage", false)?,
        parameters,
    };
    if container.engine == Engine::Mesos && !container.parameters.is_empty() {
        return Err(f.wrong("parameters", "is for containers of type DOCKER"));
    }
    let named = container.network_name.is_some() || !container.network_infos.is_empty();
    if container.network == Network::User && !named {
        return Err(outer.wrong("networkInfos", "must name the network of a container on USER"));
    }
    Ok(Some(container))
}

/// An object that may be missing.
fn object<'a>(f: &Fields<'a>, key: &str) -> Result<Option<Fields<'a>>, Problem> {
    match f.get(key) {
        None => Ok(None),
        Some(value) if value.is_object() => Fields::new(value, &f.name(key)).map(Some),
        Some(_) => Err(f.wrong(key, "must be a JSON object")),
    }
}

/// One of some words, in any case.
fn word<T: Copy>(f: &Fields<'_>, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
    let Some(text) = f.text(key)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
        Some((_, value)) => Ok(Some(*value)),
        None => {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Err(f.wrong(key, format!("must be one of {}", known.join(", "))))
        }
    }
}

fn entries<'a>(f: &Fields<'a>, key: &str) -> Result<Vec<Fields<'a>>, Problem> {
    let list = f.list(key)?;
    if list.len() > ENTRIES_MAX {
        return Err(f.wrong(key, format!("has more than {ENTRIES_MAX} entries")));
    }
    let entry = |(at, value)| Fields::new(value, &format!("{}[{at}]", f.name(key)));
    list.iter().enumerate().map(entry).collect()
}

fn pairs(f: &Fields<'_>, key: &str) -> Result<Vec<Pair>, Problem> {
    let read =
        |f: &Fields<'_>| Ok(Pair { key: f.required("key")?, value: f.text_or("value", "")? });
    entries(f, key)?.iter().map(read).collect()
}

fn network_infos(f: &Fields<'_>) -> Result<Vec<NetworkInfo>, Problem> {
    let read = |f: &Fields<'_>| {
        if !f.list("portMappings")?.is_empty() {
            return Err(f.wrong("portMappings", NO_PORTS));
        }
        Ok(NetworkInfo { name: f.required("name")?, labels: pairs(f, "labels")? })
    };
    entries(f, "networkInfos")?.iter().map(read).collect()
}

fn volumes(f: &Fields<'_>) -> Result<Vec<Volume>, Problem> {
    let read = |f: &Fields<'_>| {
        let external = match object(f, "external")? {
            None => None,
            Some(f) => {
                let options = pairs(&f, "options")?;
                let (name, provider) = (f.required("name")?, f.required("provider")?);
                Some(External { name, provider, options })
            }
        };
        let volume = Volume {
            container_path: f.required("containerPath")?,
            host_path: f.text("hostPath")?,
            mode: word(f, "mode", &[("RO", "RO"), ("RW", "RW")])?.unwrap_or("RW"),
            external,
        };
        if volume.host_path.is_some() && volume.external.is_some() {
            return Err(f.wrong("external", "cannot be beside hostPath"));
        }
        Ok(volume)
    };
    entries(f, "volumes")?.iter().map(read).collect()
}
