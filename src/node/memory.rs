//! Keeps the process small: few malloc arenas, and memory given back to the machine after a burst.
//!
//! glibc makes an arena for each thread that meets another in malloc, keeps what was freed in the middle of each, and raises
//! the size from which it maps blocks separately with every such block that is freed. All three suit a program that fills its
//! memory again; a node is idle most of its life. With another allocator nothing is done.

use std::time::Duration;

/// Arenas of malloc: the control thread and the rest meet rarely.
#[cfg(target_env = "gnu")]
const ARENAS_MAX: libc::c_int = 2;
/// Blocks from this size on are mapped by themselves and given back when freed, in bytes; as glibc begins.
#[cfg(target_env = "gnu")]
const MAPPED_FROM: libc::c_int = 128 * 1024;
/// Between two looks at how much there is.
const LOOK: Duration = Duration::from_secs(10);
/// Growth since the last time from which giving back is worth its while, in KiB.
const WORTH_KIB: u64 = 2 * 1024;

/// Bounds what malloc keeps for itself. To be called before threads are made.
pub fn bound() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two numbers; it fails by answering 0, and then all stays as it was.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS_MAX);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, MAPPED_FROM);
    }
}

/// Gives back what is free whenever the process has grown and come to rest; never ends.
pub async fn give_back() {
    let mut watch = Watch::default();
    loop {
        tokio::time::sleep(LOOK).await;
        if watch.look(resident_kib()) {
            // It holds malloc's locks for some milliseconds: not on a thread that others wait for.
            let trimming = tokio::task::spawn_blocking(trim).await;
            watch.given_back(resident_kib());
            if trimming.is_err() {
                return;
            }
        }
    }
}

fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no preconditions; it only touches memory that is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Memory of this process that is resident, in KiB; 0 when the kernel does not tell.
fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    // SAFETY: sysconf takes a number and answers one.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * u64::try_from(page).unwrap_or(4096) / 1024
}

/// Decides when to give back: not while the process grows.
#[derive(Debug, Default)]
struct Watch {
    /// What was resident after the last time.
    base: u64,
    /// At the last look.
    last: u64,
}

impl Watch {
    /// Takes a look; whether to give back now.
    fn look(&mut self, resident: u64) -> bool {
        let grows = resident > self.last;
        self.last = resident;
        !grows && resident >= self.base + WORTH_KIB
    }

    fn given_back(&mut self, resident: u64) {
        (self.base, self.last) = (resident, resident);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_once_after_a_burst_and_not_in_it() {
        let mut watch = Watch::default();
        assert!(!watch.look(20_000), "it has just started");
        assert!(watch.look(20_000));
        watch.given_back(18_000);
        assert!(!watch.look(18_500));
        assert!(!watch.look(18_500), "not worth it");
        assert!(!watch.look(40_000));
        assert!(!watch.look(60_000));
        assert!(watch.look(60_000));
        watch.given_back(50_000);
        assert!(!watch.look(50_000), "it is needed");
    }

    #[test]
    fn the_kernel_tells_how_much_is_resident() {
        assert!(resident_kib() > 1024);
    }
}
