//! Which address of a bridge is whose: a file an address below `/run`, so that several agents of a machine share a bridge
//! and a crash forgets nothing. Whoever changes anything of a bridge holds its lock.

use crate::agent::containerizer::linux::{Bridge, PortMapping};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where all bridges' addresses are; gone with a reboot, as the bridges are.
pub const HOME: &str = "/run/mesolith/networks";
/// Addresses of one bridge in use, at most.
pub const ADDRESSES_MAX: u32 = 65_536;

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The container's directory: while it is there, so is the container.
    pub home: PathBuf,
    /// The device of the host that leads to it.
    pub device: String,
    /// Ports that lead to it.
    pub ports: Vec<PortMapping>,
}

/// The addresses of one bridge, locked.
pub struct Addresses {
    dir: PathBuf,
    _lock: Flock<File>,
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> String + '_ {
    move |e| format!("{}: {e}", path.display())
}

fn make(dir: &Path) -> Result<(), String> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))
}

fn folder(home: &Path) -> Result<Flock<File>, String> {
    make(home)?;
    let folder = File::open(home).map_err(failed(home))?;
    Flock::lock(folder, FlockArg::LockExclusive)
        .map_err(|(_, e)| format!("{}: {e}", home.display()))
}

impl Addresses {
    /// Those of the bridge with that device, below `home`; waits for the lock of all bridges, which is the folder's own, so
    /// that no file of it is left.
    ///
    /// # Errors
    /// A text: the path and the kernel's reason.
    pub fn lock(home: &Path, device: &str) -> Result<Self, String> {
        let lock = folder(home)?;
        let dir = home.join(device);
        make(&dir)?;
        Ok(Self { dir, _lock: lock })
    }

    /// The same, if there are any; none is made.
    ///
    /// # Errors
    /// A text: the path and the kernel's reason.
    pub fn lock_if_there(home: &Path, device: &str) -> Result<Option<Self>, String> {
        let lock = folder(home)?;
        let dir = home.join(device);
        Ok(dir.is_dir().then_some(Self { dir, _lock: lock }))
    }

    /// The devices of all bridges that have addresses.
    pub fn devices(home: &Path) -> Vec<String> {
        let all = fs::read_dir(home).into_iter().flatten().flatten();
        all.filter(|e| e.path().is_dir()).filter_map(|e| e.file_name().into_string().ok()).collect()
    }

    /// All that are in use. What cannot be read is nobody's: a crash of the machine leaves none.
    pub fn all(&self) -> Vec<(Ipv4Addr, Lease)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries
            .filter_map(|e| {
                let address = e.file_name().to_str()?.parse().ok()?;
                Some((address, serde_json::from_slice(&fs::read(e.path()).ok()?).ok()?))
            })
            .collect()
    }

    /// The lowest free one for a container.
    ///
    /// # Errors
    /// A text: there are no more, or it cannot be written down.
    pub fn take(&self, bridge: &Bridge, lease: &Lease) -> Result<Ipv4Addr, String> {
        let text = serde_json::to_vec(lease).map_err(|e| e.to_string())?;
        for address in (0..ADDRESSES_MAX).map_while(|n| bridge.address(n)) {
            let path = self.dir.join(address.to_string());
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            match made {
                Ok(mut file) => {
                    return file.write_all(&text).map(|()| address).map_err(failed(&path));
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(&path)(e)),
            }
        }
        Err(format!("all addresses of {}/{} are in use", bridge.subnet, bridge.prefix))
    }

    /// Gives one back.
    ///
    /// # Errors
    /// A text: the path and the kernel's reason.
    pub fn give_back(&self, address: Ipv4Addr) -> Result<(), String> {
        let path = self.dir.join(address.to_string());
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(failed(&path)(e)),
            _ => Ok(()),
        }
    }

    /// Removes the place for them, when there are none.
    pub fn close(self) {
        // One that is in use stays.
        let _ = fs::remove_dir(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_taken_once_and_given_back() {
        let home = tempfile::tempdir().unwrap();
        let bridge = Bridge { device: "b0".into(), subnet: Ipv4Addr::new(10, 0, 0, 0), prefix: 29 };
        let lease = |n: u32| Lease {
            home: format!("/c{n}").into(),
            device: format!("v{n}"),
            ports: vec![PortMapping { host: 1, container: 2, udp: false }],
        };
        assert!(Addresses::lock_if_there(home.path(), "b0").unwrap().is_none());
        let addresses = Addresses::lock(home.path(), "b0").unwrap();
        let taken: Vec<_> =
            (0..5).map(|n| addresses.take(&bridge, &lease(n)).unwrap().to_string()).collect();
        assert_eq!(taken, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        assert!(addresses.take(&bridge, &lease(5)).unwrap_err().contains("in use"));
        let third = Ipv4Addr::new(10, 0, 0, 4);
        assert!(addresses.all().contains(&(third, lease(2))));
        addresses.give_back(third).unwrap();
        addresses.give_back(third).unwrap();
        assert_eq!(addresses.take(&bridge, &lease(6)), Ok(third));
        assert_eq!(Addresses::devices(home.path()), ["b0"]);
        for (address, _) in addresses.all() {
            addresses.give_back(address).unwrap();
        }
        addresses.close();
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
