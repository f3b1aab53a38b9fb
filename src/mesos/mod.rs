//! The Mesos wire contract: message types of every v1 API, their protobuf and JSON codecs, RecordIO framing, and
//! our own agent ↔ master messages. Types and codecs only: no validation of meaning, no I/O.

pub mod address;
pub mod codec;
pub mod convert;
pub mod json;
pub mod make;
pub mod recordio;
pub(crate) mod shape;
pub mod stored;
pub mod v0;

#[cfg(test)]
mod tests;

/// The v1 messages, as `mesos/v1/*.proto` has them.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/mesos.v1.rs"));

    /// Framework ↔ master.
    pub mod scheduler {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.scheduler.rs"));
    }
    /// Executor ↔ agent.
    pub mod executor {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.executor.rs"));
    }
    /// Operator ↔ master.
    pub mod master {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.master.rs"));
    }
    /// Operator ↔ agent.
    pub mod agent {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.agent.rs"));
    }
    /// Answers to inverse offers.
    pub mod allocator {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.allocator.rs"));
    }
    /// Maintenance windows.
    pub mod maintenance {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.maintenance.rs"));
    }
    /// Quota.
    pub mod quota {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.quota.rs"));
    }
    /// Resource providers.
    pub mod resource_provider {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.resource_provider.rs"));
    }
}

/// Agent ↔ master, our own: additive only.
#[allow(missing_docs, clippy::all)]
pub mod internal {
    include!(concat!(env!("OUT_DIR"), "/mesos.internal.rs"));
}
