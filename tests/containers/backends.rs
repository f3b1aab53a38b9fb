//! What both backends do alike: run commands, as a user, with an environment, into files.

use crate::world::{isolates, read, run};
use mesolith::agent::containerizer::{
    Backend, Command, Containerizer, ExecRequest, Rlimit, Rotation, State,
};
use mesolith::base::error::Code;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

const BOTH: [Backend; 2] = [Backend::Mesos, Backend::Posix];

// covers: MES-0795, MES-0800, MES-0810
#[test]
fn exit_codes_and_output_arrive() {
    if !isolates("exit_codes_and_output_arrive") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            for code in [0, 1, 7, 255] {
                let text = format!("echo out; echo err >&2; exit {code}");
                let spec = w.spec(backend, &text);
                let record = w.whole(&spec).await;
                assert_eq!(record.code(), Some(code), "{backend:?}");
                assert_eq!(record.oom, None);
                assert_eq!(read(&spec.sandbox.join("stdout")), "out\n");
                assert_eq!(read(&spec.sandbox.join("stderr")), "err\n");
            }
        }
        w
    });
}

#[test]
fn a_task_that_kills_itself_is_told_by_its_signal() {
    if !isolates("a_task_that_kills_itself_is_told_by_its_signal") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            for (name, number) in [("TERM", 15), ("SEGV", 11), ("KILL", 9)] {
                let spec = w.spec(backend, &format!("kill -{name} $$; sleep 100"));
                let record = w.whole(&spec).await;
                assert_eq!(record.signal(), Some(number), "{backend:?} {name}");
            }
        }
        w
    });
}

// covers: MES-0801
#[test]
fn a_task_runs_as_its_user_with_its_groups_and_owns_its_output() {
    if !isolates("a_task_runs_as_its_user_with_its_groups_and_owns_its_output") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            let mut spec = w.spec(backend, "id -un; id -gn; touch mine && echo wrote");
            spec.user = Some("nobody".into());
            nix::unistd::chown(&spec.sandbox, Some(65534.into()), Some(65534.into())).unwrap();
            let record = w.whole(&spec).await;
            assert_eq!(record.code(), Some(0), "{}", read(&spec.sandbox.join("stderr")));
            assert_eq!(read(&spec.sandbox.join("stdout")), "nobody\nnogroup\nwrote\n");
            for name in ["stdout", "stderr", "mine"] {
                assert_eq!(spec.sandbox.join(name).metadata().unwrap().uid(), 65534, "{name}");
            }
            let mut spec = w.spec(backend, "true");
            spec.user = Some("no-such-user".into());
            let error = w.agent.create(spec.clone()).await.unwrap_err();
            assert!(error.cause.contains("'no-such-user' does not exist"), "{error}");
            assert!(w.agent.recover().await.unwrap().is_empty(), "nothing is left of it");
        }
        w
    });
}

#[test]
fn environment_and_directory_are_as_asked() {
    if !isolates("environment_and_directory_are_as_asked") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            let mut spec =
                w.spec(backend, "pwd; env | sort | grep -v -e ^PWD -e ^_ -e ^SHLVL -e ^OLDPWD");
            spec.env = vec![("B".into(), "two words".into()), ("A".into(), "1".into())];
            w.whole(&spec).await;
            let sandbox = spec.sandbox.display();
            let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
            let expected =
                format!("{sandbox}\nA=1\nB=two words\nMESOS_SANDBOX={sandbox}\nPATH={path}\n");
            assert_eq!(read(&spec.sandbox.join("stdout")), expected);

            let mut spec = w.spec(backend, "");
            let argv = ["name", "-c", "echo $0 $X"].map(str::to_owned).to_vec();
            spec.command = Command::Exec { program: "/bin/sh".into(), argv };
            spec.env = vec![("X".into(), "x".into())];
            w.whole(&spec).await;
            assert_eq!(read(&spec.sandbox.join("stdout")), "name x\n");
        }
        w
    });
}

#[test]
fn what_cannot_run_is_told_clearly() {
    if !isolates("what_cannot_run_is_told_clearly") {
        return;
    }
    run(|mut w| async move {
        let mut spec = w.spec(Backend::Mesos, "");
        spec.command = Command::Exec { program: "/bin/nosuch".into(), argv: vec![] };
        let error = w.agent.create(spec.clone()).await.unwrap_err();
        assert!(error.cause.contains("executable '/bin/nosuch' cannot be used"), "{error}");
        spec.command = Command::Exec { program: "nosuch".into(), argv: vec![] };
        let error = w.agent.create(spec.clone()).await.unwrap_err();
        assert!(error.cause.contains("executable 'nosuch' not found in PATH"), "{error}");

        spec.backend = Backend::Posix;
        w.agent.create(spec.clone()).await.unwrap();
        let error = w.agent.start(&spec.id).await.unwrap_err();
        assert!(error.cause.contains("executable 'nosuch' not found in PATH"), "{error}");
        assert_eq!(w.end(&spec).await.code(), Some(127));
        assert!(read(&spec.sandbox.join("stderr")).contains("not found in PATH"));
        w.agent.destroy(&spec.id).await.unwrap();
        w.agent.forget(&spec.id).await.unwrap();

        for backend in BOTH {
            let mut spec = w.spec(backend, "true");
            std::fs::remove_dir(&spec.sandbox).unwrap();
            let error = w.agent.create(spec.clone()).await.unwrap_err();
            assert_eq!(error.code, Code::Invalid);
            assert!(error.cause.contains("sandbox"), "{error}");
            std::fs::create_dir(&spec.sandbox).unwrap();
            spec.host_root = false;
            assert_eq!(w.agent.create(spec).await.unwrap_err().code, Code::Invalid);
        }
        assert!(w.agent.recover().await.unwrap().is_empty());
        w
    });
}

// covers: MES-0804
#[test]
fn an_id_is_used_once_and_unknown_ones_are_gone_already() {
    if !isolates("an_id_is_used_once_and_unknown_ones_are_gone_already") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            let spec = w.spec(backend, "exit 3");
            w.start(&spec).await;
            let again = w.agent.create(spec.clone()).await.unwrap_err();
            assert_eq!(again.code, Code::Conflict);
            w.end(&spec).await;
            w.agent.destroy(&spec.id).await.unwrap();
            assert_eq!(w.agent.create(spec.clone()).await.unwrap_err().code, Code::Conflict);
            let found = w.agent.recover().await.unwrap();
            assert!(matches!(&found[0].state, State::Exited(r) if r.code() == Some(3)));
            w.agent.forget(&spec.id).await.unwrap();
            assert!(w.agent.recover().await.unwrap().is_empty());
            w.agent.destroy(&"never-was".into()).await.unwrap();
            w.agent.forget(&"never-was".into()).await.unwrap();
            assert_eq!(w.agent.start(&"never-was".into()).await.unwrap_err().code, Code::NotFound);
        }
        w
    });
}

// covers: MES-0811
#[test]
fn output_is_rotated_while_it_is_written() {
    if !isolates("output_is_rotated_while_it_is_written") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            let line = "x".repeat(99);
            let text =
                format!("i=0; while [ $i -lt 3000 ]; do echo {line}; i=$((i+1)); done; sleep 100");
            let mut spec = w.spec(backend, &text);
            spec.stdout = Some(Rotation { max_bytes: 100_000, files: 3 });
            w.start(&spec).await;
            let size = |name: &str| spec.sandbox.join(name).metadata().map_or(0, |m| m.len());
            crate::world::until("rotation", || size("stdout.1") > 0 && size("stdout") < 100_000)
                .await;
            w.agent.destroy(&spec.id).await.unwrap();
            w.end(&spec).await;
            assert!(size("stdout.4") == 0);
        }
        w
    });
}

// covers: MES-0920, MES-0921
#[test]
fn posix_limits_are_kept() {
    if !isolates("posix_limits_are_kept") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            let mut spec = w.spec(backend, "ulimit -n; while :; do :; done");
            let limit =
                |name: &str, n| Rlimit { name: name.into(), soft: Some(n), hard: Some(n + 1) };
            spec.rlimits = vec![limit("RLIMIT_NOFILE", 77), limit("RLIMIT_CPU", 1)];
            let record = w.whole(&spec).await;
            assert_eq!(record.signal(), Some(24), "SIGXCPU: {record:?}");
            assert_eq!(read(&spec.sandbox.join("stdout")), "77\n");
            let mut spec = w.spec(backend, "true");
            spec.rlimits = vec![Rlimit { name: "RLIMIT_CPU".into(), soft: None, hard: Some(1) }];
            assert_eq!(w.agent.create(spec.clone()).await.unwrap_err().code, Code::Invalid);
            spec.rlimits = vec![limit("RLIMIT_NONSENSE", 1)];
            assert!(w.agent.create(spec).await.unwrap_err().cause.contains("RLIMIT_NONSENSE"));
        }
        w
    });
}

#[test]
fn a_command_is_run_beside_the_task() {
    if !isolates("a_command_is_run_beside_the_task") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            let mut spec = w.spec(backend, "echo up; sleep 1000");
            spec.env = vec![("FROM".into(), "task".into())];
            spec.user = Some("nobody".into());
            w.start(&spec).await;
            w.written(&spec, "stdout").await;
            let sh = |text: &str, ms| ExecRequest {
                argv: ["sh", "-c", text].map(str::to_owned).to_vec(),
                env: vec![("MORE".into(), "x".into())],
                cwd: None,
                timeout: Duration::from_millis(ms),
            };
            let text = "echo $FROM $MORE; id -un; pwd; echo e >&2; exit 9";
            let done = w.agent.exec(&spec.id, sh(text, 20_000)).await.unwrap();
            assert_eq!(done.status, Some(9 << 8), "{backend:?}");
            assert_eq!(done.output, format!("task x\nnobody\n{}\ne\n", spec.sandbox.display()));
            if backend == Backend::Mesos {
                let text = "tr '\\0' ' ' </proc/2/cmdline; grep -e ^CapEff -e ^NoNewPrivs /proc/self/status";
                let done = w.agent.exec(&spec.id, sh(text, 20_000)).await.unwrap();
                assert!(done.output.contains("sleep 1000"), "{}", done.output);
                assert!(done.output.contains("CapEff:\t0000000000000000"), "{}", done.output);
                assert!(done.output.contains("NoNewPrivs:\t1"), "{}", done.output);
            }
            let late = w.agent.exec(&spec.id, sh("echo before; sleep 500", 2_000)).await.unwrap();
            assert_eq!((late.status, late.output.as_str()), (None, "before\n"));
            let much = w.agent.exec(&spec.id, sh("yes | head -c 1000000", 20_000)).await.unwrap();
            assert_eq!((much.output.len(), much.truncated), (64 * 1024, true));
            let none = ExecRequest { argv: vec!["nosuch".into()], ..sh("", 1000) };
            let error = w.agent.exec(&spec.id, none).await.unwrap_err();
            assert!(error.cause.contains("not found in PATH"), "{error}");
            w.agent.destroy(&spec.id).await.unwrap();
            assert!(w.agent.exec(&spec.id, sh("true", 1000)).await.is_err());
        }
        w
    });
}

#[test]
fn use_is_measured_without_isolation_too() {
    if !isolates("use_is_measured_without_isolation_too") {
        return;
    }
    run(|mut w| async move {
        let spec = w.spec(Backend::Posix, "sleep 1000 & echo up; while :; do :; done");
        w.start(&spec).await;
        w.written(&spec, "stdout").await;
        let mut usage = w.agent.usage(&spec.id).await.unwrap();
        while usage.cpu_user_secs < 0.05 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            usage = w.agent.usage(&spec.id).await.unwrap();
        }
        assert_eq!((usage.processes, usage.threads), (2, 2));
        assert!(usage.mem_rss_bytes > 0);
        w.agent.destroy(&spec.id).await.unwrap();
        w
    });
}
