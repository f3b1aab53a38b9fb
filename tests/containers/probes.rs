//! Ways out of a container that are known from others' history, tried and found closed; and tasks that misbehave, with what is
//! left of them.

use crate::world::{World, alive, isolates, read, run, until};
use mesolith::agent::containerizer::isolators::seccomp::Seccomp;
use mesolith::agent::containerizer::{Backend, ContainerSpec, Containerizer, Rotation, Scope};

/// As the agent makes them: the default profile, no new privileges.
fn confined(w: &mut World, shell: &str) -> ContainerSpec {
    let mut spec = w.spec(Backend::Mesos, shell);
    spec.linux.seccomp = Seccomp::Default;
    spec
}

/// What a task says that tries; its last line must be `end`.
async fn said(w: &mut World, spec: &ContainerSpec) -> String {
    w.whole(spec).await;
    let out = read(&spec.sandbox.join("stdout"));
    assert!(out.ends_with("end\n"), "{out}\n{}", read(&spec.sandbox.join("stderr")));
    out
}

#[test]
fn the_program_of_the_host_cannot_be_written_through_its_processes() {
    if !isolates("the_program_of_the_host_cannot_be_written_through_its_processes") {
        return;
    }
    run(|mut w| async move {
        let text = "(: >>/proc/1/exe) 2>/dev/null && echo wrote-keeper
            readlink /proc/1/exe && echo saw-keeper
            readlink /proc/1/fd/0 && echo saw-descriptor
            (: >>/proc/1/fd/0) 2>/dev/null && echo wrote-status
            ls /proc/1/root/ 2>/dev/null | grep . && echo saw-root
            echo end";
        let spec = confined(&mut w, text);
        assert_eq!(said(&mut w, &spec).await, "end\n");
        // Were it seen, it would be read-only: the supervisor runs from such a view.
        let own = format!("/proc/{}/exe", w.supervisor());
        // Opening it fails in any case as long as it runs: what counts is how it is mounted.
        let view = nix::sys::statvfs::statvfs(own.as_str()).unwrap();
        assert!(view.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY));
        w
    });
}

// covers: MES-0862
#[test]
fn what_the_kernel_tells_of_the_whole_machine_is_hidden_or_cannot_be_written() {
    if !isolates("what_the_kernel_tells_of_the_whole_machine_is_hidden_or_cannot_be_written") {
        return;
    }
    run(|mut w| async move {
        let text = "for f in kcore keys timer_list; do head -c 1 /proc/$f 2>/dev/null | grep -q . && echo reads $f; done
            ls /proc/scsi 2>/dev/null | grep . && echo sees scsi
            for f in sys/kernel/core_pattern sys/vm/drop_caches sysrq-trigger irq/default_smp_affinity; do
                [ -e /proc/$f ] || continue
                echo looked >&2
                (: >>/proc/$f) 2>/dev/null && echo opens $f
            done
            echo end";
        let spec = confined(&mut w, text);
        assert_eq!(said(&mut w, &spec).await, "end\n");
        assert!(read(&spec.sandbox.join("stderr")).contains("looked"));
        w
    });
}

#[test]
fn no_descriptor_is_inherited() {
    if !isolates("no_descriptor_is_inherited") {
        return;
    }
    run(|mut w| async move {
        let spec = confined(&mut w, "for f in /proc/self/fd/*; do readlink $f; done; echo end");
        let out = said(&mut w, &spec).await;
        let sandbox = spec.sandbox.display().to_string();
        for line in out.lines().filter(|l| *l != "end") {
            assert!(line == "/dev/null" || line.starts_with(&sandbox), "{out}");
        }
        let out = std::process::Command::new("true").status();
        assert!(out.is_ok());
        w
    });
}

#[test]
fn rights_are_neither_gained_nor_made() {
    if !isolates("rights_are_neither_gained_nor_made") {
        return;
    }
    run(|mut w| async move {
        let text = "(mknod disk b 254 0) 2>/dev/null && echo made-disk
            (mknod mem c 1 1) 2>/dev/null && echo made-mem
            (unshare -Ur true) 2>/dev/null && echo unshared
            (unshare -m true) 2>/dev/null && echo unshared-mounts
            (mount -t tmpfs none /mnt) 2>/dev/null && echo mounted
            (mount -o remount,rw /sys) 2>/dev/null && echo remounted
            (echo 1 >/proc/sys/kernel/sysrq) 2>/dev/null && echo set-kernel
            (echo b >/proc/sysrq-trigger) 2>/dev/null && echo rebooting
            (dmesg) >/dev/null 2>&1 && echo read-kernel
            (nsenter -t 1 -m true) 2>/dev/null && echo entered
            mkfifo pipe && echo fifo
            echo end";
        let spec = confined(&mut w, text);
        assert_eq!(said(&mut w, &spec).await, "fifo\nend\n");
        // A set-user-id program is an ordinary one.
        let text = "cp /usr/bin/id id 2>/dev/null; /usr/bin/su -c true 2>/dev/null && echo root
            grep -c '^NoNewPrivs:.1' /proc/self/status; id -u; echo end";
        let mut spec = confined(&mut w, text);
        spec.user = Some("nobody".into());
        assert_eq!(said(&mut w, &spec).await, "1\n65534\nend\n");
        w
    });
}

#[test]
fn processes_of_the_host_are_out_of_sight_and_reach() {
    if !isolates("processes_of_the_host_are_out_of_sight_and_reach") {
        return;
    }
    run(|mut w| async move {
        let host = std::process::id();
        let text = format!(
            "kill -0 {host} 2>/dev/null && test -e /proc/{host}/exe && echo reached
             ls -d /proc/[0-9]* | wc -l | grep -qE '^[1-5]$' || echo sees-many
             echo end"
        );
        let spec = confined(&mut w, &text);
        assert_eq!(said(&mut w, &spec).await, "end\n");

        // In the agent's pid namespace they are seen, and still neither traced nor looked into.
        let text = format!(
            "readlink /proc/{host}/exe >/dev/null 2>&1 && echo looked
             (strace -p {host} -o /dev/null 2>&1 & sleep 0.2; kill $! 2>/dev/null) | grep -q attached && echo traced
             ls /proc/{host}/root/ >/dev/null 2>&1 && echo rooted
             test -d /proc/{host} && echo seen; echo end"
        );
        let mut spec = confined(&mut w, &text);
        spec.linux.share_pid = true;
        assert_eq!(said(&mut w, &spec).await, "seen\nend\n");
        w
    });
}

#[test]
fn a_fork_bomb_is_held_and_leaves_nothing() {
    if !isolates("a_fork_bomb_is_held_and_leaves_nothing") {
        return;
    }
    run(|mut w| async move {
        for share_pid in [false, true] {
            let mut spec =
                confined(&mut w, "echo up; b() { b | b & }; while :; do b; done 2>/dev/null");
            spec.limits.pids_max = Some(64);
            spec.linux.share_pid = share_pid;
            w.start(&spec).await;
            w.written(&spec, "stdout").await;
            let mut most = 0;
            for _ in 0..50 {
                most = most.max(w.agent.usage(&spec.id).await.map_or(0, |u| u.threads));
            }
            assert!(most <= 64, "{most} at one time");
            w.agent.destroy(&spec.id).await.unwrap();
            // The shell itself may have given up before.
            w.end(&spec).await;
            w.agent.forget(&spec.id).await.unwrap();
        }
        w
    });
}

#[test]
fn a_stopped_task_is_killed_and_a_flood_is_rotated() {
    if !isolates("a_stopped_task_is_killed_and_a_flood_is_rotated") {
        return;
    }
    run(|mut w| async move {
        let spec = confined(&mut w, "trap '' TERM; echo up; kill -STOP 0; sleep 1000");
        w.start(&spec).await;
        w.written(&spec, "stdout").await;
        w.agent.signal(&spec.id, 15, Scope::Tree).await.unwrap();
        w.agent.signal(&spec.id, 9, Scope::Tree).await.unwrap();
        assert_eq!(w.end(&spec).await.signal(), Some(9));
        w.agent.destroy(&spec.id).await.unwrap();

        let mut spec = confined(&mut w, "exec yes flood");
        spec.stdout = Some(Rotation { max_bytes: 1 << 20, files: 2 });
        let pid = w.start(&spec).await;
        let rotated = spec.sandbox.join("stdout.2");
        until("the flood is rotated twice", || rotated.exists()).await;
        w.agent.destroy(&spec.id).await.unwrap();
        w.end(&spec).await;
        assert!(!spec.sandbox.join("stdout.3").exists() && !alive(pid));
        w
    });
}
