//! The calls of an agent's operator API that carry streams, made through the node that is asked.

use crate::base::error::{Code, Error, Result};
use crate::cli::client::{Client, encode};
use crate::mesos::codec::Codec;
use crate::mesos::recordio;
use crate::mesos::v1;
use crate::mesos::v1::agent::call::attach_container_input::Type as Part;
use crate::mesos::v1::agent::call::{self, Type};
use crate::mesos::v1::agent::process_io::{self, Control, Data, control, data};
use crate::mesos::v1::agent::{Call, ProcessIo, Response};
use crate::mesos::v1::tty_info::WindowSize;
use bytes::Bytes;
use std::convert::Infallible;
use tokio::sync::mpsc;

/// Records of input that wait to be sent.
const RECORDS_MAX: usize = 16;
/// How calls and records are written.
const CODEC: Codec = Codec::Protobuf;
const RECORDIO: &str = "application/recordio";

/// An agent, asked by way of a node.
pub struct Agent<'a> {
    client: &'a Client,
    path: String,
}

/// A name for a container in another, which nobody has used.
pub fn new_id(parent: &v1::ContainerId) -> v1::ContainerId {
    let value = format!("exec-{}", uuid::Uuid::new_v4());
    v1::ContainerId { value, parent: Some(Box::new(parent.clone())) }
}

fn of(kind: Type) -> Call {
    Call { r#type: Some(kind as i32), ..Call::default() }
}

impl<'a> Agent<'a> {
    /// The agent of that id.
    pub fn new(client: &'a Client, id: &str) -> Self {
        Self { client, path: format!("/mesolith/v1/agents/{}/api/v1", encode(id)) }
    }

    async fn stream(&self, call: &Call) -> Result<Output> {
        let kind = CODEC.media_type();
        let headers = [("content-type", kind), ("accept", RECORDIO), ("message-accept", kind)];
        let body = CODEC.encode(call);
        let answer = self.client.stream(&self.path, &headers, body.into()).await?;
        Ok(Output { answer, reader: recordio::Reader::default() })
    }

    /// Begins a command; what it writes.
    pub async fn session(
        &self,
        id: &v1::ContainerId,
        command: v1::CommandInfo,
        window: Option<WindowSize>,
    ) -> Result<Output> {
        let container = window.map(|size| v1::ContainerInfo {
            r#type: v1::container_info::Type::Mesos as i32,
            tty_info: Some(v1::TtyInfo { window_size: Some(size) }),
            ..Default::default()
        });
        let launch_nested_container_session = Some(call::LaunchNestedContainerSession {
            container_id: id.clone(),
            command: Some(command),
            container,
        });
        let kind = Type::LaunchNestedContainerSession;
        self.stream(&Call { launch_nested_container_session, ..of(kind) }).await
    }

    /// What a container with a terminal writes from now on.
    pub async fn attach(&self, id: &v1::ContainerId) -> Result<Output> {
        let attach_container_output =
            Some(call::AttachContainerOutput { container_id: id.clone() });
        self.stream(&Call { attach_container_output, ..of(Type::AttachContainerOutput) }).await
    }

    /// Sends input, until it ends or the command does.
    pub async fn input(&self, records: mpsc::Receiver<Bytes>) -> Result<()> {
        let next = |mut records: mpsc::Receiver<Bytes>| async {
            let record = records.recv().await?;
            Some((Ok::<_, Infallible>(record), records))
        };
        let body = reqwest::Body::wrap_stream(futures_util::stream::unfold(records, next));
        let headers = [("content-type", RECORDIO), ("message-content-type", CODEC.media_type())];
        self.client.stream(&self.path, &headers, body).await.map(drop)
    }

    /// How a command ended: its raw wait status.
    pub async fn wait(&self, id: &v1::ContainerId) -> Result<Option<i32>> {
        let wait_container = Some(call::WaitContainer { container_id: id.clone() });
        let kind = CODEC.media_type();
        let headers = [("content-type", kind), ("accept", kind)];
        let body = CODEC.encode(&Call { wait_container, ..of(Type::WaitContainer) });
        let answer = self.client.stream(&self.path, &headers, body.into()).await?;
        let bytes = answer.bytes().await.map_err(|e| cut(&e))?;
        let answer: Response = CODEC.decode(&bytes).map_err(|e| garbled(&e.to_string()))?;
        Ok(answer.wait_container.and_then(|waited| waited.exit_status))
    }
}

fn cut(e: &reqwest::Error) -> Error {
    Error::new(Code::Unavailable, format!("the connection with the agent was cut: {e}"))
}

fn garbled(why: &str) -> Error {
    Error::new(Code::Internal, format!("the agent's answer cannot be read: {why}"))
}

/// A piece of what a command wrote.
pub struct Heard {
    /// Where to.
    pub stream: data::Type,
    /// What.
    pub bytes: Vec<u8>,
}

/// What a command writes.
pub struct Output {
    answer: reqwest::Response,
    reader: recordio::Reader,
}

impl Output {
    /// The next piece; none at the end. Safe to cancel.
    pub async fn next(&mut self) -> Result<Option<Heard>> {
        loop {
            let record = self.reader.next_record();
            if let Some(record) = record.map_err(|e| garbled(&e.to_string()))? {
                let io: ProcessIo = CODEC.decode(&record).map_err(|e| garbled(&e.to_string()))?;
                match io.data {
                    Some(data) => {
                        let stream = data.r#type();
                        let bytes = data.data.unwrap_or_default();
                        return Ok(Some(Heard { stream, bytes }));
                    }
                    // A sign of life.
                    None => continue,
                }
            }
            match self.answer.chunk().await.map_err(|e| cut(&e))? {
                Some(piece) => self.reader.push(&piece),
                None => return Ok(None),
            }
        }
    }
}

/// Sends records of input.
pub struct Sender(mpsc::Sender<Bytes>);

/// Records of input for that container, which the first of them names.
pub fn records(id: &v1::ContainerId) -> (Sender, mpsc::Receiver<Bytes>) {
    let (send, records) = mpsc::channel(RECORDS_MAX);
    let first = call::AttachContainerInput {
        r#type: Some(Part::ContainerId as i32),
        container_id: Some(id.clone()),
        ..Default::default()
    };
    // There is room for the first.
    let _ = send.try_send(record(first));
    (Sender(send), records)
}

fn record(input: call::AttachContainerInput) -> Bytes {
    let call = Call { attach_container_input: Some(input), ..of(Type::AttachContainerInput) };
    recordio::frame(&CODEC.encode(&call)).into()
}

impl Sender {
    async fn send(&self, io: ProcessIo) {
        let input = call::AttachContainerInput {
            r#type: Some(Part::ProcessIo as i32),
            process_io: Some(io),
            ..Default::default()
        };
        // Nobody takes it when the command has ended.
        let _ = self.0.send(record(input)).await;
    }

    async fn control(&self, control: Control) {
        let kind = Some(process_io::Type::Control as i32);
        self.send(ProcessIo { r#type: kind, control: Some(control), ..Default::default() }).await;
    }

    /// Bytes of input; none are its end.
    pub async fn bytes(&self, bytes: Vec<u8>) {
        let data = Data { r#type: Some(data::Type::Stdin as i32), data: Some(bytes) };
        let kind = Some(process_io::Type::Data as i32);
        self.send(ProcessIo { r#type: kind, data: Some(data), ..Default::default() }).await;
    }

    /// There is no more input.
    pub async fn end(&self) {
        self.bytes(Vec::new()).await;
    }

    /// The window has this size now.
    pub async fn size(&self, size: WindowSize) {
        self.control(Control {
            r#type: Some(control::Type::TtyInfo as i32),
            tty_info: Some(v1::TtyInfo { window_size: Some(size) }),
            ..Default::default()
        })
        .await;
    }

    /// A sign of life.
    pub async fn heartbeat(&self) {
        let kind = Some(control::Type::Heartbeat as i32);
        self.control(Control { r#type: kind, ..Default::default() }).await;
    }

    /// Waits until nobody takes records any more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}
