//! What a container of the mesos backend sees of the machine.

use crate::world::{isolates, read, run};
use mesolith::agent::containerizer::{Backend, BindMount, CapabilitySets, Containerizer, Network};

// covers: MES-0835, MES-0842
#[test]
fn namespaces_are_its_own() {
    if !isolates("namespaces_are_its_own") {
        return;
    }
    run(|mut w| async move {
        let names = ["pid", "mnt", "ipc", "uts", "net"];
        let text = "for n in pid mnt ipc uts net; do readlink /proc/self/ns/$n; done
            tr '\\0' ' ' </proc/1/cmdline; echo; ls -d /proc/[0-9]* | wc -l
            hostname; grep NoNewPrivs /proc/self/status; grep Cap[BE] /proc/self/status";
        let mut spec = w.spec(Backend::Mesos, text);
        spec.hostname = Some("inside".into());
        w.whole(&spec).await;
        let out = read(&spec.sandbox.join("stdout"));
        let lines: Vec<_> = out.lines().collect();
        for (n, name) in names.iter().enumerate() {
            let host = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
            let same = host.to_str().unwrap() == lines[n];
            assert_eq!(same, *name == "net", "{name}: {out}");
        }
        let processes: u32 = lines[6].parse().unwrap();
        assert!(processes <= 5, "sees the host's processes: {out}");
        assert_eq!(lines[7], "inside");
        assert_eq!(lines[8], "NoNewPrivs:\t1");
        assert!(lines[9..].iter().all(|l| l.ends_with("\t00000000a00405fb")), "{out}");
        assert_ne!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(), "inside");
        w
    });
}

// covers: MES-0826
#[test]
fn the_hosts_files_are_seen_and_its_settings_are_not_changed() {
    if !isolates("the_hosts_files_are_seen_and_its_settings_are_not_changed") {
        return;
    }
    run(|mut w| async move {
        let shared = w.dir.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        nix::unistd::chown(&shared, Some(65534.into()), None).unwrap();
        let text = format!(
            "echo from-task >{}/file && test -r /etc/passwd && test -w /tmp && echo ok
             for f in $(find /sys/fs/cgroup -name tasks -o -name cgroup.procs | head -3) /proc/sys/kernel/hostname
             do (echo 0 >$f) 2>/dev/null && echo wrote $f; done; echo x >/dev/null && echo null; true",
            shared.display()
        );
        for user in [Some("nobody"), None] {
            let mut spec = w.spec(Backend::Mesos, &text);
            spec.user = user.map(str::to_owned);
            let record = w.whole(&spec).await;
            assert_eq!(record.code(), Some(0), "{}", read(&spec.sandbox.join("stderr")));
            assert_eq!(read(&spec.sandbox.join("stdout")), "ok\nnull\n");
            assert_eq!(read(&shared.join("file")), "from-task\n");
        }
        w
    });
}

// covers: MES-0840
#[test]
fn capabilities_are_those_asked_for() {
    if !isolates("capabilities_are_those_asked_for") {
        return;
    }
    run(|mut w| async move {
        let status = |out: &str, name: &str| {
            let line = out.lines().find(|l| l.starts_with(name)).unwrap();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        let net_raw = 1 << 13;
        let mut spec = w.spec(Backend::Mesos, "cat /proc/self/status");
        w.whole(&spec).await;
        let out = read(&spec.sandbox.join("stdout"));
        assert_eq!(status(&out, "CapEff") & net_raw, 0);
        assert_eq!(status(&out, "CapEff"), status(&out, "CapBnd"));
        assert_eq!(status(&out, "CapEff").count_ones(), 12);

        spec = w.spec(Backend::Mesos, "cat /proc/self/status");
        let only = vec!["CAP_NET_RAW".to_owned()];
        spec.capabilities = CapabilitySets { effective: Some(only), bounding: None };
        w.whole(&spec).await;
        let out = read(&spec.sandbox.join("stdout"));
        assert_eq!((status(&out, "CapEff"), status(&out, "CapBnd")), (net_raw, net_raw));

        spec = w.spec(Backend::Mesos, "true");
        spec.capabilities.effective = Some(vec!["CAP_NONSENSE".into()]);
        assert!(w.agent.create(spec).await.is_err());
        w
    });
}

#[test]
fn mounts_and_a_network_of_its_own() {
    if !isolates("mounts_and_a_network_of_its_own") {
        return;
    }
    run(|mut w| async move {
        let source = w.dir.path().join("data");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("f"), "data\n").unwrap();
        let target = w.dir.path().join("seen");
        std::fs::create_dir(&target).unwrap();
        let text = format!(
            "cat {0}/f; (echo x >{0}/g) 2>/dev/null || echo read-only; readlink /proc/self/ns/net",
            target.display()
        );
        let mut spec = w.spec(Backend::Mesos, &text);
        spec.network = Network::Own;
        spec.mounts = vec![BindMount { source, target: target.clone(), read_only: true }];
        w.whole(&spec).await;
        let out = read(&spec.sandbox.join("stdout"));
        assert!(out.starts_with("data\nread-only\n"), "{out}");
        let host = std::fs::read_link("/proc/self/ns/net").unwrap();
        assert!(!out.contains(host.to_str().unwrap()), "{out}");
        assert!(!target.join("f").exists(), "the mount is seen on the host");
        w
    });
}

#[test]
fn what_this_machine_can_do_is_told() {
    run(|w| async move {
        let can = w.agent.probe().await.unwrap();
        assert_eq!(can.mesos, can.missing.is_empty(), "{can:?}");
        assert!(can.isolators.iter().any(|i| i == "posix/rlimits"));
        if nix::unistd::geteuid().is_root() {
            assert!(can.cgroups.is_some(), "{can:?}");
        }
        w
    });
}
