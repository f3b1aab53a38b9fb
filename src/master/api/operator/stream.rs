//! SUBSCRIBE: all that happens, as a stream of records, in the codec that is asked for. What happens, in which order,
//! and who loses its stream for another is decided by the core; here it is written.

use super::super::{Api, Refusal};
use super::{agents, frameworks, tables};
use crate::base::error::{Code, Error};
use crate::http::{EventSender, Framing, STREAM_BYTES_MAX, SendError, event_stream, framed};
use crate::master::core::streams;
use crate::master::core::view::View;
use crate::master::streams::{Note, OperatorStream};
use crate::mesos::codec::Codec;
use crate::mesos::v1::master::Event;
use crate::mesos::v1::master::event::{self, Type};
use axum::response::Response as HttpResponse;
use bytes::Bytes;
use std::time::Duration;

/// Opens a stream; answered when its picture is there.
pub(super) async fn subscribe(api: &Api, codec: Codec) -> Result<HttpResponse, Refusal> {
    let mut stream = api.master()?.open_stream().await?;
    let Some(Note::Opened { view, heartbeat }) = stream.next().await else {
        // Nothing comes before the picture, so it has ended.
        let why = "the stream has ended before it began: another took its place, or this master leads no more";
        return Err(Error::new(Code::Unavailable, why).into());
    };
    let first = framed(&codec.encode(&subscribed(&view, heartbeat)));
    drop(view);
    let (sender, body) = event_stream(Framing::RecordIo, STREAM_BYTES_MAX, stream.slow());
    tokio::spawn(tell(stream, sender, codec));
    Ok(body.after(first).into_response(codec.media_type()))
}

/// Writes one stream until it ends, or its reader goes or reads too slowly.
async fn tell(mut stream: OperatorStream, sender: EventSender, codec: Codec) {
    loop {
        let note = tokio::select! {
            () = sender.closed() => return,
            note = stream.next() => note,
        };
        let Some(note) = note else { return sender.finish() };
        if write(&note, &sender, codec).is_err() {
            return;
        }
    }
}

fn write(note: &Note, sender: &EventSender, codec: Codec) -> Result<(), SendError> {
    match note {
        Note::Happened(happened) => {
            let records = happened.records(codec, |event| framed(&codec.encode(&happening(event))));
            records.iter().try_for_each(|record| sender.send_framed(record.clone()))
        }
        Note::Heartbeat => sender.send(Bytes::from(codec.encode(&of(Type::Heartbeat)))),
        // It comes once, and has come.
        Note::Opened { .. } => Ok(()),
    }
}

/// An event of this kind, without its content.
fn of(kind: Type) -> Event {
    Event { r#type: Some(kind as i32), ..Event::default() }
}

fn subscribed(view: &View, heartbeat: Duration) -> Event {
    let subscribed = event::Subscribed {
        get_state: tables::state(view).get_state,
        heartbeat_interval_seconds: Some(heartbeat.as_secs_f64()),
    };
    Event { subscribed: Some(subscribed), ..of(Type::Subscribed) }
}

/// In the words of the API. (What a framework is asked to give back is in the pictures alone.)
pub(super) fn happening(what: &streams::Event) -> Event {
    match what {
        streams::Event::TaskAdded(task) => {
            let task_added = Some(event::TaskAdded { task: (**task).clone() });
            Event { task_added, ..of(Type::TaskAdded) }
        }
        streams::Event::TaskUpdated { framework_id, status, state } => {
            let task_updated = Some(event::TaskUpdated {
                framework_id: framework_id.into(),
                status: (**status).clone(),
                state: *state as i32,
            });
            Event { task_updated, ..of(Type::TaskUpdated) }
        }
        streams::Event::AgentAdded(agent) => {
            let agent_added = Some(event::AgentAdded { agent: agents::agent(agent) });
            Event { agent_added, ..of(Type::AgentAdded) }
        }
        streams::Event::AgentRemoved(agent) => {
            let agent_removed = Some(event::AgentRemoved { agent_id: agent.into() });
            Event { agent_removed, ..of(Type::AgentRemoved) }
        }
        streams::Event::FrameworkAdded(framework) => {
            let framework = frameworks::framework(framework, &[]);
            let framework_added = Some(event::FrameworkAdded { framework });
            Event { framework_added, ..of(Type::FrameworkAdded) }
        }
        streams::Event::FrameworkUpdated(framework) => {
            let framework = frameworks::framework(framework, &[]);
            let framework_updated = Some(event::FrameworkUpdated { framework });
            Event { framework_updated, ..of(Type::FrameworkUpdated) }
        }
        streams::Event::FrameworkRemoved(info) => {
            let framework_removed =
                Some(event::FrameworkRemoved { framework_info: (**info).clone() });
            Event { framework_removed, ..of(Type::FrameworkRemoved) }
        }
    }
}
