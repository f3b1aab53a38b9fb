//! Whether a user port may be listened on: not for everybody without asking who they are.

use crate::base::error::{Code, Error, Result};
use std::net::SocketAddr;

/// Refuses to listen where other machines reach while nobody is asked who they are, unless
/// `insecure` says so. Whoever reaches these ports runs commands on the machine.
///
/// # Errors
/// [`Code::Forbidden`] with what to do instead.
pub fn check_exposure(address: SocketAddr, authenticated: bool, insecure: bool) -> Result<()> {
    if address.ip().to_canonical().is_loopback() || authenticated || insecure {
        return Ok(());
    }
    Err(Error::new(
        Code::Forbidden,
        format!(
            "refusing to listen on {address} without authentication: whoever can reach it could \
             run any command on this machine"
        ),
    )
    .hint(
        "Listen on 127.0.0.1, or turn authentication on (--authenticate_http_readonly, \
         --authenticate_http_readwrite and --authenticate_http_frameworks with credentials), or \
         say --insecure if the network is trusted.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_port_needs_authentication_or_a_word() {
        let check = |address: &str, authenticated, insecure| {
            check_exposure(address.parse().unwrap(), authenticated, insecure).is_ok()
        };
        for loopback in ["127.0.0.1:5050", "127.0.0.3:1", "[::1]:5050", "[::ffff:127.0.0.1]:1"] {
            assert!(check(loopback, false, false), "{loopback}");
        }
        for open in ["0.0.0.0:5050", "10.0.0.1:5050", "[::]:5050"] {
            assert!(!check(open, false, false), "{open}");
            assert!(check(open, true, false) && check(open, false, true), "{open}");
        }
        let error = check_exposure("0.0.0.0:1".parse().unwrap(), false, false).unwrap_err();
        assert!(error.hint.unwrap().contains("--insecure"));
    }
}
