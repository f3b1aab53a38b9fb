//! GPUs of a machine that has none: device files like theirs, in a `/dev` that only the node under test sees.

use crate::world::{Home, Node, finish, get, isolates, program};
use std::process::Command;

/// A `/dev` with three GPUs, and then the program.
const MACHINE: &str = "
    set -e
    mount --make-rprivate /
    mkdir -p $DEV && mount -t tmpfs -o mode=755 dev $DEV
    cd $DEV && mkdir pts shm mqueue
    node() { mknod -m 666 $1 c $2 $3; }
    node null 1 3; node zero 1 5; node full 1 7; node random 1 8; node urandom 1 9; node tty 5 0; node ptmx 5 2
    for n in 0 1 2; do node nvidia$n 195 $n; done
    node nvidiactl 195 255; node nvidia-uvm 511 0
    mount --rbind $DEV /dev && cd /
    exec \"$@\"";

/// The command, on that machine.
fn with_gpus(home: &Home, command: &Command) -> Command {
    let mut line = vec!["-m", "sh", "-c", MACHINE, "sh"];
    line.push(command.get_program().to_str().unwrap());
    line.extend(command.get_args().map(|arg| arg.to_str().unwrap()));
    let mut wrapped = program("unshare".as_ref(), &line);
    wrapped.env("DEV", home.beside("dev"));
    wrapped
}

const ISOLATION: &str = "--isolation=cgroups/devices,filesystem/linux,gpu/nvidia,linux/seccomp";

// covers: MES-0848
#[test]
fn a_task_has_the_gpus_it_asks_for_and_no_others() {
    if !isolates() {
        return eprintln!("SKIPPED a_task_has_the_gpus_it_asks_for_and_no_others: needs root");
    }
    let home = Home::new();
    let node = Node::start(&mut with_gpus(&home, &home.command(&[ISOLATION]))).with_agent();
    assert_eq!(get(&node.agent, "/state")["resources"]["gpus"], 3.0);
    let run = |resources: &str, text: &str| {
        node.ask(&[
            "execute",
            "--name=gpu",
            "--framework_capabilities=GPU_RESOURCES",
            &format!("--resources=cpus:0.1;mem:32;{resources}"),
            &format!("--command={text}"),
        ])
    };
    let text = "cd /dev; stat -c '%n %t:%T' nvidia* | sort";
    let said = run("gpus:2", text).ended(0);
    let expected = "nvidia-uvm 1ff:0\nnvidia0 c3:0\nnvidia1 c3:1\nnvidiactl c3:ff\n";
    assert!(said.stdout.contains(expected), "{said:#?}");
    // What the one before had is free again; one that asks for none sees that there are some.
    let said = run("gpus:3", text).ended(0);
    assert!(said.stdout.contains("nvidia2 c3:2"), "{said:#?}");
    let said = run("disk:1", text).ended(0);
    assert!(said.stdout.contains("nvidiactl") && !said.stdout.contains("nvidia0"), "{said:#?}");
    let said = run("gpus:0.5", "true");
    let all = said.stdout.clone() + &said.stderr;
    assert!(all.contains("The 'gpus' resource must be an unsigned integer"), "{all}");
}

#[test]
fn what_the_operator_says_of_gpus_must_be_so() {
    if !isolates() {
        return eprintln!("SKIPPED what_the_operator_says_of_gpus_must_be_so: needs root");
    }
    let home = Home::new();
    for (flags, why) in [
        (&["--nvidia_gpu_devices=0"][..], "it needs gpu/nvidia in --isolation"),
        (&[ISOLATION, "--nvidia_gpu_devices=0,0"], "0 is named twice"),
        (&[ISOLATION, "--nvidia_gpu_devices=0"], "needs gpus in --resources"),
        (&[ISOLATION, "--resources=gpus:1", "--nvidia_gpu_devices=7"], "there is no GPU 7"),
        (&[ISOLATION, "--launcher=posix"], "gpu/nvidia needs containers"),
    ] {
        let said = finish(&mut with_gpus(&home, &home.command(flags)));
        assert_ne!(said.code, Some(0), "{flags:?}");
        assert!(said.stderr.contains(why), "{flags:?}: {}", said.stderr);
    }
    let flags = [ISOLATION, "--resources=cpus:1;mem:64;gpus:1", "--nvidia_gpu_devices=2"];
    let node = Node::start(&mut with_gpus(&home, &home.command(&flags))).with_agent();
    assert_eq!(get(&node.agent, "/state")["resources"]["gpus"], 1.0);
}
