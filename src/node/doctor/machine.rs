//! The machine itself: its kernel, its clock, and who we are on it.

use super::Finding;
use nix::unistd::{User, geteuid};

/// From which Linux on all is used that containers are made with (read-only trees of mounts).
const LINUX_WHOLE: (u32, u32) = (5, 12);
/// From which on commands can be run beside a task (handles of processes).
const LINUX_LEAST: (u32, u32) = (5, 3);
/// A clock before this is not set: 2024-01-01, in seconds since 1970.
const CLOCK_LEAST: u64 = 1_704_067_200;

/// The kernel's version.
pub fn kernel() -> Finding {
    match nix::sys::utsname::uname() {
        Ok(name) => of_release(&name.release().to_string_lossy()),
        Err(e) => Finding::limited("kernel", format!("its version is not told: {e}")),
    }
}

fn of_release(release: &str) -> Finding {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Finding::limited("kernel", format!("Linux {release}: no version as we know them"));
    };
    let found = format!("Linux {release}");
    match (major, minor) {
        version if version >= LINUX_WHOLE => Finding::ok("kernel", found),
        version if version >= LINUX_LEAST => {
            Finding::limited("kernel", format!("{found}: made for 5.12 and later"))
                .advice("a newer kernel makes containers tighter and faster")
        }
        _ => Finding::limited("kernel", format!("{found}: too old for commands beside tasks"))
            .advice("use a kernel of 5.12 or later"),
    }
}

/// Whether the clock is set, and kept right by something.
pub fn clock() -> Finding {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let secs = now.map_or(0, |d| d.as_secs());
    let zone = jiff::Timestamp::from_second(i64::try_from(secs).unwrap_or(0));
    let told = zone.map_or_else(|e| e.to_string(), |t| t.to_string());
    if secs < CLOCK_LEAST {
        return Finding::bad("clock", format!("{told}: it is not set"))
            .advice("set it; certificates and schedules depend on it");
    }
    // SAFETY: an all-zero request changes nothing; the struct is ours.
    let state = unsafe {
        let mut request: libc::timex = std::mem::zeroed();
        let asked = libc::adjtimex(&mut request);
        (asked >= 0).then_some(request.status & libc::STA_UNSYNC == 0)
    };
    match state {
        Some(true) => Finding::ok("clock", format!("{told}, kept in step with others")),
        Some(false) => Finding::limited("clock", format!("{told}, kept in step by nothing"))
            .advice("run chrony or systemd-timesyncd: members of a cluster compare times"),
        None => {
            Finding::limited("clock", format!("{told}; the kernel does not say how good it is"))
        }
    }
}

/// Who we are.
pub fn user() -> Finding {
    let uid = geteuid();
    let name = match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    };
    match uid.is_root() {
        true => Finding::ok("user", "root"),
        false => Finding::limited(
            "user",
            format!("{name}, not root: tasks run as {name} alone, in the machine's network"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    #[test]
    fn releases_are_read_as_distributions_write_them() {
        for (release, grade) in [
            ("6.18.44-fc-v657", Grade::Ok),
            ("5.12.0", Grade::Ok),
            ("5.4.0-187-generic", Grade::Limited),
            ("4.18.0-513.el8.x86_64", Grade::Limited),
            ("nonsense", Grade::Limited),
        ] {
            let told = of_release(release);
            assert_eq!(told.grade, grade, "{release}");
            assert!(told.found.contains(release), "{told:?}");
        }
        assert!(of_release("4.18.0").found.contains("too old"));
    }
}
