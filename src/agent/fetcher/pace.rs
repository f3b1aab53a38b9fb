//! How long a fetch may go on: until its time is over, or nobody waits for it any more.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How much is copied between two looks at the clock, in bytes.
const PIECE: usize = 64 << 10;

/// Asked again and again while something is fetched.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Cancelled when nobody waits for the fetch.
    pub given_up: CancellationToken,
    /// When it must be done.
    pub until: Instant,
    /// How long that was, in words of a failure.
    pub limit: Duration,
}

impl Pace {
    /// Whether to go on.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), String> {
        if self.given_up.is_cancelled() {
            return Err("given up".into());
        }
        if Instant::now() >= self.until {
            return Err(self.late());
        }
        Ok(())
    }

    /// That the time is over.
    pub fn late(&self) -> String {
        format!("not done within {}", crate::base::units::MesosDuration(self.limit))
    }

    /// Copies all there is; answers how many bytes that was.
    ///
    /// # Errors
    /// There are more than `max` bytes; the time is over; what reading or writing failed with.
    pub fn copy(&self, from: &mut dyn Read, to: &mut dyn Write, max: u64) -> Result<u64, String> {
        let (mut piece, mut size) = (vec![0; PIECE], 0u64);
        loop {
            self.check()?;
            let n = match from.read(&mut piece) {
                Ok(0) => return Ok(size),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(format!("cannot read it: {e}")),
            };
            size += n as u64;
            if size > max {
                return Err(format!("there are more than {max} bytes"));
            }
            // `read` answers no more than there is room for.
            to.write_all(&piece[..n]).map_err(|e| format!("cannot write it: {e}"))?;
        }
    }
}
