//! What one connection is doing, so that a slow request head and a reader that has stopped are told
//! from an idle client and from a running answer.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;

/// Shared by a connection's socket and its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    /// The head is complete: a request is being served until the guard goes.
    pub(super) fn busy(&self) -> Busy {
        self.0.store(BUSY, Ordering::Release);
        Busy(self.clone())
    }
}

/// A request being served.
#[derive(Debug)]
pub(super) struct Busy(Phase);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.store(IDLE, Ordering::Release);
    }
}

/// A deadline that may be running.
#[derive(Debug)]
struct Deadline {
    limit: Duration,
    running: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    fn start(&mut self) {
        if self.running.is_none() {
            self.running = Some(Box::pin(tokio::time::sleep(self.limit)));
        }
    }

    fn stop(&mut self) {
        self.running = None;
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.running.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready())
    }
}

/// A socket that gives up when a request head does not become complete in time, and when the other
/// side takes nothing of what is to be written. Idle connections and running requests are not its
/// business.
#[derive(Debug)]
pub(super) struct Watched<T> {
    io: T,
    phase: Phase,
    head: Deadline,
    stall: Deadline,
}

impl<T> Watched<T> {
    pub(super) fn new(io: T, phase: Phase, head: Duration, stall: Duration) -> Self {
        let deadline = |limit| Deadline { limit, running: None };
        Self { io, phase, head: deadline(head), stall: deadline(stall) }
    }

    /// Passes on the outcome of a write, unless nothing has gone out for too long.
    fn written<R>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.stall.stop();
            return polled;
        }
        self.stall.start();
        if self.stall.is_over(cx) {
            return late("the other side has stopped reading");
        }
        Poll::Pending
    }
}

fn late<R>(what: &'static str) -> Poll<io::Result<R>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)))
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            // Bytes while idle begin a head.
            let (from, to) = (Ordering::AcqRel, Ordering::Acquire);
            if this.phase.0.compare_exchange(IDLE, HEAD, from, to).is_ok() {
                this.head.start();
            }
        }
        if this.phase.0.load(Ordering::Acquire) != HEAD {
            this.head.stop();
        }
        // Also when bytes came: a drop at a time does not put the deadline off.
        if this.head.is_over(cx) {
            return late("the request head was not sent in time");
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, buf);
        this.written(cx, polled)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_flush(cx);
        this.written(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// An answer's body that keeps something alive until it has been sent.
#[derive(Debug)]
pub(super) struct Held<G> {
    pub(super) body: axum::body::Body,
    pub(super) _guard: G,
}

impl<G: Unpin> Body for Held<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
