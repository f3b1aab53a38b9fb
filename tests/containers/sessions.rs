//! Commands run in containers with their streams in our hands.

use super::world::{DEADLINE, World, alive, isolates, run, until};
use mesolith::agent::containerizer::{Backend, ContainerSpec, Containerizer as _};
use mesolith::agent::containerizer::{Session, SessionRequest, Window};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

fn shell(name: &str, text: &str) -> SessionRequest {
    let argv = ["/bin/sh", "-c", text].map(String::from).to_vec();
    SessionRequest { name: name.into(), argv, ..SessionRequest::default() }
}

async fn all(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    timeout(DEADLINE, from.read_to_end(&mut text)).await.unwrap().unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads until that was written.
async fn wait_for(from: &mut (impl AsyncRead + Unpin), wanted: &str) -> String {
    let mut text = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&text).contains(wanted) {
            let mut chunk = [0; 1024];
            let got = from.read(&mut chunk).await.unwrap();
            assert!(got > 0, "the end came first: {:?}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&chunk[..got]);
        }
    };
    timeout(DEADLINE, reading).await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

async fn ended(session: &mut Session) -> Option<i32> {
    timeout(DEADLINE, session.hold.ended()).await.unwrap()
}

async fn over(mut world: World, spec: &ContainerSpec) -> World {
    world.agent.destroy(&spec.id).await.unwrap();
    world.end(spec).await;
    world.agent.forget(&spec.id).await.unwrap();
    world
}

fn backends(test: &str) -> Vec<Backend> {
    let mut all = vec![Backend::Posix];
    if isolates(test) {
        all.push(Backend::Mesos);
    }
    all
}

#[test]
fn input_output_and_errors_are_three_streams() {
    for backend in backends("input_output_and_errors_are_three_streams") {
        run(|mut world| async move {
            let mut spec = world.spec(backend, "exec sleep 1000");
            spec.env.push(("OF_THE_TASK".into(), "yes".into()));
            world.start(&spec).await;
            let text = "cat; echo $OF_THE_TASK $OWN >&2; pwd >&2; exit 7";
            let mut request = shell("s", text);
            request.env.push(("OWN".into(), "too".into()));
            let mut session = world.agent.session(&spec.id, request).await.unwrap();
            // More than any buffer between.
            let much = vec![b'x'; 1 << 20];
            let mut input = session.input;
            let writing = tokio::spawn(async move {
                input.write_all(&much).await.unwrap();
                drop(input);
            });
            let mut output = session.output;
            assert_eq!(all(&mut output).await.len(), 1 << 20);
            writing.await.unwrap();
            let errors = all(session.errors.as_mut().unwrap()).await;
            assert_eq!(errors, format!("yes too\n{}\n", spec.sandbox.display()));
            assert_eq!(timeout(DEADLINE, session.hold.ended()).await.unwrap(), Some(7 << 8));
            over(world, &spec).await
        });
    }
}

// covers: MES-0957, MES-0958, MES-0959, MES-0960
#[test]
fn it_is_where_the_task_is() {
    if !isolates("it_is_where_the_task_is") {
        return;
    }
    run(|mut world| async move {
        let text = "mkdir m && mount -t tmpfs none m 2>/dev/null; touch m/seen; exec sleep 1000";
        let mut spec = world.spec(Backend::Mesos, text);
        spec.capabilities.effective =
            Some(vec!["CAP_SYS_ADMIN".into(), "CAP_DAC_OVERRIDE".into(), "CAP_KILL".into()]);
        spec.env.push(("GREETING".into(), "hello".into()));
        world.start(&spec).await;
        let text = "while [ ! -e m/seen ]; do sleep 0.01; done; \
                    echo $GREETING; pwd; ls m; grep -c ' '$PWD/m' ' /proc/self/mounts; \
                    for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline | grep 'sleep 1000'; done";
        let mut session = world.agent.session(&spec.id, shell("s", text)).await.unwrap();
        drop(session.input);
        let said = all(&mut session.output).await;
        let lines: Vec<&str> = said.lines().collect();
        let sandbox = spec.sandbox.display().to_string();
        assert_eq!(&lines[..4], ["hello", &sandbox, "seen", "1"], "{said}");
        assert_eq!(lines.get(4).map(|l| l.trim()), Some("sleep 1000"), "{said}");
        over(world, &spec).await
    });
}

#[test]
fn a_terminal_has_a_name_and_a_size() {
    for backend in backends("a_terminal_has_a_name_and_a_size") {
        run(|mut world| async move {
            let spec = world.spec(backend, "exec sleep 1000");
            world.start(&spec).await;
            let mut request = shell(
                "s",
                "tty; stty size; trap 'stty size; exit 3' WINCH; echo ready; \
                 while :; do sleep 0.01; done",
            );
            request.terminal = Some(Window { rows: 30, columns: 100 });
            let mut session = world.agent.session(&spec.id, request).await.unwrap();
            assert!(session.errors.is_none());
            let said = wait_for(&mut session.output, "ready\r\n").await;
            assert!(said.starts_with("/dev/pts/"), "{said}");
            assert!(said.contains("\r\n30 100\r\n"), "{said}");
            let terminal = session.terminal.as_ref().unwrap();
            terminal.resize(Window { rows: 50, columns: 132 }).unwrap();
            assert_eq!(all(&mut session.output).await, "50 132\r\n");
            assert_eq!(ended(&mut session).await, Some(3 << 8));
            over(world, &spec).await
        });
    }
}

#[test]
fn what_is_typed_at_a_terminal_is_read_and_interrupts() {
    for backend in backends("what_is_typed_at_a_terminal_is_read_and_interrupts") {
        run(|mut world| async move {
            let spec = world.spec(backend, "exec sleep 1000");
            world.start(&spec).await;
            let mut request = shell("s", "read a; echo got $a; exec sleep 1000");
            request.terminal = Some(Window::default());
            let mut session = world.agent.session(&spec.id, request).await.unwrap();
            session.input.write_all(b"word\n").await.unwrap();
            wait_for(&mut session.output, "got word\r\n").await;
            session.input.write_all(b"\x03").await.unwrap();
            assert_eq!(ended(&mut session).await, Some(libc::SIGINT));
            over(world, &spec).await
        });
    }
}

#[test]
fn dropped_it_ends_with_all_that_it_started() {
    for backend in backends("dropped_it_ends_with_all_that_it_started") {
        run(|mut world| async move {
            let spec = world.spec(backend, "exec sleep 1000");
            let task = world.start(&spec).await;
            let text = match backend {
                // Without a cgroup nothing tells whose a process is that left its group.
                Backend::Posix => "sleep 2000 & echo started; wait",
                Backend::Mesos => "setsid sleep 2000 & echo started; wait",
            };
            let mut session = world.agent.session(&spec.id, shell("s", text)).await.unwrap();
            wait_for(&mut session.output, "started\n").await;
            let pid = session.pid;
            let child = || {
                let path = format!("/proc/{pid}/task/{pid}/children");
                let text = std::fs::read_to_string(path).unwrap_or_default();
                text.split_whitespace().next().and_then(|p| p.parse::<i32>().ok())
            };
            until("it has a child", || child().is_some()).await;
            let child = child().unwrap();
            drop(session);
            until("both are gone", || !alive(pid) && !alive(child)).await;
            assert!(alive(task), "the task goes on");
            over(world, &spec).await
        });
    }
}

#[test]
fn it_can_be_signalled_and_ends_with_its_container() {
    for backend in backends("it_can_be_signalled_and_ends_with_its_container") {
        run(|mut world| async move {
            let spec = world.spec(backend, "exec sleep 1000");
            world.start(&spec).await;
            let mut one = world.agent.session(&spec.id, shell("1", "sleep 1000")).await.unwrap();
            let mut two = world.agent.session(&spec.id, shell("2", "sleep 1000")).await.unwrap();
            one.hold.signal(libc::SIGTERM).await.unwrap();
            assert_eq!(ended(&mut one).await, Some(libc::SIGTERM));
            assert!(one.hold.signal(libc::SIGTERM).await.is_err(), "it has ended");
            world.agent.destroy(&spec.id).await.unwrap();
            assert_eq!(ended(&mut two).await, Some(libc::SIGKILL));
            over(world, &spec).await
        });
    }
}

#[test]
fn it_ends_with_the_supervisor_and_the_task_does_not() {
    for backend in backends("it_ends_with_the_supervisor_and_the_task_does_not") {
        run(|mut world| async move {
            let spec = world.spec(backend, "exec sleep 1000");
            let task = world.start(&spec).await;
            let text = "setsid sleep 2000 & echo started; wait";
            let mut session = world.agent.session(&spec.id, shell("s", text)).await.unwrap();
            wait_for(&mut session.output, "started\n").await;
            let supervisor = nix::unistd::Pid::from_raw(world.supervisor());
            nix::sys::signal::kill(supervisor, nix::sys::signal::SIGKILL).unwrap();
            assert_eq!(ended(&mut session).await, None, "nobody can tell");
            until("it is gone", || !alive(session.pid)).await;
            assert!(alive(task));
            // The next supervisor takes the container over, without what the session left.
            let found = world.agent.recover().await.unwrap();
            assert_eq!(found.len(), 1);
            world = over(world, &spec).await;
            world
        });
    }
}

#[test]
fn what_cannot_be_run_is_named() {
    for backend in backends("what_cannot_be_run_is_named") {
        run(|mut world| async move {
            let spec = world.spec(backend, "exec sleep 1000");
            world.start(&spec).await;
            let of = |argv: &[&str], user: Option<&str>| SessionRequest {
                name: "s".into(),
                argv: argv.iter().map(|a| (*a).to_string()).collect(),
                user: user.map(String::from),
                ..SessionRequest::default()
            };
            for terminal in [None, Some(Window::default())] {
                let request = SessionRequest { terminal, ..of(&["no-such-program"], None) };
                let error = world.agent.session(&spec.id, request).await.err().unwrap();
                assert!(error.cause.contains("no-such-program"), "{error:?}");
            }
            let error = world.agent.session(&spec.id, of(&["true"], Some("nobody-here"))).await;
            assert!(error.err().unwrap().cause.contains("nobody-here"));
            let error = world.agent.session(&spec.id, of(&[], None)).await.err().unwrap();
            assert!(error.cause.contains("empty"), "{error:?}");
            let other = "no-such-container".into();
            let error = world.agent.session(&other, of(&["true"], None)).await.err().unwrap();
            assert!(error.cause.contains("not known"), "{error:?}");
            // None of them is left behind: another of that name can be made.
            let mut good = world.agent.session(&spec.id, of(&["true"], None)).await.unwrap();
            assert_eq!(ended(&mut good).await, Some(0));
            over(world, &spec).await
        });
    }
}

#[test]
fn two_hundred_at_once_do_not_keep_others_waiting() {
    run(|mut world| async move {
        let spec = world.spec(Backend::Posix, "exec sleep 1000");
        world.start(&spec).await;
        let mut sessions = Vec::new();
        for n in 0..200 {
            let request = shell(&format!("s{n}"), "cat");
            sessions.push(world.agent.session(&spec.id, request).await.unwrap());
        }
        let asked = timeout(Duration::from_secs(20), world.agent.recover()).await.unwrap();
        assert_eq!(asked.unwrap().len(), 1);
        for mut session in sessions {
            session.input.write_all(b"x").await.unwrap();
            drop(session.input);
            assert_eq!(all(&mut session.output).await, "x");
        }
        over(world, &spec).await
    });
}
