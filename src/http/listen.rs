//! Binding a port, and saying who has it when it is taken.

use super::holder;
use crate::base::error::{Code, Error, Result};
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// How many connections the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// Listens on an address. `flag` is the option that moves the port, named when it is taken.
///
/// # Errors
/// [`Code::Conflict`] when the port is taken, naming the process that has it as far as it can be
/// seen; [`Code::System`] for everything else.
pub async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let listening = socket.and_then(|socket| {
        // A restart must not wait for the old connections' last minutes.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    });
    match listening {
        Ok(listener) => Ok(listener),
        Err(e) if e.kind() == ErrorKind::AddrInUse => Err(taken(address, flag).await),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            Err(Error::new(Code::System, format!("not allowed to listen on {address}: {e}"))
                .hint(format!("Choose a port from 1024 on with {flag}, or run as root.")))
        }
        Err(e) if e.kind() == ErrorKind::AddrNotAvailable => Err(Error::new(
            Code::System,
            format!("cannot listen on {address}: this machine does not have that address"),
        )),
        Err(e) => Err(Error::new(Code::System, format!("cannot listen on {address}: {e}"))),
    }
}

async fn taken(address: SocketAddr, flag: &str) -> Error {
    let found = tokio::task::spawn_blocking(move || holder::find(address)).await.ok().flatten();
    let by = match &found {
        Some(holder) => format!(" by {holder}"),
        None => " by a process that this user cannot see".to_owned(),
    };
    let what = format!("port {} on {} is already in use{by}", address.port(), address.ip());
    Error::new(Code::Conflict, what).hint(format!("Stop it, or choose another port with {flag}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_its_holder_and_the_flag() {
        let first = bind("127.0.0.1:0".parse().unwrap(), "--port").await.unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address, "--port").await.unwrap_err();
        assert_eq!(error.code, Code::Conflict);
        assert!(error.cause.contains(&format!("port {} on 127.0.0.1", address.port())));
        assert!(error.cause.contains(&format!("by process {} (", std::process::id())), "{error}");
        assert!(error.hint.unwrap().contains("--port"));
    }

    #[tokio::test]
    async fn a_listener_on_all_addresses_is_found_too() {
        let first = bind("0.0.0.0:0".parse().unwrap(), "--port").await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], first.local_addr().unwrap().port()));
        let error = bind(address, "--port").await.unwrap_err();
        assert!(error.cause.contains(&format!("by process {} (", std::process::id())), "{error}");
    }

    #[tokio::test]
    async fn a_foreign_address_is_said_to_be_so() {
        let error = bind("192.0.2.1:0".parse().unwrap(), "--port").await.unwrap_err();
        assert!(error.cause.contains("does not have that address"), "{error}");
    }
}
