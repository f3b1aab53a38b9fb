//! What the link counts.

use crate::telemetry::{Counter, Gauge, Metrics};

/// The link's counters, by the names below `link/`.
#[derive(Clone)]
pub(super) struct Counts {
    /// Connections that were accepted.
    pub accepted: Counter,
    /// Handshakes that failed: garbage, forged or expired certificates, time-outs.
    pub handshakes_failed: Counter,
    /// Strangers whose connection was closed because there were too many.
    pub strangers_evicted: Counter,
    /// Members' connections that were closed because there were too many.
    pub members_evicted: Counter,
    /// Strangers connected now.
    pub strangers: Gauge,
    /// Members' connections now.
    pub members: Gauge,
    /// Connections that ended because a certificate was not good any more.
    pub distrusted: Counter,
    /// Requests for doors that do not exist.
    pub unknown_doors: Counter,
    /// Requests for doors that the role may not use.
    pub forbidden: Counter,
    /// Messages that could not be read, were too large or cut.
    pub bad_messages: Counter,
    /// Gossip that was dropped because its queue was full.
    pub gossip_overflows: Counter,
    /// Joins that were refused.
    pub joins_refused: Counter,
    /// Connects that were tried.
    pub dials: Counter,
    /// Connects that failed.
    pub dials_failed: Counter,
    /// Connections that were given up because nothing was heard on them.
    pub stale: Counter,
    /// Requests that were refused because too many were under way to one node.
    pub overloaded: Counter,
    /// Clocks of members that differed by more than a joining node's may.
    pub clock_skews: Counter,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let counter = |name: &str| metrics.counter(&format!("link/{name}"));
        let gauge = |name: &str| metrics.gauge(&format!("link/{name}"));
        Self {
            accepted: counter("accepted"),
            handshakes_failed: counter("handshakes_failed"),
            strangers_evicted: counter("strangers_evicted"),
            members_evicted: counter("members_evicted"),
            strangers: gauge("strangers"),
            members: gauge("members"),
            distrusted: counter("distrusted"),
            unknown_doors: counter("unknown_doors"),
            forbidden: counter("forbidden"),
            bad_messages: counter("bad_messages"),
            gossip_overflows: counter("gossip_overflows"),
            joins_refused: counter("joins_refused"),
            dials: counter("dials"),
            dials_failed: counter("dials_failed"),
            stale: counter("stale"),
            overloaded: counter("overloaded"),
            clock_skews: counter("clock_skews"),
        }
    }
}
