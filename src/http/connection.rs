//! What one connection is doing, so that a slow request head is told from an idle client and from a running answer.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

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

/// A socket that gives up when a request head does not become complete in time. Idle connections and running requests
/// are not its business.
#[derive(Debug)]
pub(super) struct HeadWatch<T> {
    io: T,
    phase: Phase,
    limit: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<T> HeadWatch<T> {
    pub(super) fn new(io: T, phase: Phase, limit: Duration) -> Self {
        Self { io, phase, limit, deadline: None }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for HeadWatch<T> {
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
                this.deadline =
                    Some(Box::pin(tokio::time::sleep_until(Instant::now() + this.limit)));
            }
        }
        if this.phase.0.load(Ordering::Acquire) != HEAD {
            this.deadline = None;
        }
        // Also when bytes came: a drop at a time does not put the deadline off.
        if let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            let late = "the request head was not sent in time";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, late)));
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for HeadWatch<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
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
