//! Streams of a command's input and output: LAUNCH_NESTED_CONTAINER_SESSION, ATTACH_CONTAINER_OUTPUT and
//! ATTACH_CONTAINER_INPUT, in records of ProcessIO.

use super::containers::{self, Place};
use super::media::{APPLICATION_RECORDIO, Media};
use super::{Api, Refusal, invalid, missing};
use crate::agent::containerizer::{SessionRequest, Window};
use crate::agent::sessions::{self, Known, Piece, Pieces, Running};
use crate::base::error::{Code, Error};
use crate::base::ids::ContainerId;
use crate::http::framed;
use crate::mesos::codec::Codec;
use crate::mesos::recordio::Reader;
use crate::mesos::v1;
use crate::mesos::v1::agent::call::Type;
use crate::mesos::v1::agent::{Call, ProcessIo, process_io};
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use process_io::{Control, Data, control, data};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The longest record of input, in bytes.
const INPUT_RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Says what the records of an answer are written in.
const MESSAGE_CONTENT_TYPE: HeaderName = HeaderName::from_static("message-content-type");

/// Whether the answer to that call is a stream.
pub(super) fn answers_with_a_stream(kind: Type) -> bool {
    matches!(kind, Type::LaunchNestedContainerSession | Type::AttachContainerOutput)
}

/// The terminal that a container asks for.
pub(super) fn window(info: Option<&v1::TtyInfo>) -> Option<Window> {
    let small = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    info.map(|tty| match &tty.window_size {
        Some(size) => Window { rows: small(size.rows), columns: small(size.columns) },
        None => Window::default(),
    })
}

/// Begins a command in a running container, and streams what it writes; it ends with the stream.
pub(super) async fn session(api: &Api, media: Media, call: Call) -> Result<Response, Refusal> {
    const FIELD: &str = "launch_nested_container_session";
    let asked = call.launch_nested_container_session.ok_or_else(|| missing(FIELD))?;
    let (id, parent) = containers::nested_id(&asked.container_id, FIELD)?;
    let command = asked.command.unwrap_or_default();
    let env = containers::environment(&command, FIELD)?;
    let argv = containers::argv(&command);
    if argv.first().is_none_or(String::is_empty) {
        return Err(invalid(&format!("Expecting '{FIELD}.command' to be present")));
    }
    let container = asked.container.unwrap_or_default();
    if let Some(what) = containers::not_of_a_session(&container) {
        let text = format!("A session's container cannot have {what}: it is inside another");
        return Err(Refusal::bad_request(text));
    }
    let Place { switch_user } = containers::place(api, &parent).await?;
    let request = SessionRequest {
        name: asked.container_id.value,
        argv,
        env,
        cwd: None,
        user: command.user.filter(|_| switch_user),
        terminal: window(container.tty_info.as_ref()),
    };
    let opened = api.sessions.open(&*api.containerizer, &parent, id, request).await;
    let pieces = opened.map_err(|e| match e.code {
        Code::Overloaded | Code::Unavailable => Refusal::from(e),
        _ => Refusal::bad_request(e.cause),
    })?;
    Ok(stream(pieces, media, api.heartbeat))
}

/// The session of that name, or a container with a terminal of its own, and its output.
async fn find(
    api: &Api,
    id: &v1::ContainerId,
    field: &str,
) -> Result<(Arc<Running>, Option<Pieces>), Refusal> {
    let id = containers::id(id, field)?;
    match api.sessions.find(&id) {
        Some(Known::Runs(running)) => return Ok((running, None)),
        Some(Known::Ended(_)) => return Err(not_there(&id)),
        None => {}
    }
    containers::place(api, &id).await.map_err(|_| not_there(&id))?;
    // As the original: what cannot be attached to is a failure, not a wrong request.
    let failed = |e: Error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, e.cause);
    let attached = sessions::attach(&*api.containerizer, &id).await.map_err(failed);
    let (running, pieces) = attached?;
    Ok((running, Some(pieces)))
}

fn not_there(id: &ContainerId) -> Refusal {
    let text = format!("Container '{id}' cannot be found");
    Refusal::new(StatusCode::NOT_FOUND, text)
}

/// Streams what a command writes from now on.
pub(super) async fn attach_output(
    api: &Api,
    media: Media,
    call: Call,
) -> Result<Response, Refusal> {
    const FIELD: &str = "attach_container_output";
    let asked = call.attach_container_output.ok_or_else(|| missing(FIELD))?;
    let (running, own) = find(api, &asked.container_id, FIELD).await?;
    let pieces = match own {
        Some(pieces) => pieces,
        None => running.listen()?,
    };
    Ok(stream(pieces, media, api.heartbeat))
}

fn encoded(codec: Codec, io: &ProcessIo) -> Bytes {
    framed(&codec.encode(io))
}

fn data(kind: data::Type, bytes: &Bytes) -> ProcessIo {
    let data = Data { r#type: Some(kind as i32), data: Some(bytes.to_vec()) };
    ProcessIo {
        r#type: Some(process_io::Type::Data as i32),
        data: Some(data),
        ..ProcessIo::default()
    }
}

fn heartbeat(interval: Duration) -> ProcessIo {
    let nanoseconds = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
    let interval = Some(v1::DurationInfo { nanoseconds });
    let control = Control {
        r#type: Some(control::Type::Heartbeat as i32),
        heartbeat: Some(control::Heartbeat { interval }),
        ..Control::default()
    };
    ProcessIo {
        r#type: Some(process_io::Type::Control as i32),
        control: Some(control),
        ..ProcessIo::default()
    }
}

/// The pieces as records, with a heartbeat now and then, to the end.
fn stream(pieces: Pieces, media: Media, interval: Duration) -> Response {
    let codec = media.accept;
    let next = move |(mut pieces, mut beat): (Pieces, Instant)| async move {
        let record = tokio::select! {
            piece = pieces.recv() => match piece? {
                Piece::Output(bytes) => data(data::Type::Stdout, &bytes),
                Piece::Errors(bytes) => data(data::Type::Stderr, &bytes),
            },
            () = tokio::time::sleep_until(beat) => {
                beat = Instant::now() + interval;
                heartbeat(interval)
            }
        };
        Some((Ok::<Bytes, Infallible>(encoded(codec, &record)), (pieces, beat)))
    };
    let records = futures_util::stream::unfold((pieces, Instant::now() + interval), next);
    let mut response = Response::new(Body::from_stream(records));
    let headers = response.headers_mut();
    let message = HeaderValue::from_static(codec.media_type());
    if media.streams_out {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(APPLICATION_RECORDIO));
        headers.insert(MESSAGE_CONTENT_TYPE, message);
    } else {
        headers.insert(CONTENT_TYPE, message);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// What one record of input is.
enum Part {
    /// Whose input it is; first, and once.
    Container(v1::ContainerId),
    /// For its input, all bytes that follow; none are its end.
    Bytes(Vec<u8>),
    /// The size of its terminal.
    Size(Window),
    /// A sign of life.
    Heartbeat,
}

/// The records of a request.
struct Records {
    body: Body,
    reader: Reader,
    codec: Codec,
}

impl Records {
    /// The next one; none at the end.
    async fn next(&mut self) -> Result<Option<Part>, Refusal> {
        let bytes = loop {
            let cut = self.reader.next_record();
            if let Some(record) = cut.map_err(|e| Refusal::bad_request(e.to_string()))? {
                break record;
            }
            match self.body.frame().await {
                None => return Ok(None),
                // The other side has gone: nothing more will come.
                Some(Err(_)) => return Ok(None),
                Some(Ok(frame)) => {
                    // Trailers carry nothing that is looked at.
                    if let Ok(piece) = frame.into_data() {
                        self.reader.push(&piece);
                    }
                }
            }
        };
        let call = self.codec.decode::<Call>(&bytes);
        let call = call.map_err(|e| Refusal::bad_request(e.to_string()))?;
        if call.r#type() != Type::AttachContainerInput {
            let kind = call.r#type().as_str_name();
            let text = format!("Received {kind} call; expecting ATTACH_CONTAINER_INPUT");
            return Err(Refusal::bad_request(text));
        }
        part(call).map(Some)
    }
}

/// The field of ATTACH_CONTAINER_INPUT.
const FIELD: &str = "attach_container_input";

fn part(call: Call) -> Result<Part, Refusal> {
    use crate::mesos::v1::agent::call::attach_container_input::Type as Kind;
    let asked = call.attach_container_input.ok_or_else(|| missing(FIELD))?;
    let lacks = |what: &str| missing(&format!("{FIELD}.{what}"));
    match asked.r#type.and_then(|kind| Kind::try_from(kind).ok()) {
        Some(Kind::ContainerId) => {
            asked.container_id.map(Part::Container).ok_or_else(|| lacks("container_id"))
        }
        Some(Kind::ProcessIo) => io(asked.process_io.ok_or_else(|| lacks("process_io"))?),
        Some(Kind::Unknown) | None => Err(lacks("type")),
    }
}

fn io(io: ProcessIo) -> Result<Part, Refusal> {
    match io.r#type() {
        process_io::Type::Data => {
            let data = io.data.ok_or_else(|| missing("process_io.data"))?;
            if data.r#type() != data::Type::Stdin {
                return Err(invalid("Expecting 'process_io.data.type' to be 'STDIN'"));
            }
            data.data.map(Part::Bytes).ok_or_else(|| missing("process_io.data.data"))
        }
        process_io::Type::Control => {
            let control = io.control.ok_or_else(|| missing("process_io.control"))?;
            match control.r#type() {
                control::Type::Heartbeat => Ok(Part::Heartbeat),
                control::Type::TtyInfo => {
                    let size = window(control.tty_info.as_ref()).map(Part::Size);
                    size.ok_or_else(|| missing("process_io.control.tty_info"))
                }
                control::Type::Unknown => Err(missing("process_io.control.type")),
            }
        }
        process_io::Type::Unknown => Err(missing("process_io.type")),
    }
}

/// Writes to a command what the request's records hold; answered when they or the command have ended.
pub(super) async fn attach_input(api: &Api, codec: Codec, body: Body) -> Result<Response, Refusal> {
    let reader = Reader::with_limit(INPUT_RECORD_BYTES_MAX);
    let mut records = Records { body, reader, codec };
    let first = records.next().await?;
    let Some(Part::Container(id)) = first else {
        return Err(invalid(&format!("Expecting '{FIELD}.type' to be CONTAINER_ID first")));
    };
    let (running, own) = find(api, &id, FIELD).await?;
    // Of a container's own terminal nothing is read here; that it is read to the end tells the end.
    let draining = async {
        if let Some(mut pieces) = own {
            while pieces.recv().await.is_some() {}
        }
        std::future::pending::<()>().await;
    };
    let writing = async {
        while let Some(part) = records.next().await? {
            match part {
                Part::Container(_) => {
                    let text = format!("Expecting '{FIELD}.type' to be PROCESS_IO after the first");
                    return Err(invalid(&text));
                }
                Part::Bytes(bytes) => running.write(&bytes).await?,
                Part::Size(window) => running.resize(window)?,
                Part::Heartbeat => {}
            }
        }
        Ok(())
    };
    tokio::select! {
        written = writing => written?,
        _ = running.ended() => {}
        () = draining => {}
    }
    Ok(StatusCode::OK.into_response())
}
