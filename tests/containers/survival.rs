//! What outlives what: containers their agent, their supervisor; the supervisor nonsense.

use crate::world::{alive, isolates, read, run, until};
use mesolith::agent::containerizer::{Backend, Containerizer, State};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const BOTH: [Backend; 2] = [Backend::Mesos, Backend::Posix];

#[test]
fn containers_outlive_the_agent() {
    if !isolates("containers_outlive_the_agent") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            let go = w.dir.path().join(format!("go-{backend:?}"));
            let wait = format!("while [ ! -e {} ]; do sleep 0.02; done; exit 6", go.display());
            let running = w.spec(backend, &wait);
            let parked = w.spec(backend, "exit 8");
            let ended = w.spec(backend, &wait.replace("exit 6", "exit 7"));
            let pid = w.start(&running).await;
            w.start(&ended).await;
            w.agent.create(parked.clone()).await.unwrap();
            let supervisor = w.supervisor();
            w.reattach();
            let found = w.agent.recover().await.unwrap();
            let state = |id| found.iter().find(|f| f.id == id).unwrap().state.clone();
            assert_eq!(state(running.id.clone()), State::Running { pid });
            assert_eq!(state(parked.id.clone()), State::Created);
            // Ends while nobody is connected.
            w.reattach();
            std::fs::write(&go, "").unwrap();
            until("they end", || !alive(pid)).await;
            assert!(w.agent.recover().await.is_ok());
            assert_eq!(w.end(&running).await.code(), Some(6));
            assert_eq!(w.end(&ended).await.code(), Some(7));
            w.agent.start(&parked.id).await.unwrap();
            assert_eq!(w.end(&parked).await.code(), Some(8));
            assert_eq!(w.supervisor(), supervisor);
        }
        w
    });
}

#[test]
fn containers_outlive_the_supervisor() {
    if !isolates("containers_outlive_the_supervisor") {
        return;
    }
    run(|mut w| async move {
        let go = w.dir.path().join("go");
        let text =
            format!("while [ ! -e {} ]; do echo tick; sleep 0.02; done; exit 6", go.display());
        let mut all = Vec::new();
        for backend in BOTH {
            let running = w.spec(backend, &text);
            w.start(&running).await;
            w.written(&running, "stdout").await;
            all.push(running);
        }
        let parked = w.spec(Backend::Mesos, "exit 8");
        w.agent.create(parked.clone()).await.unwrap();
        let abandoned = w.spec(Backend::Posix, "echo ran >ran");
        w.agent.create(abandoned.clone()).await.unwrap();
        let doomed = w.spec(Backend::Mesos, "sleep 1000");
        w.start(&doomed).await;
        let quick = w.spec(Backend::Mesos, &text.replace("exit 6", "exit 9"));
        w.start(&quick).await;

        let first = w.supervisor();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::SIGKILL)
            .unwrap();
        until("it is dead", || !alive(first)).await;
        // One ends while there is no supervisor at all: its keeper still tells how.
        std::fs::write(&go, "").unwrap();
        let status = w.home().join("containers").join(quick.id.as_str()).join("status");
        until("its keeper wrote", || status.metadata().is_ok_and(|m| m.len() == 4)).await;

        // The first call after the loss may fail; the next one finds a new supervisor.
        if w.agent.recover().await.is_err() {
            w.agent.recover().await.unwrap();
        }
        assert_ne!(w.supervisor(), first);
        for spec in &all {
            assert_eq!(w.end(spec).await.code(), Some(6), "{:?}", spec.backend);
        }
        assert_eq!(w.end(&quick).await.code(), Some(9));
        assert!(w.lost >= 1);
        w.agent.start(&parked.id).await.unwrap();
        assert_eq!(w.end(&parked).await.code(), Some(8));
        // A parked posix container ends with the supervisor that holds its gate; nobody knows a status.
        w.end(&abandoned).await;
        assert!(!abandoned.sandbox.join("ran").exists());
        w.agent.destroy(&doomed.id).await.unwrap();
        assert_eq!(w.end(&doomed).await.signal(), None, "its keeper was killed: unknown");
        w
    });
}

// covers: MES-0387
#[test]
fn a_number_used_again_is_not_the_container() {
    if !isolates("a_number_used_again_is_not_the_container") {
        return;
    }
    run(|mut w| async move {
        let mut innocent = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(innocent.id()).unwrap();
        let stat = read(std::path::Path::new(&format!("/proc/{pid}/stat")));
        let born: u64 =
            stat.rsplit_once(')').unwrap().1.split(' ').nth(20).unwrap().parse().unwrap();
        let boot = read(std::path::Path::new("/proc/sys/kernel/random/boot_id"));
        // Another process under the keeper's number: of this boot, and of one after it that began at the same tick.
        let claims = [(born + 1, boot.trim().to_string()), (born, "an-earlier-boot".to_string())];
        // What a plain process leaves behind ends with the test.
        let command = format!("while [ -e {} ]; do sleep 0.1; done", w.dir.path().display());
        let mut all = Vec::new();
        for backend in BOTH {
            for (start_time, boot_id) in &claims {
                let spec = w.spec(backend, &command);
                w.start(&spec).await;
                let claim = serde_json::json!({
                    "pid": pid, "start_time": start_time, "boot_id": boot_id
                });
                all.push((spec, claim));
            }
        }
        // As a crash of the machine does: everything ends without a word.
        let supervisor = w.supervisor();
        let signal = |pid: i32| {
            let pid = nix::unistd::Pid::from_raw(pid);
            nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).unwrap();
        };
        signal(supervisor);
        until("it is dead", || !alive(supervisor)).await;
        for (spec, claim) in &all {
            let record = w.home().join("containers").join(spec.id.as_str()).join("record");
            let text = read(&record);
            let line = text.lines().find(|line| line.starts_with("{\"keeper\":")).unwrap();
            let noted: serde_json::Value = serde_json::from_str(line).unwrap();
            let keeper = i32::try_from(noted["keeper"]["pid"].as_i64().unwrap()).unwrap();
            signal(keeper);
            until("its keeper is dead", || !alive(keeper)).await;
            let claimed = serde_json::json!({ "keeper": claim }).to_string();
            std::fs::write(&record, text.replace(line, &claimed)).unwrap();
        }
        if w.agent.recover().await.is_err() {
            w.agent.recover().await.unwrap();
        }
        for (spec, claim) in &all {
            let record = w.end(spec).await;
            assert_eq!((record.code(), record.signal()), (None, None), "{claim}");
            w.agent.destroy(&spec.id).await.unwrap();
            w.agent.forget(&spec.id).await.unwrap();
        }
        assert!(innocent.try_wait().unwrap().is_none(), "it was not touched");
        innocent.kill().unwrap();
        innocent.wait().unwrap();
        w
    });
}

#[test]
fn nonsense_on_the_socket_is_ignored() {
    if !isolates("nonsense_on_the_socket_is_ignored") {
        return;
    }
    run(|mut w| async move {
        let spec = w.spec(Backend::Mesos, "sleep 1000");
        w.start(&spec).await;
        let path = w.home().join("supervisor.sock");
        let speak = |bytes: &[u8]| {
            let mut s = UnixStream::connect(&path).unwrap();
            s.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            s.write_all(bytes).unwrap();
            let mut answer = Vec::new();
            let _ = s.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        };
        assert_eq!(speak(&[0xff; 64]), "");
        assert_eq!(speak(b"\x05\0\0\0{nope"), "");
        assert_eq!(speak(b"\x02\0\0\0{}"), "");
        // Half a frame, then silence; held open meanwhile.
        let mut half = UnixStream::connect(&path).unwrap();
        half.write_all(b"\x50\0\0\0{\"seq\"").unwrap();
        let say = |text: &str| {
            let mut s = UnixStream::connect(&path).unwrap();
            s.write_all(&(text.len() as u32).to_le_bytes()).unwrap();
            s.write_all(text.as_bytes()).unwrap();
            let mut head = [0; 4];
            s.read_exact(&mut head).unwrap();
            let mut body = vec![0; u32::from_le_bytes(head) as usize];
            s.read_exact(&mut body).unwrap();
            String::from_utf8(body).unwrap()
        };
        assert!(say(r#"{"seq":1,"call":"List"}"#).contains("must be a hello"));
        assert!(say(r#"{"seq":1,"call":{"Hello":{"version":99}}}"#).contains("not 99"));
        assert!(w.agent.usage(&spec.id).await.is_ok());
        for (name, mode) in
            [("", 0o700), ("containers", 0o700), ("supervisor.sock", 0o600), ("lock", 0o600)]
        {
            let found = w.home().join(name).metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{name}");
        }
        w.agent.destroy(&spec.id).await.unwrap();
        w
    });
}

#[test]
fn a_supervisor_nobody_needs_ends() {
    if !isolates("a_supervisor_nobody_needs_ends") {
        return;
    }
    run(|mut w| async move {
        let spec = w.spec(Backend::Mesos, "sleep 1000");
        w.start(&spec).await;
        let pid = w.supervisor();
        let adj = read(std::path::Path::new(&format!("/proc/{pid}/oom_score_adj")));
        let status = read(std::path::Path::new("/proc/self/status"));
        let line = status.lines().find(|l| l.starts_with("CapEff:")).unwrap();
        let capable = u64::from_str_radix(line[7..].trim(), 16).unwrap();
        // A machine that keeps CAP_SYS_RESOURCE from its root keeps the score from being lowered.
        if capable & (1 << 24) == 0 {
            eprintln!("SKIPPED the oom score of the supervisor: needs CAP_SYS_RESOURCE");
        } else {
            assert_eq!(adj.trim(), "-900");
        }
        assert!(w.agent.down(false).await.is_err(), "it has a container");
        w.agent.destroy(&spec.id).await.unwrap();
        w.reattach();
        until("it ends", || !alive(pid)).await;
        // And the next one knows what was not forgotten.
        assert_eq!(w.agent.recover().await.unwrap().len(), 1);
        w.agent.forget(&spec.id).await.unwrap();
        w
    });
}
