//! Volumes of every kind, seen from within, and gone with their container.

use crate::world::{World, isolates, mounts, read, run};
use mesolith::agent::containerizer::linux::{Source, Target, Volume};
use mesolith::agent::containerizer::{Backend, ContainerSpec, Containerizer};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

fn host(path: &Path, target: Target, read_only: bool) -> Volume {
    let source = Source::Host { path: path.into(), make: false };
    Volume { source, target, read_only }
}

fn folder(w: &World, name: &str) -> PathBuf {
    let path = w.dir.path().join(name);
    std::fs::create_dir(&path).unwrap();
    path
}

async fn output(w: &mut World, spec: &ContainerSpec) -> String {
    let before = mounts();
    w.start(spec).await;
    let record = w.end(spec).await;
    w.agent.destroy(&spec.id).await.unwrap();
    w.agent.forget(&spec.id).await.unwrap();
    assert_eq!(mounts(), before, "mounts are seen on the host");
    let (out, err) = (read(&spec.sandbox.join("stdout")), read(&spec.sandbox.join("stderr")));
    assert_eq!(record.code(), Some(0), "{out}\n{err}");
    out
}

// covers: MES-0872, MES-0873, MES-0866, MES-0870
#[test]
fn host_paths_are_mounted_at_absolute_paths() {
    if !isolates("host_paths_are_mounted_at_absolute_paths") {
        return;
    }
    run(|mut w| async move {
        let (data, target) = (folder(&w, "data"), folder(&w, "target"));
        std::fs::write(data.join("f"), "data\n").unwrap();
        let text = format!(
            "cat {0}/f; (echo x >{0}/g) 2>/dev/null && echo written; true",
            target.display()
        );
        for (read_only, expected) in [(true, "data\n"), (false, "data\nwritten\n")] {
            let mut spec = w.spec(Backend::Mesos, &text);
            spec.linux.volumes = vec![host(&data, Target::Root(target.clone()), read_only)];
            assert_eq!(output(&mut w, &spec).await, expected);
            assert_eq!(data.join("g").exists(), !read_only);
        }
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0);

        // In the host's file system nothing is made for a mount.
        let mut spec = w.spec(Backend::Mesos, "true");
        let nowhere = w.dir.path().join("nowhere");
        spec.linux.volumes = vec![host(&data, Target::Root(nowhere.clone()), false)];
        let error = w.agent.create(spec.clone()).await.unwrap_err();
        assert!(error.cause.contains("It must exist"), "{error}");
        assert!(!nowhere.exists());
        spec.linux.volumes = vec![host(&nowhere, Target::Root(target), false)];
        let error = w.agent.create(spec).await.unwrap_err();
        assert!(error.cause.contains("in HOST_PATH volume does not exist"), "{error}");
        w
    });
}

// covers: MES-0874, MES-0875
#[test]
fn relative_container_paths_are_in_the_sandbox() {
    if !isolates("relative_container_paths_are_in_the_sandbox") {
        return;
    }
    run(|mut w| async move {
        let data = folder(&w, "data");
        std::fs::write(data.join("f"), "data\n").unwrap();
        let mut spec = w.spec(Backend::Mesos, "cat a/b/f $MESOS_SANDBOX/c/file");
        spec.user = Some("nobody".into());
        spec.linux.volumes = vec![
            host(&data, Target::Sandbox("a/b".into()), false),
            host(&data.join("f"), Target::Sandbox("c/file".into()), true),
        ];
        assert_eq!(output(&mut w, &spec).await, "data\ndata\n");
        assert_eq!(std::fs::read_dir(spec.sandbox.join("a/b")).unwrap().count(), 0);
        let nobody = 65534;
        assert_eq!(spec.sandbox.join("a").metadata().unwrap().uid(), nobody);

        // A link in the sandbox leads root nowhere.
        let mut spec = w.spec(Backend::Mesos, "true");
        let elsewhere = folder(&w, "elsewhere");
        symlink(&elsewhere, spec.sandbox.join("link")).unwrap();
        spec.linux.volumes = vec![host(&data, Target::Sandbox("link/x".into()), false)];
        let error = w.agent.create(spec).await.unwrap_err();
        assert!(error.cause.contains("'link' in the sandbox"), "{error}");
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
        w
    });
}

// covers: MES-0878, MES-0880
#[test]
fn directories_of_the_sandbox_are_private_volumes_of_the_tasks_user() {
    if !isolates("directories_of_the_sandbox_are_private_volumes_of_the_tasks_user") {
        return;
    }
    run(|mut w| async move {
        let target = folder(&w, "target");
        let text = format!("echo mine >{0}/f && cat {0}/f && ls {0}", target.display());
        let mut spec = w.spec(Backend::Mesos, &text);
        spec.user = Some("nobody".into());
        let source = Source::Sandbox("own/dir".into());
        spec.linux.volumes =
            vec![Volume { source, target: Target::Root(target.clone()), read_only: false }];
        assert_eq!(output(&mut w, &spec).await, "mine\nf\n");
        assert_eq!(read(&spec.sandbox.join("own/dir/f")), "mine\n");
        assert!(!target.join("f").exists());
        w
    });
}

// covers: MES-0882
#[test]
fn secrets_are_files_that_are_never_on_a_disk() {
    if !isolates("secrets_are_files_that_are_never_on_a_disk") {
        return;
    }
    run(|mut w| async move {
        let text = "cat keys/s; stat -c '%a %U' keys/s; stat -f -c %T keys/s
            (echo x >keys/s) 2>/dev/null && echo written; true";
        let mut spec = w.spec(Backend::Mesos, text);
        spec.user = Some("nobody".into());
        spec.linux.volumes = vec![Volume {
            source: Source::Secret(b"hush\n".to_vec()),
            target: Target::Sandbox("keys/s".into()),
            read_only: true,
        }];
        assert_eq!(output(&mut w, &spec).await, "hush\n400 nobody\ntmpfs\n");
        assert_eq!(read(&spec.sandbox.join("keys/s")), "");
        w
    });
}

// covers: MES-0868
#[test]
fn volumes_are_gone_when_everybody_was_killed() {
    if !isolates("volumes_are_gone_when_everybody_was_killed") {
        return;
    }
    run(|mut w| async move {
        let (data, before) = (folder(&w, "data"), mounts());
        let mut spec = w.spec(Backend::Mesos, "echo up; exec sleep 1000");
        spec.linux.volumes = vec![host(&data, Target::Sandbox("d".into()), false)];
        w.start(&spec).await;
        w.written(&spec, "stdout").await;
        let supervisor = nix::unistd::Pid::from_raw(w.supervisor());
        nix::sys::signal::kill(supervisor, nix::sys::signal::Signal::SIGKILL).unwrap();
        w.reattach();
        w.agent.recover().await.unwrap();
        w.agent.destroy(&spec.id).await.unwrap();
        assert_eq!(mounts(), before);
        assert_eq!(std::fs::read_dir(spec.sandbox.join("d")).unwrap().count(), 0);
        w
    });
}
