//! Marathon and Chronos of the real binary, over the wire, in both their forms: hosted by `mesolith up`, and as processes of
//! their own. Every test starts a node of its own; as root its tasks run in real containers.

#[path = "services/apps.rs"]
mod apps;
#[path = "services/docker.rs"]
mod docker;
#[path = "services/draining.rs"]
mod draining;
#[path = "containers/engine.rs"]
mod engine;
#[path = "services/images.rs"]
mod images;
#[path = "services/jobs.rs"]
mod jobs;
#[path = "containers/made.rs"]
mod made;
#[path = "services/restarts.rs"]
mod restarts;
#[path = "services/rolling.rs"]
mod rolling;
#[path = "services/system.rs"]
mod system;
#[path = "api/wire.rs"]
#[allow(dead_code, reason = "shared with the suite of the Mesos APIs")]
mod wire;
#[path = "services/world.rs"]
mod world;

/// Runs each test in both forms.
#[macro_export]
macro_rules! in_both_forms {
    ($($name:ident),* $(,)?) => {
        mod hosted {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name($crate::world::Form::Hosted).await; })*
        }
        mod apart {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name($crate::world::Form::Apart).await; })*
        }
    };
}
