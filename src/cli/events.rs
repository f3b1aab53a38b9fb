//! Server-sent events as they come over a connection: bytes to events, bounded. Does not connect again.

use std::collections::VecDeque;
use std::time::Duration;

/// The longest event that is taken, in bytes; a longer one ends the stream.
const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A stream without a byte for so long is lost: servers send a heartbeat every 10 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its type; empty when it has none.
    pub name: String,
    /// Its data; lines are joined by newlines.
    pub data: String,
}

/// A stream of events.
pub struct Events {
    answer: reqwest::Response,
    parser: Parser,
    ready: VecDeque<Event>,
}

impl Events {
    /// The events in the body of an answer.
    pub fn new(answer: reqwest::Response) -> Self {
        Self { answer, parser: Parser::default(), ready: VecDeque::new() }
    }

    /// The next event; none when the stream has ended or is lost. May be dropped while it waits: nothing is lost by it.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let piece = tokio::time::timeout(SILENCE_MAX, self.answer.chunk()).await;
            let piece = piece.ok()?.ok()??;
            self.ready.extend(self.parser.feed(&piece)?);
        }
    }
}

/// The next event of a stream that may be lost: then none ever comes.
pub async fn next_of(events: &mut Option<Events>) -> Option<Event> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// The part of an event that has come so far.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    name: String,
    data: Option<String>,
}

impl Parser {
    /// Takes bytes; answers the events they complete, or nothing when one is too long.
    fn feed(&mut self, bytes: &[u8]) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            events.extend(self.line(line.strip_suffix('\r').unwrap_or(&line)));
        }
        let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
        (held <= EVENT_BYTES_MAX).then_some(events)
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            return self.data.take().map(|data| Event { name, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = value.to_string(),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_string()),
            },
            // Comments, ids and retry times: nothing here resumes a stream.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    #[test]
    fn events_are_read_however_their_bytes_come() {
        let text = "event: a\r\ndata: {\"x\":1}\r\n\r\n\r\n: beat\n\ndata: 1\ndata:2\nid: 7\n\nevent: b\ndata\n\n";
        let expected = vec![event("a", "{\"x\":1}"), event("", "1\n2"), event("b", "")];
        assert_eq!(Parser::default().feed(text.as_bytes()), Some(expected.clone()));
        let mut parser = Parser::default();
        let one_by_one = text.bytes().flat_map(|b| parser.feed(&[b]).unwrap()).collect::<Vec<_>>();
        assert_eq!(one_by_one, expected);
    }

    #[test]
    fn an_endless_event_ends_the_stream() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(&vec![b'x'; EVENT_BYTES_MAX]), Some(Vec::new()));
        assert_eq!(parser.feed(b"xx"), None);
    }
}
