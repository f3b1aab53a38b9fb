//! A small HTTP client that hides nothing: a connection for each request, headers as given, record streams.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use mesolith::mesos::codec::Codec;
use mesolith::mesos::recordio::Reader;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body of a 200.
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Checks the status, and that the text says that.
    pub fn refused(&self, status: u16, text: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert!(self.text().contains(text), "'{text}' in '{}'", self.text());
    }
}

/// Sends a request; the answer's head, its body and what drives the connection.
pub async fn send(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> (Response<Incoming>, JoinHandle<()>) {
    let sending = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.unwrap();
        let driver = tokio::spawn(async move {
            // Its errors are those of the request.
            let _ = connection.await;
        });
        let mut request = Request::builder().method(method).uri(path).header("host", address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        (sender.send_request(request).await.unwrap(), driver)
    };
    timeout(DEADLINE, sending).await.expect("no answer in time")
}

/// Sends a request and reads the whole answer.
pub async fn ask(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let (response, driver) = send(address, method, path, headers, body.into()).await;
    let (head, body) = response.into_parts();
    let body = timeout(DEADLINE, body.collect()).await.expect("no end in time").unwrap();
    driver.abort();
    Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() }
}

/// GET, for the JSON of a 200.
pub async fn get(address: &str, path: &str) -> Value {
    ask(address, "GET", path, &[], "").await.json()
}

/// Writes a message given as JSON; in protobuf by way of the library's types.
pub fn encode<M>(codec: Codec, call: &Value) -> Vec<u8>
where
    M: prost::Message + prost::Name + Default + Serialize + DeserializeOwned,
{
    let json = serde_json::to_vec(call).unwrap();
    match codec {
        Codec::Json => json,
        Codec::Protobuf => Codec::Protobuf.encode(&Codec::Json.decode::<M>(&json).unwrap()),
    }
}

/// A stream of records.
pub struct Stream {
    body: Incoming,
    reader: Reader,
    driver: JoinHandle<()>,
}

impl Stream {
    pub fn new(body: Incoming, driver: JoinHandle<()>) -> Self {
        Self { body, reader: Reader::default(), driver }
    }

    /// The next record; nothing where the stream has ended.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(record) = self.reader.next_record().unwrap() {
                return Some(record);
            }
            let frame = timeout(DEADLINE, self.body.frame()).await.expect("no event in time");
            // A server that is killed breaks the stream off.
            let data = frame?.ok()?.into_data().unwrap();
            self.reader.push(&data);
        }
    }

    /// The next record as JSON.
    pub async fn next_as<M>(&mut self, codec: Codec) -> Option<Value>
    where
        M: prost::Message + prost::Name + Default + Serialize + DeserializeOwned,
    {
        let record = self.next().await?;
        let json = match codec {
            Codec::Json => record,
            Codec::Protobuf => Codec::Json.encode(&codec.decode::<M>(&record).unwrap()),
        };
        Some(serde_json::from_slice(&json).unwrap())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
