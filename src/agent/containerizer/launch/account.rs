//! The user a container runs as, from the machine's user database.

use crate::agent::containerizer::rootless;
use crate::agent::containerizer::spec::ContainerSpec;
use nix::unistd::{Gid, Uid, User, getgrouplist, getgroups};
use std::ffi::CString;

/// Ids of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
}

/// Whom a container's task runs as. Looked up on this machine, never in an image: to do so loads libraries.
///
/// # Errors
/// A text: the user is unknown, or the database cannot be read.
pub fn of(spec: &ContainerSpec) -> Result<Account, String> {
    if rootless::entered() {
        let own = only(spec.user.as_deref())?;
        return Ok(match &spec.image {
            // See `rootless::rename`. Who is nobody else's name in an image is its root.
            Some(image) if spec.nested.is_none() => {
                let (uid, gid) =
                    image.account.as_ref().map_or((0, 0), |(uid, gid, _)| (*uid, *gid));
                Account { uid, gid, groups: Vec::new() }
            }
            _ => own,
        });
    }
    match spec.image.as_ref().and_then(|image| image.account.clone()) {
        Some((uid, gid, groups)) => Ok(Account { uid, gid, groups }),
        None => resolve(spec.user.as_deref()),
    }
}

/// The only one there is in a user namespace: who we are, without further groups.
///
/// # Errors
/// A text: another one is named.
fn only(name: Option<&str>) -> Result<Account, String> {
    let account = resolve(name)?;
    if account.uid != Uid::effective().as_raw() {
        return Err("another user can only be switched to by root".into());
    }
    Ok(Account { gid: Gid::effective().as_raw(), groups: Vec::new(), ..account })
}

/// The named user; none: who we are.
///
/// # Errors
/// A text: the user is unknown, or the database cannot be read.
pub fn resolve(name: Option<&str>) -> Result<Account, String> {
    let Some(name) = name else {
        let groups = getgroups().map_err(|e| format!("own groups: {e}"))?;
        return Ok(Account {
            uid: Uid::effective().as_raw(),
            gid: Gid::effective().as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
        });
    };
    let user = User::from_name(name)
        .map_err(|e| format!("user '{name}' cannot be looked up: {e}"))?
        .ok_or_else(|| format!("user '{name}' does not exist on this machine"))?;
    let text = CString::new(name).map_err(|_| "user name contains a zero byte".to_owned())?;
    let groups =
        getgrouplist(&text, user.gid).map_err(|e| format!("groups of user '{name}': {e}"))?;
    Ok(Account {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
    })
}

/// Becomes that user, for good. Nothing to do when we are it.
///
/// # Errors
/// A text: the kernel refused.
pub fn become_user(account: &Account) -> Result<(), String> {
    if !Uid::effective().is_root() {
        if account.uid == Uid::effective().as_raw() {
            return Ok(());
        }
        return Err("another user can only be switched to by root".into());
    }
    let groups: Vec<_> = account.groups.iter().map(|g| Gid::from_raw(*g)).collect();
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    nix::unistd::setgroups(&groups).map_err(|e| format!("setgroups: {e}"))?;
    nix::unistd::setresgid(gid, gid, gid).map_err(|e| format!("setresgid: {e}"))?;
    nix::unistd::setresuid(uid, uid, uid).map_err(|e| format!("setresuid: {e}"))
}
