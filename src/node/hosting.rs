//! Frameworks of ours in the same process as the master: hosted while this node leads, over the in-process ports.

use crate::framework::host::{self, Framework, Ground};
use crate::machine::control::Control;
use crate::machine::driver::Clock;
use crate::master::service::Master;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A framework that is hosted whenever this node leads.
pub struct Hosted<D> {
    /// Its door, while it runs.
    pub door: watch::Receiver<Option<D>>,
    /// Ends after `stop` has fired.
    pub task: JoinHandle<()>,
}

/// Hosts a framework under that namespace whenever `leading` holds a master.
pub fn host<F: Framework>(
    framework: F,
    namespace: &'static str,
    control: Control,
    clock: Clock,
    leading: watch::Receiver<Option<Master>>,
    stop: watch::Receiver<bool>,
) -> Hosted<F::Door> {
    let (running, door) = watch::channel(None);
    let framework = Arc::new(framework);
    let task = tokio::spawn(async move {
        let whole = follow(framework, namespace, control, clock, leading, &running);
        let mut stop = stop;
        tokio::select! {
            // The sender outlives this, or the node is gone.
            _ = stop.wait_for(|stop| *stop) => {}
            () = whole => {}
        }
        running.send_replace(None);
    });
    Hosted { door, task }
}

async fn follow<F: Framework>(
    framework: Arc<F>,
    namespace: &'static str,
    control: Control,
    clock: Clock,
    mut leading: watch::Receiver<Option<Master>>,
    running: &watch::Sender<Option<F::Door>>,
) {
    loop {
        let master = match leading.wait_for(Option::is_some).await {
            Ok(master) => master.clone(),
            Err(_) => return,
        };
        let Some(master) = master else { continue };
        let (scheduler, state) = (Arc::new(master.clone()), Arc::new(master.state().clone()));
        let ground =
            Ground::in_process(scheduler, state, namespace, control.clone(), clock.clone());
        let ground = match ground {
            Ok(ground) => ground,
            Err(e) => return tracing::error!("{namespace} cannot be hosted: {e}"),
        };
        // Ended with this incarnation of the master.
        let (_end, never) = watch::channel(false);
        tokio::select! {
            _ = host::run(framework.clone(), ground, running, never) => {}
            changed = leading.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        running.send_replace(None);
    }
}
