//! A socket that remembers when it last heard from the other side, and how it ended: in order (TLS says so), or not (a
//! reset, or the end of a process whose kernel closed its connections).

use crate::cluster::identity::{Distrust, tls};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The other side said so.
    Orderly,
    /// It did not: with the cause, and whether it was a matter of trust.
    Abrupt(String, Option<Distrust>),
}

/// What is known of a connection; shared with who watches it.
#[derive(Debug)]
pub(super) struct Heard {
    since: Instant,
    last: AtomicU64,
    ending: Mutex<Option<Ending>>,
    /// Since when an answer is waited for.
    asked: Mutex<Option<Instant>>,
    /// Fires when this side gives it up, with all that is under way on it.
    pub(super) given_up: CancellationToken,
}

impl Heard {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            since: Instant::now(),
            last: AtomicU64::new(0),
            ending: Mutex::default(),
            asked: Mutex::default(),
            given_up: CancellationToken::new(),
        })
    }

    fn now(&self) {
        let since = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last.store(since, Ordering::Relaxed);
    }

    /// When bytes came last.
    pub(super) fn last(&self) -> Instant {
        self.since + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    /// Something was asked.
    pub(super) fn asked(&self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    /// An answer came.
    pub(super) fn answered(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Since when nothing came though an answer is waited for.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.map(|asked| asked.max(self.last()))
    }

    /// How it ended, if it did.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ended(&self, ending: Ending) {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(ending);
    }

    fn failed(&self, e: &io::Error) {
        let tls = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        let cause = tls.and_then(tls::refused).map_or_else(|| e.to_string(), str::to_owned);
        self.ended(Ending::Abrupt(cause, tls.and_then(tls::distrust)));
    }
}

/// A watched socket.
pub(super) struct Watched<T> {
    io: T,
    heard: Arc<Heard>,
}

impl<T> Watched<T> {
    pub(super) fn new(io: T, heard: Arc<Heard>) -> Self {
        Self { io, heard }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) if buf.filled().len() > before => self.heard.now(),
            Poll::Ready(Ok(())) if buf.remaining() > 0 => self.heard.ended(Ending::Orderly),
            Poll::Ready(Err(e)) => self.heard.failed(e),
            _ => {}
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        if let Poll::Ready(Err(e)) = &written {
            self.heard.failed(e);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if let Poll::Ready(Err(e)) = &flushed {
            self.heard.failed(e);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
