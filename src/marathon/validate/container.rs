//! The rules of containers.

use crate::marathon::model::{App, Container, Engine, Failures, IpcMode};

/// Whether the agent makes the container itself.
pub(super) fn by_mesos(container: &Container) -> bool {
    container.engine == Engine::Mesos
}

pub(super) fn check(app: &App, failures: &mut Failures) {
    let Some(container) = &app.container else { return };
    if container.engine == Engine::Docker && container.docker.is_none() {
        failures.add("/container/docker", "not defined");
    }
    if let Some(docker) = container.docker.as_ref().filter(|_| by_mesos(container)) {
        if !docker.parameters.is_empty() {
            failures.add("/container/docker/parameters", "must be empty");
        }
        if docker.privileged {
            let message = "is not supported with the Mesos containerizer";
            failures.add("/container/docker/privileged", message);
        }
    }
    let Some(linux) = &container.linux_info else { return };
    if !by_mesos(container) {
        failures.add("/container/linuxInfo", "is only supported with the Mesos containerizer");
    }
    if let Some(seccomp) = &linux.seccomp {
        let message = match (&seccomp.profile_name, seccomp.unconfined) {
            (Some(_), true) => "Seccomp unconfined can NOT be true when Profile is defined",
            (None, false) => "Seccomp unconfined must be true when Profile is NOT defined",
            _ => "",
        };
        if !message.is_empty() {
            failures.add("/container/linuxInfo/seccomp", message);
        }
    }
    if let Some(ipc) = linux.ipc_info
        && ipc.mode == IpcMode::ShareParent
        && ipc.shm_size.is_some()
    {
        let message = "ipcInfo shmSize can NOT be set when mode is SHARE_PARENT";
        failures.add("/container/linuxInfo/ipcInfo", message);
    }
}
