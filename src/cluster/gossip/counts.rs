//! What gossip counts.

use crate::telemetry::{Counter, Gauge, Metrics};

/// The counters, `gossip/…` in the metrics.
#[derive(Clone)]
pub(super) struct Counts {
    /// Frames taken in, and their bytes.
    pub(super) received: Counter,
    pub(super) received_bytes: Counter,
    /// Frames handed to the courier, and their bytes.
    pub(super) sent: Counter,
    pub(super) sent_bytes: Counter,
    /// Frames for which the inbox had no room.
    pub(super) inbox_overflows: Counter,
    /// Frames that were not sent: too many were on the way, to that node or in all.
    pub(super) outbox_overflows: Counter,
    /// Frames that the courier did not deliver, or not in time.
    pub(super) undelivered: Counter,
    /// Frames that cannot be read.
    pub(super) garbage: Counter,
    /// Frames in another node's name.
    pub(super) forged: Counter,
    /// Frames of another cluster.
    pub(super) foreign: Counter,
    /// Frames of nodes for which there is no room.
    pub(super) refused: Counter,
    /// Values that are not what their keys say.
    pub(super) bad_facts: Counter,
    /// How often the task was started again after it had died.
    pub(super) restarts: Counter,
    /// Nodes that are alive, this one included, and dead.
    pub(super) alive: Gauge,
    pub(super) dead: Gauge,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let counter = |name: &str| metrics.counter(&format!("gossip/{name}"));
        let gauge = |name: &str| metrics.gauge(&format!("gossip/{name}"));
        Self {
            received: counter("frames_received"),
            received_bytes: counter("bytes_received"),
            sent: counter("frames_sent"),
            sent_bytes: counter("bytes_sent"),
            inbox_overflows: counter("inbox_overflows"),
            outbox_overflows: counter("outbox_overflows"),
            undelivered: counter("frames_undelivered"),
            garbage: counter("frames_garbage"),
            forged: counter("frames_forged"),
            foreign: counter("frames_foreign"),
            refused: counter("frames_refused"),
            bad_facts: counter("bad_facts"),
            restarts: counter("restarts"),
            alive: gauge("nodes_alive"),
            dead: gauge("nodes_dead"),
        }
    }
}
