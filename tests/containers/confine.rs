//! What a container shares, which devices and system calls it has.

use crate::world::{World, isolates, read, run};
use mesolith::agent::containerizer::isolators::seccomp::{Seccomp, profile};
use mesolith::agent::containerizer::linux::{Device, External};
use mesolith::agent::containerizer::{
    Backend, CapabilitySets, ContainerSpec, Containerizer, ExecRequest,
};
use std::time::Duration;

async fn output(w: &mut World, spec: &ContainerSpec) -> String {
    let record = w.whole(spec).await;
    let (out, err) = (read(&spec.sandbox.join("stdout")), read(&spec.sandbox.join("stderr")));
    assert_eq!(record.code(), Some(0), "{out}\n{err}");
    out
}

// covers: MES-0836
#[test]
fn namespaces_are_shared_on_request() {
    if !isolates("namespaces_are_shared_on_request") {
        return;
    }
    run(|mut w| async move {
        let text = "for n in pid ipc mnt; do readlink /proc/self/ns/$n; done
            df -P -k /dev/shm | tail -1; (setsid sleep 3000 &); echo $$";
        let host = |name: &str| {
            std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string()
        };
        let mut spec = w.spec(Backend::Mesos, text);
        spec.linux.share_pid = true;
        spec.linux.share_ipc = true;
        let out = output(&mut w, &spec).await;
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines[..2], [host("pid"), host("ipc")]);
        assert_ne!(lines[2], host("mnt"));
        // Nothing of it is left, though no pid namespace ended with it.
        let pid: i32 = lines[4].parse().unwrap();
        assert!(!crate::world::alive(pid) || pid != std::process::id() as i32);

        let mut spec = w.spec(Backend::Mesos, text);
        spec.linux.shm_bytes = Some(3 << 20);
        let out = output(&mut w, &spec).await;
        let lines: Vec<_> = out.lines().collect();
        assert!(lines[0] != host("pid") && lines[1] != host("ipc"));
        assert_eq!(lines[3].split_whitespace().nth(1), Some("3072"), "{out}");
        w
    });
}

// covers: MES-0847
#[test]
fn devices_of_the_operator_are_there_and_no_others() {
    if !isolates("devices_of_the_operator_are_there_and_no_others") {
        return;
    }
    run(|mut w| async move {
        let device = |read, write| Device { path: "/dev/kmsg".into(), read, write, number: None };
        let mut spec =
            w.spec(Backend::Mesos, "ls /dev | sort | tr '\\n' ' '; stat -c '%F %a' /dev/kmsg");
        spec.linux.devices = vec![device(true, false)];
        let out = output(&mut w, &spec).await;
        assert!(out.ends_with("character special file 444\n"), "{out}");
        for usual in ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "shm"] {
            assert!(out.contains(&format!("{usual} ")), "{usual}: {out}");
        }
        let spec = w.spec(
            Backend::Mesos,
            "test -e /dev/kmsg || echo none; ls /dev/vda* /dev/sda* 2>/dev/null | wc -l",
        );
        assert_eq!(output(&mut w, &spec).await, "none\n0\n");
        let mut spec = w.spec(Backend::Mesos, "true");
        spec.linux.devices =
            vec![Device { path: "/dev/nosuch".into(), read: true, write: true, number: None }];
        assert!(w.agent.create(spec).await.unwrap_err().cause.contains("/dev/nosuch"));
        w
    });
}

const TRIED: &str = "(unshare -U true) 2>/dev/null && echo unshared
    (mount -t tmpfs x /mnt) 2>/dev/null && echo mounted
    grep Seccomp: /proc/self/status; uname >/dev/null && echo named; true";

// covers: MES-0843
#[test]
fn the_default_profile_lets_programs_run_and_closes_the_rest() {
    if !isolates("the_default_profile_lets_programs_run_and_closes_the_rest") {
        return;
    }
    run(|mut w| async move {
        let all = Some(vec!["CAP_SYS_ADMIN".to_owned(), "CAP_SYS_CHROOT".to_owned()]);
        let mut spec = w.spec(Backend::Mesos, TRIED);
        spec.linux.seccomp = Seccomp::Default;
        assert_eq!(output(&mut w, &spec).await, "Seccomp:\t2\nnamed\n");

        // A capability opens its calls; without a profile, capabilities alone decide.
        let mut admin = w.spec(Backend::Mesos, TRIED);
        admin.linux.seccomp = Seccomp::Default;
        admin.capabilities = CapabilitySets { effective: all.clone(), bounding: None };
        assert_eq!(output(&mut w, &admin).await, "unshared\nmounted\nSeccomp:\t2\nnamed\n");
        let open = w.spec(Backend::Mesos, TRIED);
        assert_eq!(output(&mut w, &open).await, "unshared\nSeccomp:\t0\nnamed\n");

        // Commands run beside the task are held to the same.
        let mut spec = w.spec(Backend::Mesos, "echo up; sleep 1000");
        spec.linux.seccomp = Seccomp::Default;
        w.start(&spec).await;
        let request = ExecRequest {
            argv: ["sh", "-c", TRIED].map(str::to_owned).to_vec(),
            timeout: Duration::from_secs(20),
            ..ExecRequest::default()
        };
        let done = w.agent.exec(&spec.id, request).await.unwrap();
        assert_eq!(done.output, "Seccomp:\t2\nnamed\n");
        w.agent.destroy(&spec.id).await.unwrap();
        w
    });
}

// covers: MES-0844
#[test]
fn a_profile_of_the_operators_is_kept() {
    if !isolates("a_profile_of_the_operators_is_kept") {
        return;
    }
    run(|mut w| async move {
        let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["uname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}"#;
        let read_profile = profile::parse(text.as_bytes(), &[], (6, 1)).unwrap();
        let mut spec = w.spec(Backend::Mesos, "uname");
        spec.linux.seccomp = Seccomp::Profile(Box::new(read_profile));
        let record = w.whole(&spec).await;
        assert_eq!(record.code(), Some(1));
        let said = read(&spec.sandbox.join("stderr"));
        assert!(said.contains("cannot get system name"), "{said}");
        w
    });
}

// covers: MES-0799
#[test]
fn isolators_outside_the_program_have_their_say() {
    if !isolates("isolators_outside_the_program_have_their_say") {
        return;
    }
    run(|mut w| async move {
        let (program, told) = (w.dir.path().join("isolator"), w.dir.path().join("told"));
        let data = w.dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("f"), "given\n").unwrap();
        let script = |prepare: &str| {
            let text = format!(
                "#!/bin/sh\necho $1 >>{told}; cat >>{told}.json\n\
                 if [ $1 = prepare ]; then {prepare}; fi\n\
                 if [ $1 = isolate ]; then sleep 0; fi\n",
                told = told.display()
            );
            std::fs::write(&program, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&program, mode).unwrap();
        };
        let said = |told: &std::path::Path| read(told).replace('\n', " ");
        let external = External {
            name: "mine".into(),
            program: program.clone(),
            wishes: r#"{"container_info": {"type": "MESOS"}}"#.into(),
        };
        script(&format!(
            "echo '{{\"environment\": {{\"GIVEN\": \"yes\"}}, \"mounts\": [{{\"source\": \"{}\", \
             \"target\": \"/mnt\", \"read_only\": true}}]}}'",
            data.display()
        ));
        let mut spec = w.spec(Backend::Mesos, "echo $GIVEN; cat /mnt/f");
        spec.linux.isolators = vec![external.clone()];
        assert_eq!(output(&mut w, &spec).await, "yes\ngiven\n");
        assert_eq!(said(&told), "prepare isolate cleanup ");
        let json = read(&w.dir.path().join("told.json"));
        assert!(json.contains("\"container_info\":{\"type\":\"MESOS\"}"), "{json}");
        assert!(json.contains("\"pid\":") && json.contains("\"cgroups\":[\"/"), "{json}");

        for (prepare, why) in [
            ("echo no luck >&2; exit 1", "the isolator 'mine' failed to prepare: no luck"),
            ("echo '{\"wings\": 2}'", "unknown field `wings`"),
        ] {
            script(prepare);
            std::fs::remove_file(&told).unwrap();
            let mut spec = w.spec(Backend::Mesos, "true");
            spec.linux.isolators = vec![external.clone()];
            let error = w.agent.create(spec).await.unwrap_err();
            assert!(error.cause.contains(why), "{error}");
            assert_eq!(said(&told), "prepare cleanup ");
        }
        w
    });
}

#[test]
fn asked_capabilities_are_also_those_of_other_users() {
    if !isolates("asked_capabilities_are_also_those_of_other_users") {
        return;
    }
    run(|mut w| async move {
        for ambient in [true, false] {
            let mut spec = w.spec(Backend::Mesos, "grep CapEff /proc/self/status; id -un");
            spec.user = Some("nobody".into());
            spec.capabilities.effective = Some(vec!["CAP_NET_RAW".into()]);
            spec.linux.ambient = ambient;
            let bits = if ambient { 1 << 13 } else { 0 };
            assert_eq!(output(&mut w, &spec).await, format!("CapEff:\t{bits:016x}\nnobody\n"));
        }
        w
    });
}
