//! Requests from within a host. A small client: a connection for each request, all of it within a time.

use super::net::Host;
use serde_json::Value;
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The user ports of every node.
pub const MASTER: u16 = 5050;
pub const MARATHON: u16 = 8080;
pub const CHRONOS: u16 = 4400;

/// How long an answer may take where nothing is said of it: longer than any takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// In small letters.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn says_when(&self) -> bool {
        self.head.contains("\r\nretry-after:")
    }
}

/// Asks that port of the host's node: `what` is a method and a path. Spoken as HTTP/1.0, so that bodies come as they are.
///
/// # Errors
/// [`ErrorKind::ConnectionRefused`] when nothing can have been sent; anything else tells nothing of what became of it.
pub fn ask(host: &Host, port: u16, what: &str, body: &str, within: Duration) -> Result<Answer> {
    host.within(|| {
        let until = Instant::now() + within;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let refused = |e: Error| Error::new(ErrorKind::ConnectionRefused, e);
        let mut stream = TcpStream::connect_timeout(&address, within).map_err(refused)?;
        let length = body.len();
        write!(
            stream,
            "{what} HTTP/1.0\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n\
             X-Mesolith-Forward: true\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let (mut answer, mut part) = (Vec::new(), [0; 16384]);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(ErrorKind::TimedOut, "no whole answer in time"));
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut part)? {
                0 => break,
                n => answer.extend_from_slice(&part[..n]),
            }
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let cut = || Error::new(ErrorKind::UnexpectedEof, "half an answer");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
        // Whoever passed it on may have died.
        let length = head
            .lines()
            .find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| body.len() < length) {
            return Err(cut());
        }
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(cut)?;
        Ok(Answer { status, head: head.to_lowercase(), body: body.to_string() })
    })
}

/// The JSON of a 200; null for anything else.
pub fn look(host: &Host, port: u16, path: &str) -> Value {
    match ask(host, port, &format!("GET {path}"), "", PATIENCE) {
        Ok(answer) if answer.status == 200 => {
            serde_json::from_str(&answer.body).unwrap_or(Value::Null)
        }
        _ => Value::Null,
    }
}
