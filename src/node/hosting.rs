//! Frameworks of ours in the same process as the master: hosted while this node leads, over the in-process ports.

use crate::framework::host::{self, Framework, Ground};
use crate::machine::control::Control;
use crate::machine::driver::Clock;
use crate::master::service::Master;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Hosts a framework under that namespace whenever `leading` holds a master; `running` holds its door while it runs.
pub fn host<F: Framework>(
    framework: F,
    namespace: &'static str,
    ground: (Control, Clock),
    leading: watch::Receiver<Option<Master>>,
    running: watch::Sender<Option<F::Door>>,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let framework = Arc::new(framework);
    tokio::spawn(async move {
        let (control, clock) = ground;
        let whole = follow(framework, namespace, control, clock, leading, &running);
        tokio::select! {
            // The sender outlives this, or the node is gone.
            _ = stop.wait_for(|stop| *stop) => {}
            () = whole => {}
        }
        running.send_replace(None);
    })
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
