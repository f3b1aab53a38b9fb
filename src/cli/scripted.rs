//! A server for tests of verbs: answers as it is told, streams what it is given, and remembers what it was asked.

use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// How a request is answered: of its method and path with query, and its body.
type Script = dyn Fn(&Scripted, &str, &Value) -> (u16, Value) + Send + Sync;

/// The server; clones are the same.
#[derive(Clone)]
pub struct Scripted {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    events: broadcast::Sender<Value>,
    script: Arc<Script>,
}

impl Scripted {
    /// Starts it. Paths that end in `/events` are streams, unless the script answers them with an error.
    pub async fn start(
        script: impl Fn(&Self, &str, &Value) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            asked: Arc::default(),
            events: broadcast::channel(64).0,
            script: Arc::new(script),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                // A client that is gone has what it wanted.
                tokio::spawn(async move { serving.serve(stream).await.ok() });
            }
        });
        server
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Tells an event to whoever listens.
    pub fn tell(&self, event: Value) {
        let _ = self.events.send(event);
    }

    /// What it was asked that changes something, with bodies.
    pub fn changes(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|a| !a.starts_with("GET")).cloned().collect()
    }

    /// All it was asked.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length:"));
        let length: usize = length.map_or(0, |l| l.trim().parse().unwrap());
        while bytes.len() < head_end + length {
            stream.read_buf(&mut bytes).await?;
        }
        let line = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let line = line.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_string();
        let body: Value = serde_json::from_slice(&bytes[head_end..]).unwrap_or_default();
        let asked = if body.is_null() { line.clone() } else { format!("{line} {body}") };
        self.asked.lock().unwrap().push(asked);
        let told = self.events.subscribe();
        let (status, answer) = (self.script)(self, &line, &body);
        let path = line.split('?').next().unwrap_or_default();
        if path.ends_with("/events") && status == 200 {
            return stream_to(stream, told).await;
        }
        let answer = if status == 204 { String::new() } else { answer.to_string() };
        let head = format!(
            "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(format!("{head}{answer}").as_bytes()).await
    }
}

async fn stream_to(
    mut stream: TcpStream,
    mut told: broadcast::Receiver<Value>,
) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\n\r\n").await?;
    while let Ok(event) = told.recv().await {
        stream.write_all(format!("data: {event}\r\n\r\n").as_bytes()).await?;
    }
    Ok(())
}
