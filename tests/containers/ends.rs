//! How containers end: asked, forced, with all they started.

use crate::world::{alive, isolates, run, until};
use mesolith::agent::containerizer::{Backend, Containerizer, Scope, State};
use mesolith::base::error::Code;

const BOTH: [Backend; 2] = [Backend::Mesos, Backend::Posix];

#[test]
fn a_signal_reaches_the_whole_tree_and_may_be_handled() {
    if !isolates("a_signal_reaches_the_whole_tree_and_may_be_handled") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            let text = "(trap 'echo child >>term; exit 0' TERM; echo a >>up; while :; do sleep 0.05; done) &
                trap 'wait; echo parent >>term; exit 5' TERM; echo b >>up; while :; do sleep 0.05; done";
            let spec = w.spec(backend, text);
            w.start(&spec).await;
            let up = spec.sandbox.join("up");
            until("both are up", || crate::world::read(&up).lines().count() == 2).await;
            w.agent.signal(&spec.id, 15, Scope::Tree).await.unwrap();
            assert_eq!(w.end(&spec).await.code(), Some(5), "{backend:?}");
            let term = crate::world::read(&spec.sandbox.join("term"));
            assert!(term.contains("child") && term.contains("parent"), "{term}");
            let again = w.agent.signal(&spec.id, 15, Scope::Tree).await.unwrap_err();
            assert_eq!(again.code, Code::Conflict);

            // Not handled: the default action, though the task is alone in its pid namespace.
            let spec = w.spec(backend, "echo up; exec sleep 1000");
            w.start(&spec).await;
            w.written(&spec, "stdout").await;
            w.agent.signal(&spec.id, 15, Scope::Init).await.unwrap();
            assert_eq!(w.end(&spec).await.signal(), Some(15), "{backend:?}");
        }
        w
    });
}

// covers: MES-0797
#[test]
fn whoever_ignores_a_signal_is_killed() {
    if !isolates("whoever_ignores_a_signal_is_killed") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            let spec = w.spec(backend, "trap '' TERM; echo up; while :; do sleep 0.05; done");
            w.start(&spec).await;
            w.written(&spec, "stdout").await;
            w.agent.signal(&spec.id, 15, Scope::Tree).await.unwrap();
            let found = w.agent.recover().await.unwrap();
            let state = found.into_iter().find(|f| f.id == spec.id).unwrap().state;
            assert!(matches!(state, State::Running { .. }), "{state:?}");
            w.agent.signal(&spec.id, 9, Scope::Tree).await.unwrap();
            assert_eq!(w.end(&spec).await.signal(), Some(9), "{backend:?}");

            let spec = w.spec(backend, "sleep 1000");
            w.start(&spec).await;
            w.agent.destroy(&spec.id).await.unwrap();
            assert_eq!(w.end(&spec).await.signal(), Some(9), "{backend:?}");
        }
        w
    });
}

/// A process whose command line says so, anywhere on the host.
fn marked(mark: &str) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|b| *b == 0).any(|arg| arg == mark.as_bytes()) && alive(*pid)
        })
        .collect()
}

#[test]
fn daemons_end_with_their_container() {
    if !isolates("daemons_end_with_their_container") {
        return;
    }
    run(|mut w| async move {
        for (n, backend) in BOTH.into_iter().enumerate() {
            for ended_by_itself in [true, false] {
                let mark = format!("9{}{}{}", std::process::id(), n, u8::from(ended_by_itself));
                // A grandchild in a session of its own, its parent gone, and a plain child.
                let rest = if ended_by_itself { "exit 4" } else { "sleep 1000" };
                let text = format!(
                    "(setsid sh -c 'sleep {mark} & sleep {mark}' &) ; sleep {mark} & 
                     while [ $(pgrep -cx -f 'sleep {mark}') -lt 3 ]; do sleep 0.02; done; {rest}"
                );
                let spec = w.spec(backend, &text);
                w.start(&spec).await;
                if ended_by_itself {
                    assert_eq!(w.end(&spec).await.code(), Some(4));
                } else {
                    until("the daemons", || marked(&mark).len() == 3).await;
                }
                w.agent.destroy(&spec.id).await.unwrap();
                assert_eq!(marked(&mark), Vec::<i32>::new(), "{backend:?} {ended_by_itself}");
            }
        }
        w
    });
}

// covers: MES-0803
#[test]
fn one_that_is_parked_or_being_made_can_be_destroyed() {
    if !isolates("one_that_is_parked_or_being_made_can_be_destroyed") {
        return;
    }
    run(|mut w| async move {
        for backend in BOTH {
            let spec = w.spec(backend, "echo ran >>ran");
            w.agent.create(spec.clone()).await.unwrap();
            let found = w.agent.recover().await.unwrap();
            assert_eq!(found.last().unwrap().state, State::Created);
            w.agent.destroy(&spec.id).await.unwrap();
            w.end(&spec).await;
            w.agent.forget(&spec.id).await.unwrap();
            assert!(!spec.sandbox.join("ran").exists());

            for _ in 0..5 {
                let spec = w.spec(backend, "echo ran >>ran");
                let (made, destroyed) =
                    tokio::join!(w.agent.create(spec.clone()), w.agent.destroy(&spec.id));
                destroyed.unwrap();
                // Whichever came first, a second time finds nothing to do or ends it.
                w.agent.destroy(&spec.id).await.unwrap();
                if made.is_ok() {
                    w.end(&spec).await;
                }
                w.agent.forget(&spec.id).await.unwrap();
            }
            assert!(w.agent.recover().await.unwrap().is_empty());
        }
        w
    });
}
