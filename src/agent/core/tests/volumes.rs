//! What the agent remembers of its resources, and containers that wait for their volumes.

use super::world::*;
use crate::agent::core::io::{Act, Input, Launch, VolumeDirectory};
use crate::mesos::internal::{CheckpointResources, MasterMessage};
use crate::mesos::v1::{self, TaskState};
use std::path::PathBuf;
use std::sync::Arc;

fn reserved(name: &str, amount: f64, role: &str) -> v1::Resource {
    let info = v1::resource::ReservationInfo {
        r#type: Some(v1::resource::reservation_info::Type::Dynamic as i32),
        role: Some(role.into()),
        principal: Some("ops".into()),
        labels: None,
    };
    let plain = crate::agent::core::limits::resource(name, amount);
    v1::Resource { reservations: vec![info], ..plain }
}

fn volume_of(id: &str, role: &str) -> v1::Resource {
    let disk = v1::resource::DiskInfo {
        persistence: Some(v1::resource::disk_info::Persistence {
            id: id.into(),
            principal: Some("ops".into()),
        }),
        volume: Some(v1::Volume {
            mode: v1::volume::Mode::Rw as i32,
            container_path: "data".into(),
            ..Default::default()
        }),
        source: None,
    };
    v1::Resource { disk: Some(disk), ..reserved("disk", 10.0, role) }
}

fn volume(id: &str) -> v1::Resource {
    volume_of(id, "eng")
}

fn directory(id: &str) -> VolumeDirectory {
    VolumeDirectory { path: PathBuf::from(format!("/work/volumes/roles/eng/{id}")), whole: false }
}

fn with_disk() -> World {
    let mut options = World::new().options;
    let line = crate::agent::core::limits::resource;
    options.info.resources = vec![line("cpus", 4.0), line("mem", 1024.0), line("disk", 100.0)];
    let mut world = World::with(options);
    world.connect();
    world
}

fn using(id: &str, volume: v1::Resource) -> v1::TaskInfo {
    let mut task = task(id);
    let allocation_info = scalar("cpus", 1.0).allocation_info;
    task.resources.push(v1::Resource { allocation_info, ..volume });
    task
}

impl World {
    fn remember(&mut self, resources: Vec<v1::Resource>) {
        let checkpoint_resources = Some(CheckpointResources { resources });
        self.tell(MasterMessage { checkpoint_resources, ..Default::default() });
    }

    fn prepared(&self) -> Vec<Arc<Launch>> {
        let all = self.acts.iter().filter_map(|act| match act {
            Act::Prepare(launch) => Some(launch.clone()),
            _ => None,
        });
        all.collect()
    }

    fn settled(&self) -> Vec<(Vec<VolumeDirectory>, Vec<VolumeDirectory>)> {
        let all = self.acts.iter().filter_map(|act| match act {
            Act::SettleVolumes { make, remove, .. } => Some((make.clone(), remove.clone())),
            _ => None,
        });
        all.collect()
    }
}

// covers: MES-0628, MES-0630, MES-0656
#[test]
fn what_was_reserved_is_told_to_every_master_also_after_a_restart() {
    let mut w = with_disk();
    w.remember(vec![reserved("cpus", 1.0, "eng"), volume("v")]);
    assert_eq!(w.settled(), [(vec![directory("v")], vec![])]);
    assert_eq!(w.core().view().total.checkpointed().len(), 2);
    w.restart();
    w.connect();
    let told = &w.registrations.last().expect("it registers").checkpointed_resources;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(w.settled().len(), 2, "and looks after the volume again");
    w.remember(vec![]);
    assert_eq!(w.settled().last(), Some(&(vec![], vec![directory("v")])));
    w.restart();
    w.connect();
    assert!(w.registrations.last().expect("it registers").checkpointed_resources.is_empty());
    assert_eq!(w.settled().len(), 3, "nothing is left to do");
}

// covers: MES-0631, MES-0657
#[test]
fn an_agent_does_not_start_with_less_than_is_reserved() {
    let mut w = with_disk();
    w.remember(vec![reserved("cpus", 3.0, "eng"), volume("v")]);
    w.crash();
    // Another agent than before, but for what it remembers.
    w.boot.push('x');
    w.options.info.resources[0] = crate::agent::core::limits::resource("cpus", 2.0);
    let refused = w.start().expect_err("it is too little");
    assert!(refused.cause.contains("are incompatible with agent resources"), "{refused}");
    w.options.info.resources[0] = crate::agent::core::limits::resource("cpus", 3.0);
    w.options.info.resources[2] = crate::agent::core::limits::resource("disk", 9.0);
    w.start().expect_err("the volume has no room");
    w.options.info.resources[2] = crate::agent::core::limits::resource("disk", 10.0);
    w.start().expect("it is enough");
    w.connect();
    let register = w.registrations.last().expect("it registers");
    assert_eq!(register.checkpointed_resources.len(), 2, "volumes outlive the agent's id");
}

// covers: MES-0622, MES-0654
#[test]
fn a_container_waits_until_its_volume_is_there() {
    let mut w = with_disk();
    w.settles = false;
    w.remember(vec![volume("v"), volume_of("v", "eng/web")]);
    let web = PathBuf::from("/work/volumes/roles/eng web/v");
    let both = vec![VolumeDirectory { path: web, whole: false }, directory("v")];
    let (mut made, removed) = w.settled().remove(0);
    made.sort();
    let mut wanted = both;
    wanted.sort();
    assert_eq!((made, removed), (wanted, vec![]), "each role has a directory of its own");
    w.run(using("t", volume("v")));
    w.run(task("plain"));
    let names: Vec<String> =
        w.prepared().iter().map(|l| l.executor.executor_id.value.clone()).collect();
    assert_eq!(names, ["plain"]);
    w.input(Input::VolumesSettled { removed: vec![] });
    let launch = w.prepared().pop().expect("it goes on");
    assert_eq!(launch.volumes[0].path, directory("v").path);
    assert_eq!(launch.volumes[0].container_path, "data");
    assert!(launch.volumes[0].give && !launch.volumes[0].read_only);
    assert_eq!(w.last("t").state(), TaskState::TaskRunning);
}

#[test]
fn a_volume_of_one_is_not_given_to_another_before_the_container_is_gone() {
    let mut w = with_disk();
    w.remember(vec![volume("v")]);
    w.run(using("first", volume("v")));
    assert_eq!(w.last("first").state(), TaskState::TaskRunning);
    let container = w.prepared()[0].container.clone();
    w.containerizer = false;
    w.exit(&container, SIGKILL);
    w.drain();
    assert_eq!(w.last("first").state(), TaskState::TaskFailed);
    w.run(using("second", volume("v")));
    assert_eq!(w.prepared().len(), 1, "what is left of the first may still write");
    w.containerizer = true;
    w.input(Input::Destroyed { container });
    assert_eq!(w.prepared().len(), 2);
    assert_eq!(w.last("second").state(), TaskState::TaskRunning);
}

#[test]
fn what_could_not_be_removed_is_not_shown_to_the_next() {
    let mut w = with_disk();
    w.remember(vec![volume("v")]);
    w.settles = false;
    w.remember(vec![]);
    w.remember(vec![volume("v")]);
    w.run(using("t", volume("v")));
    for _ in 0..2 {
        w.input(Input::VolumesSettled { removed: vec![] });
    }
    let status = w.last("t");
    assert_eq!(status.state(), TaskState::TaskFailed);
    assert!(status.message().contains("could not be removed"), "{}", status.message());
    w.restart();
    assert_eq!(w.settled().last(), Some(&(vec![directory("v")], vec![directory("v")])));
    w.input(Input::VolumesSettled { removed: vec![directory("v").path] });
    w.connect();
    w.run(using("u", volume("v")));
    assert_eq!(w.last("u").state(), TaskState::TaskRunning);
}

#[test]
fn a_task_with_what_is_not_remembered_is_dropped() {
    let mut w = with_disk();
    w.run(using("t", volume("v")));
    let status = w.last("t");
    assert_eq!(status.state(), TaskState::TaskDropped);
    assert_eq!(status.reason(), v1::task_status::Reason::ResourcesUnknown);
    let text = "The checkpointed resources being used by the task are unknown to the agent";
    assert_eq!(status.message(), text);
    // Nor does it remember what it has not.
    w.remember(vec![reserved("cpus", 5.0, "eng")]);
    assert!(w.core().view().total.checkpointed().is_empty());
}

#[test]
fn a_custom_executor_has_the_volumes_it_was_launched_with_and_no_others() {
    let mut w = with_disk();
    w.remember(vec![volume("v"), volume("w")]);
    let of = |id: &str, volume: v1::Resource| v1::TaskInfo {
        executor: custom(id, "e").executor,
        command: None,
        ..using(id, volume)
    };
    w.run(of("first", volume("v")));
    assert_eq!(w.prepared()[0].volumes[0].path, directory("v").path);
    w.run(of("second", volume("w")));
    let status = w.last("second");
    assert_eq!(status.state(), TaskState::TaskError);
    assert!(status.message().contains("cannot be added to an executor"), "{}", status.message());
}
