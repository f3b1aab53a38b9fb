//! Carries what a command writes to those who listen, until it has ended and all is said.

use super::{Order, PIECE_BYTES_MAX, Piece, Running, Status, lock};
use crate::agent::containerizer::session::{Hold, Output};
use crate::base::error::{Code, Error};
use bytes::Bytes;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

/// How long what a command wrote last may take to be read after its end: what it left running is being killed.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long a killed command may take to be gone before nobody waits for its status any more.
const KILL_MAX: Duration = Duration::from_secs(5);

pub(super) const SIGKILL: i32 = 9;

/// To the end of the command, which is brought about when its owner has gone.
pub(super) async fn run(
    running: &Running,
    output: Output,
    errors: Option<Output>,
    mut hold: Box<dyn Hold>,
    mut orders: mpsc::Receiver<Order>,
    owner: &mpsc::Sender<Piece>,
) -> Status {
    let reading = async {
        let output = carry(running, output, Piece::Output);
        match errors {
            Some(errors) => {
                tokio::join!(output, carry(running, errors, Piece::Errors));
            }
            None => output.await,
        }
    };
    let living = async {
        loop {
            let order = tokio::select! {
                status = hold.ended() => return status,
                order = orders.recv() => order,
                () = owner.closed() => None,
            };
            match order {
                Some(Order::Signal(signal, answer)) => {
                    // Whoever asked may have gone away.
                    let _ = answer.send(hold.signal(signal).await);
                }
                None => {
                    // One that has just ended needs no signal.
                    let _ = hold.signal(SIGKILL).await;
                    let ended = tokio::time::timeout(KILL_MAX, hold.ended()).await;
                    return ended.unwrap_or(None);
                }
            }
        }
    };
    tokio::pin!(reading, living);
    let mut all_read = false;
    let status = loop {
        tokio::select! {
            status = &mut living => break status,
            () = &mut reading, if !all_read => all_read = true,
        }
    };
    if !all_read && !owner.is_closed() {
        // What is left after that is not the command's own.
        let _ = tokio::time::timeout(DRAIN_MAX, &mut reading).await;
    }
    status
}

/// Of a container's own terminal: until it is closed, or nobody wants to hear it.
pub(super) async fn watch(
    running: &Running,
    output: Output,
    mut orders: mpsc::Receiver<Order>,
    owner: &mpsc::Sender<Piece>,
) {
    let refusing = async {
        while let Some(Order::Signal(_, answer)) = orders.recv().await {
            let cause = "a container is signalled by its name, not by its terminal";
            // Whoever asked may have gone away.
            let _ = answer.send(Err(Error::new(Code::Invalid, cause)));
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = carry(running, output, Piece::Output) => {}
        () = owner.closed() => {}
        () = refusing => {}
    }
}

/// One stream to all who listen. Who takes nothing holds the command up, as a terminal would; who is gone does not.
async fn carry(running: &Running, mut from: Output, make: impl Fn(Bytes) -> Piece) {
    let mut chunk = vec![0; PIECE_BYTES_MAX];
    loop {
        let got = match from.read(&mut chunk).await {
            Ok(got) if got > 0 => got,
            _ => return,
        };
        let piece = make(Bytes::copy_from_slice(chunk.get(..got).unwrap_or_default()));
        let listeners = lock(&running.listeners).clone();
        let mut gone = false;
        for listener in listeners {
            gone |= listener.send(piece.clone()).await.is_err();
        }
        if gone {
            lock(&running.listeners).retain(|listener| !listener.is_closed());
        }
    }
}
