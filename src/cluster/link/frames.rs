//! Bodies: whole ones up to a limit, and streams of messages, each with its length (4 bytes, big-endian) before it.

use crate::base::error::{Code, Error, Result};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// What goes wrong with a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A body, of requests and of answers.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The bytes of a frame's length.
const LENGTH_BYTES: usize = 4;
/// How many pieces of a streamed body may wait for the network.
const PIECES_MAX: usize = 4;

/// A whole body.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Feeds a streamed body; the body ends when it is dropped, and breaks when an error is sent.
pub(super) type Feed = mpsc::Sender<std::result::Result<Frame<Bytes>, BoxError>>;

/// A streamed body. Whoever feeds it waits while the network does not take more.
pub(super) fn stream() -> (Feed, Body) {
    let (feed, pieces) = mpsc::channel(PIECES_MAX);
    (feed, StreamBody::new(ReceiverStream::new(pieces)).boxed_unsync())
}

/// Reads a body to its end.
///
/// # Errors
/// [`Code::Invalid`] for more than `max` bytes, [`Code::Unavailable`] when it breaks.
pub(super) async fn read_whole<B>(body: B, max: usize) -> Result<Bytes>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = std::pin::pin!(body);
    if body.size_hint().lower() > max as u64 {
        return Err(too_large(max));
    }
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| broken(&e))?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + data.len() > max {
            return Err(too_large(max));
        }
        if all.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

fn too_large(max: usize) -> Error {
    Error::new(Code::Invalid, format!("a message has more than {max} bytes"))
}

fn broken(e: &impl std::fmt::Display) -> Error {
    Error::new(Code::Unavailable, format!("the connection broke: {e}"))
}

/// Puts a message with its length behind others.
///
/// # Errors
/// [`Code::Invalid`] for more than `max` bytes.
pub(super) fn put(out: &mut BytesMut, message: &[u8], max: usize) -> Result<()> {
    let length = u32::try_from(message.len()).ok().filter(|_| message.len() <= max);
    out.put_u32(length.ok_or_else(|| too_large(max))?);
    out.put_slice(message);
    Ok(())
}

/// Takes messages out of a body.
pub(super) struct Frames<B> {
    body: B,
    waiting: BytesMut,
    max: usize,
}

impl<B> Frames<B>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    /// Of that body, each at most `max` bytes.
    pub(super) fn new(body: B, max: usize) -> Self {
        Self { body, waiting: BytesMut::new(), max }
    }

    /// The next message; nothing after the last one.
    ///
    /// # Errors
    /// [`Code::Invalid`] for one that is too large or cut, [`Code::Unavailable`] when the body breaks.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.waiting.extend_from_slice(&data);
                    }
                }
                Some(Err(e)) => return Err(broken(&e)),
                None if self.waiting.is_empty() => return Ok(None),
                None => return Err(Error::new(Code::Invalid, "the last message is cut")),
            }
        }
    }

    fn take(&mut self) -> Result<Option<Bytes>> {
        let Some(head) = self.waiting.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if length > self.max {
            return Err(too_large(self.max));
        }
        if self.waiting.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.waiting.advance(LENGTH_BYTES);
        Ok(Some(self.waiting.split_to(length).freeze()))
    }
}

/// A body that holds something until it ends or is dropped.
pub(super) struct Holding<B, G> {
    body: B,
    _held: G,
}

impl<B, G> Holding<B, G> {
    /// That body, holding that.
    pub(super) fn new(body: B, held: G) -> Self {
        Self { body, _held: held }
    }
}

impl<B, G> hyper::body::Body for Holding<B, G>
where
    B: hyper::body::Body + Unpin,
    G: Unpin,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(messages: &[&[u8]]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for message in messages {
            put(&mut out, message, 100).expect("fits");
        }
        out.to_vec()
    }

    async fn read(pieces: &[&[u8]], max: usize) -> Result<Vec<Vec<u8>>> {
        let pieces: Vec<_> = pieces.iter().map(|p| Bytes::copy_from_slice(p)).collect();
        let (feed, body) = stream();
        tokio::spawn(async move {
            for piece in pieces {
                let _ = feed.send(Ok(Frame::data(piece))).await;
            }
        });
        let (mut frames, mut all) = (Frames::new(body, max), Vec::new());
        while let Some(message) = frames.next().await? {
            all.push(message.to_vec());
        }
        Ok(all)
    }

    #[tokio::test]
    async fn messages_come_out_however_they_were_cut_into_pieces() {
        let bytes = framed(&[b"one", b"", b"three"]);
        assert_eq!(bytes, b"\x00\x00\x00\x03one\x00\x00\x00\x00\x00\x00\x00\x05three");
        for size in 1..=bytes.len() {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let all = read(&pieces, 5).await.expect("whole");
            assert_eq!(all, [b"one".to_vec(), Vec::new(), b"three".to_vec()], "pieces of {size}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_or_too_large_is_refused_before_it_is_held() {
        let bytes = framed(&[b"one", b"three"]);
        for cut in [1, 5, 8, 10, bytes.len() - 1] {
            let e = read(&[&bytes[..cut]], 5).await.expect_err("cut");
            assert_eq!(e.code, Code::Invalid, "cut at {cut}");
        }
        assert!(read(&[&bytes], 4).await.is_err(), "five bytes");
        assert!(read(&[&[0xff, 0xff, 0xff, 0xff]], 100).await.is_err(), "4 GiB are not waited for");
        assert!(put(&mut BytesMut::new(), &[0; 101], 100).is_err());
        let body = whole(vec![0; 10]);
        assert!(read_whole(body, 9).await.is_err());
        assert_eq!(read_whole(whole(vec![0; 10]), 10).await.expect("fits").len(), 10);
    }
}
