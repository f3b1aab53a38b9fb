//! A client that is as plain as can be: a connection for each request.

use crate::Result;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Between two tries of one that was refused.
const AGAIN: Duration = Duration::from_millis(2);
/// How long anything may take that is waited for.
pub const WITHIN: Duration = Duration::from_secs(120);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body, as far as it was read.
    pub body: String,
}

/// Sends a request (`METHOD /path`) and reads the answer.
pub fn ask(at: SocketAddr, request: &str, body: &str) -> Result<Answer> {
    let mut reader = send(at, request, body)?;
    let (status, length) = head(&mut reader)?;
    let mut bytes = Vec::new();
    match length {
        Some(length) => {
            bytes.resize(length, 0);
            reader.read_exact(&mut bytes)?;
        }
        None => {
            reader.read_to_end(&mut bytes)?;
        }
    }
    Ok(Answer { status, body: String::from_utf8_lossy(&bytes).into_owned() })
}

/// Sends a request and reads the answer's status and the first piece of a body that goes on.
pub fn open(at: SocketAddr, request: &str, body: &str) -> Result<(Answer, impl Drop + use<>)> {
    let mut reader = send(at, request, body)?;
    let (status, _) = head(&mut reader)?;
    let piece = String::from_utf8_lossy(reader.fill_buf()?).into_owned();
    Ok((Answer { status, body: piece }, Held(reader)))
}

struct Held(BufReader<TcpStream>);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.get_ref().shutdown(std::net::Shutdown::Both);
    }
}

fn send(at: SocketAddr, request: &str, body: &str) -> Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect_timeout(&at, ANSWER)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    Ok(BufReader::new(stream))
}

fn head(reader: &mut BufReader<TcpStream>) -> Result<(u16, Option<usize>)> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).ok_or("no status")?.parse()?;
    let mut length = None;
    loop {
        line.clear();
        if reader.read_line(&mut line)? <= 2 {
            return Ok((status, length));
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
}

/// What `GET` answers, as JSON; null when it is refused.
pub fn get(at: SocketAddr, path: &str) -> Value {
    match ask(at, &format!("GET {path}"), "") {
        Ok(Answer { status: 200, body }) => serde_json::from_str(&body).unwrap_or_default(),
        _ => Value::Null,
    }
}

/// A request that must be answered well.
pub fn must(at: SocketAddr, request: &str, body: &str) -> Result<String> {
    let answer = ask(at, request, body)?;
    match answer.status {
        200..300 => Ok(answer.body),
        _ => Err(format!("{request}: {answer:?}").into()),
    }
}

/// Tries until it is so.
pub fn until(what: &str, pause: Duration, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let since = Instant::now();
    while !so()? {
        if since.elapsed() > WITHIN {
            return Err(format!("never: {what}").into());
        }
        std::thread::sleep(pause);
    }
    Ok(())
}

/// What is written to see whether writes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// A key of a framework's state.
    Key,
    /// An app of Marathon, with no instances.
    App,
    /// A scheduler subscribes.
    Subscribe,
}

/// All of them.
pub const WRITES: [Write; 3] = [Write::Key, Write::App, Write::Subscribe];

/// Where a node's faces are.
#[derive(Clone, Copy, Debug)]
pub struct Faces {
    /// The master's.
    pub master: SocketAddr,
    /// Marathon's.
    pub marathon: SocketAddr,
}

impl Write {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "PUT of a state key",
            Self::App => "POST of a Marathon app",
            Self::Subscribe => "SUBSCRIBE of a scheduler",
        }
    }

    /// Writes once; whether it was taken.
    fn once(self, at: Faces, n: u64) -> Result<bool> {
        Ok(match self {
            Self::Key => {
                let put = format!("PUT /mesolith/v1/state/bench/key{}", n % 100);
                ask(at.master, &put, &n.to_string())?.status == 204
            }
            Self::App => {
                let app = format!(r#"{{"id": "/bench{n}", "cmd": "true", "instances": 0}}"#);
                let status = ask(at.marathon, "POST /v2/apps", &app)?.status;
                // It may be there of a try whose answer was lost.
                status == 201 || status == 409
            }
            Self::Subscribe => {
                let call = r#"{"type": "SUBSCRIBE", "subscribe": {"framework_info":
                    {"user": "root", "name": "bench"}}}"#;
                let (answer, _held) = open(at.master, "POST /api/v1/scheduler", call)?;
                answer.status == 200 && answer.body.contains("SUBSCRIBED")
            }
        })
    }

    /// Writes until it is taken; how long that took since `from`, and how many tries.
    pub fn until_taken(self, at: Faces, n: u64, from: Instant) -> Result<(Duration, usize)> {
        let mut last = None;
        for tried in 1.. {
            match self.once(at, n) {
                Ok(true) => return Ok((from.elapsed(), tried)),
                Ok(false) => {}
                Err(e) => last = Some(e),
            }
            if from.elapsed() > WITHIN {
                break;
            }
            std::thread::sleep(AGAIN);
        }
        Err(format!("never: {}: {last:?}", self.name()).into())
    }
}
