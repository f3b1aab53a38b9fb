//! Containers by their own names: what runs in which, launched, waited for, signalled and removed.

use super::{Api, Refusal, invalid, missing, of, told};
use crate::agent::api::monitor;
use crate::agent::core::io::{Answer, Exit, Input, RequestId, Wanted};
use crate::agent::core::view::View;
use crate::agent::sessions::{Known, Running};
use crate::base::ids::ContainerId;
use crate::mesos::codec::Codec;
use crate::mesos::v1::agent::call::{self, Type};
use crate::mesos::v1::agent::response::{self, Type as Kind, get_containers::Container};
use crate::mesos::v1::agent::{Call, Response};
use crate::mesos::{make, v1};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response as HttpResponse};

const SIGKILL: i32 = 9;

/// How a container ended, as it is told.
type Waited = response::WaitContainer;

/// A name as it is used here, or what is wrong with it.
pub(super) fn id(id: &v1::ContainerId, field: &str) -> Result<ContainerId, Refusal> {
    let named = make::flat_container_id(id);
    named.map_err(|why| invalid(&format!("'{field}.container_id' is invalid: {why}")))
}

/// The name of a nested container, and its parent's.
pub(super) fn nested_id(
    given: &v1::ContainerId,
    field: &str,
) -> Result<(ContainerId, ContainerId), Refusal> {
    let Some(parent) = &given.parent else {
        return Err(missing(&format!("{field}.container_id.parent")));
    };
    Ok((id(given, field)?, id(parent, field)?))
}

/// Program and arguments of a command: a shell's, or its own.
pub(super) fn argv(command: &v1::CommandInfo) -> Vec<String> {
    let Some(value) = command.value.clone().filter(|value| !value.is_empty()) else {
        return Vec::new();
    };
    if command.shell() {
        return vec!["/bin/sh".into(), "-c".into(), value];
    }
    // The first argument is argv[0], a name; the program is the value.
    let mut argv = vec![value];
    argv.extend(command.arguments.iter().skip(1).cloned());
    argv
}

/// The variables of a command.
pub(super) fn environment(
    command: &v1::CommandInfo,
    field: &str,
) -> Result<Vec<(String, String)>, Refusal> {
    use v1::environment::variable::Type;
    let all = command.environment.iter().flat_map(|e| &e.variables);
    let read = |v: &v1::environment::Variable| {
        let value = match v.r#type() {
            Type::Value => v.value.clone(),
            Type::Secret => v.secret.as_ref().and_then(|s| s.value.as_ref()).and_then(|s| {
                String::from_utf8(s.data.clone()).ok().filter(|text| !text.contains('\0'))
            }),
            Type::Unknown => None,
        };
        let valid = !v.name.is_empty() && !v.name.contains(['=', '\0']);
        let value = value.filter(|value| valid && !value.contains('\0'));
        value.map(|value| (v.name.clone(), value)).ok_or_else(|| {
            let name = &v.name;
            let why = format!("Environment variable '{name}' must have a name and a value set");
            invalid(&format!("'{field}.command' is invalid: {why}"))
        })
    };
    all.map(read).collect()
}

/// What a session cannot have, since it is in a container that is there.
pub(super) fn not_of_a_session(container: &v1::ContainerInfo) -> Option<&'static str> {
    [
        (container.docker.is_some(), "a DockerInfo"),
        (container.mesos.as_ref().is_some_and(|m| m.image.is_some()), "an image of its own"),
        (!container.volumes.is_empty(), "volumes of its own"),
        (!container.network_infos.is_empty(), "a network of its own"),
        (container.hostname.is_some(), "a host name of its own"),
        (container.linux_info.is_some(), "capabilities or namespaces of its own"),
        (container.rlimit_info.is_some(), "limits of its own"),
    ]
    .into_iter()
    .find_map(|(has, what)| has.then_some(what))
}

/// What a container that is launched by its name cannot have.
pub(super) fn not_of_a_container(container: &v1::ContainerInfo) -> Option<&'static str> {
    [
        (container.r#type() == v1::container_info::Type::Docker, "the type DOCKER"),
        (container.docker.is_some(), "a DockerInfo"),
        (container.mesos.as_ref().is_some_and(|m| m.image.is_some()), "an image of its own"),
        (!container.network_infos.is_empty(), "a network of its own"),
    ]
    .into_iter()
    .find_map(|(has, what)| has.then_some(what))
}

/// What a command in a container that runs needs to know of it.
pub(super) struct Place {
    /// Whether it may run as another user.
    pub switch_user: bool,
}

/// Looks for a container that runs.
pub(super) async fn place(api: &Api, id: &ContainerId) -> Result<Place, Refusal> {
    let asked = id.clone();
    let found = api.agent.handle().look(move |core| core.place_in(&asked)).await?;
    let none = || Refusal::bad_request(format!("Container '{id}' is not running"));
    found.map(|switch_user| Place { switch_user }).ok_or_else(none)
}

/// The containers that run, and what they use.
pub(super) async fn get(api: &Api, call: Call) -> Result<Response, Refusal> {
    let asked = call.get_containers.unwrap_or_default();
    let samples = monitor::samples(api, |_, _| true).await?;
    let mut containers = Vec::new();
    for sample in &samples {
        containers.push(Container {
            framework_id: Some((&sample.framework.id).into()),
            executor_id: Some(sample.executor.info.executor_id.clone()),
            executor_name: Some(sample.executor.info.name().into()),
            container_id: (&sample.executor.container).into(),
            container_status: Some(monitor::container_status(sample).into_owned()),
            resource_statistics: sample
                .measured
                .as_ref()
                .map(|measured| monitor::resource_statistics(measured, &sample.executor)),
        });
    }
    let view = api.view().await?;
    let (named, tasks) =
        api.agent.handle().look(|core| (core.named_running(), core.processes())).await?;
    let sessions = api.sessions.running().into_iter().map(|id| (id, None));
    for (id, pid) in named.into_iter().chain(tasks).chain(sessions) {
        let nested = id.as_str().contains('.');
        if if nested { asked.show_nested() } else { asked.show_standalone() } {
            containers.push(other(&view, id, pid));
        }
    }
    let get_containers = Some(response::GetContainers { containers });
    Ok(Response { get_containers, ..of(Kind::GetContainers) })
}

/// A container that is no executor's.
fn other(view: &View, id: ContainerId, pid: Option<u32>) -> Container {
    let root = id.as_str().split('.').next().unwrap_or_default();
    let of = view.frameworks.iter().find_map(|f| {
        let executor = f.executors.iter().find(|e| e.container.as_str() == root)?;
        Some((f, executor))
    });
    Container {
        framework_id: of.map(|(f, _)| (&f.id).into()),
        executor_id: of.map(|(_, e)| e.info.executor_id.clone()),
        executor_name: of.map(|(_, e)| e.info.name().into()),
        container_id: (&id).into(),
        container_status: Some(v1::ContainerStatus {
            container_id: Some((&id).into()),
            executor_pid: pid,
            ..Default::default()
        }),
        resource_statistics: None,
    }
}

/// Calls that launch, wait for, signal and remove.
pub(super) async fn change(
    api: &Api,
    codec: Codec,
    kind: Type,
    call: Call,
) -> Result<HttpResponse, Refusal> {
    match kind {
        Type::LaunchContainer => {
            const FIELD: &str = "launch_container";
            launch(api, call.launch_container.ok_or_else(|| missing(FIELD))?, FIELD).await
        }
        #[allow(deprecated)]
        Type::LaunchNestedContainer => {
            const FIELD: &str = "launch_nested_container";
            let asked = call.launch_nested_container.ok_or_else(|| missing(FIELD))?;
            nested_id(&asked.container_id, FIELD)?;
            let asked = call::LaunchContainer {
                container_id: asked.container_id,
                command: asked.command,
                container: asked.container,
                ..Default::default()
            };
            launch(api, asked, FIELD).await
        }
        Type::WaitContainer => {
            let asked = call.wait_container.ok_or_else(|| missing("wait_container"))?;
            let id = id(&asked.container_id, "wait_container")?;
            let wait_container = Some(wait(api, &id).await?);
            Ok(told(codec, &Response { wait_container, ..of(Kind::WaitContainer) }))
        }
        #[allow(deprecated)]
        Type::WaitNestedContainer => {
            const FIELD: &str = "wait_nested_container";
            let asked = call.wait_nested_container.ok_or_else(|| missing(FIELD))?;
            let (id, _) = nested_id(&asked.container_id, FIELD)?;
            let Waited { exit_status, state, reason, limitation, message } = wait(api, &id).await?;
            let waited =
                response::WaitNestedContainer { exit_status, state, reason, limitation, message };
            let wait_nested_container = Some(waited);
            let answer = Response { wait_nested_container, ..of(Kind::WaitNestedContainer) };
            Ok(told(codec, &answer))
        }
        Type::KillContainer => {
            let asked = call.kill_container.ok_or_else(|| missing("kill_container"))?;
            let id = id(&asked.container_id, "kill_container")?;
            kill(api, &id, asked.signal.unwrap_or(SIGKILL)).await
        }
        #[allow(deprecated)]
        Type::KillNestedContainer => {
            const FIELD: &str = "kill_nested_container";
            let asked = call.kill_nested_container.ok_or_else(|| missing(FIELD))?;
            let (id, _) = nested_id(&asked.container_id, FIELD)?;
            kill(api, &id, asked.signal.unwrap_or(SIGKILL)).await
        }
        Type::RemoveContainer => {
            let asked = call.remove_container.ok_or_else(|| missing("remove_container"))?;
            remove(api, &id(&asked.container_id, "remove_container")?).await
        }
        #[allow(deprecated)]
        Type::RemoveNestedContainer => {
            const FIELD: &str = "remove_nested_container";
            let asked = call.remove_nested_container.ok_or_else(|| missing(FIELD))?;
            let (id, _) = nested_id(&asked.container_id, FIELD)?;
            remove(api, &id).await
        }
        kind => {
            let text = format!("The call {} is not supported", kind.as_str_name());
            Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, text))
        }
    }
}

/// What the core answers about a container, as an answer.
async fn ask(
    api: &Api,
    make: impl FnOnce(RequestId) -> Input,
) -> Result<(StatusCode, Option<Exit>), Refusal> {
    match api.agent.ask_container(make).await? {
        Answer::Done => Ok((StatusCode::OK, None)),
        Answer::Accepted => Ok((StatusCode::ACCEPTED, None)),
        Answer::Ended(exit) => Ok((StatusCode::OK, Some(*exit))),
        Answer::Refused { status, text } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            Err(Refusal::new(status, text))
        }
    }
}

/// Launches a container in another, or by itself.
async fn launch(
    api: &Api,
    asked: call::LaunchContainer,
    field: &str,
) -> Result<HttpResponse, Refusal> {
    let own = id(&asked.container_id, field)?;
    let parent = asked.container_id.parent.as_ref().map(|p| id(p, field)).transpose()?;
    let command = asked.command.unwrap_or_default();
    environment(&command, field)?;
    if argv(&command).is_empty() {
        return Err(missing(&format!("{field}.command")));
    }
    if parent.is_none() && asked.resources.is_empty() {
        return Err(missing(&format!("{field}.resources")));
    }
    let linux = asked.container.as_ref().and_then(|c| c.linux_info.as_ref());
    let shares = linux.is_none_or(|linux| linux.share_cgroups());
    if parent.is_some() && shares && !(asked.resources.is_empty() && asked.limits.is_empty()) {
        let text = "Resources may be specified in a parent only with 'share_cgroups' set to false";
        return Err(invalid(text));
    }
    if let Some(what) = asked.container.as_ref().and_then(not_of_a_container) {
        let text = format!("A container that is launched by its name cannot have {what}");
        return Err(Refusal::bad_request(text));
    }
    let wanted = Box::new(Wanted {
        id: own,
        parent,
        command,
        container: asked.container,
        resources: asked.resources,
        limits: asked.limits,
    });
    let (status, _) = ask(api, |request| Input::LaunchContainer { request, wanted }).await?;
    Ok(status.into_response())
}

async fn wait(api: &Api, id: &ContainerId) -> Result<Waited, Refusal> {
    match api.sessions.find(id) {
        Some(Known::Runs(running)) => {
            return Ok(Waited { exit_status: Running::ended(&running).await, ..Waited::default() });
        }
        Some(Known::Ended(exit_status)) => return Ok(Waited { exit_status, ..Waited::default() }),
        None => {}
    }
    let (_, exit) = ask(api, |request| Input::WaitContainer { request, id: id.clone() }).await?;
    let exit = exit.unwrap_or_default();
    let mut waited = Waited { exit_status: exit.status, ..Waited::default() };
    if let Some(oom) = exit.oom {
        let mb = oom.max_usage_bytes as f64 / 1_048_576.0;
        waited.state = Some(v1::TaskState::TaskFailed as i32);
        waited.reason = Some(v1::task_status::Reason::ContainerLimitationMemory as i32);
        let resources = vec![make::scalar("mem", mb)];
        waited.limitation = Some(v1::TaskResourceLimitation { resources });
        waited.message = Some("Memory limit exceeded".into());
    }
    Ok(waited)
}

async fn kill(api: &Api, id: &ContainerId, signal: i32) -> Result<HttpResponse, Refusal> {
    match api.sessions.find(id) {
        Some(Known::Runs(running)) => running.signal(signal).await?,
        Some(Known::Ended(_)) => {}
        None => {
            let kill = |request| Input::KillContainer { request, id: id.clone(), signal };
            ask(api, kill).await?;
        }
    }
    Ok(StatusCode::OK.into_response())
}

async fn remove(api: &Api, id: &ContainerId) -> Result<HttpResponse, Refusal> {
    if api.sessions.forget(id) {
        return Ok(StatusCode::OK.into_response());
    }
    if api.sessions.find(id).is_some() {
        let text = format!("Container '{id}' has not terminated");
        return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text));
    }
    ask(api, |request| Input::RemoveContainer { request, id: id.clone() }).await?;
    Ok(StatusCode::OK.into_response())
}
