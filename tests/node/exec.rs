//! `mesolith exec` and `mesolith attach`: commands and terminals beside tasks, from a terminal and from pipes.

use super::engine::engine;
use super::world::{Home, Node, Talk, signal_to, until};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

fn run(node: &Node, name: &str, command: &str, more: &[&str]) -> Talk {
    let (name_flag, command) = (format!("--name={name}"), format!("--command={command}"));
    let mut args = vec!["execute", &name_flag, &command];
    args.extend(more);
    let talk = Talk::start(&mut node.asking(&args));
    let running = format!("TASK_RUNNING for task '{name}'");
    until("the task runs", || talk.stdout().contains(&running));
    talk
}

/// A program on a terminal that the test has the other side of.
struct OnTerminal {
    child: Child,
    master: OwnedFd,
    slave: OwnedFd,
    seen: Arc<Mutex<String>>,
}

fn window(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl OnTerminal {
    fn start(command: &mut Command) -> Self {
        let pty = openpty(&window(40, 111), None).unwrap();
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        command.stdin(side()).stdout(side()).stderr(side());
        // SAFETY: plain system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn().unwrap();
        let seen: Arc<Mutex<String>> = Arc::default();
        let (mut reads, tell) = (File::from(pty.master.try_clone().unwrap()), seen.clone());
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(got) = reads.read(&mut chunk) {
                if got == 0 {
                    return;
                }
                tell.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..got]));
            }
        });
        Self { child, master: pty.master, slave: pty.slave, seen }
    }

    fn types(&self, text: &str) {
        File::from(self.master.try_clone().unwrap()).write_all(text.as_bytes()).unwrap();
    }

    fn sees(&self, wanted: &str) {
        let since = std::time::Instant::now();
        while !self.seen.lock().unwrap().contains(wanted) {
            let seen = self.seen.lock().unwrap().clone();
            assert!(since.elapsed() < super::world::DEADLINE, "never {wanted:?}: {seen:?}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Lines are edited and echoed by the terminal.
    fn is_cooked(&self) -> bool {
        let flags = tcgetattr(&self.slave).unwrap().local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    fn code(&mut self) -> Option<i32> {
        let mut code = None;
        until("it ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process has that command line.
fn runs(line: &str) -> bool {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|e| std::fs::read(e.path().join("cmdline")).ok());
    lines.into_iter().any(|found| found == line.as_bytes())
}

#[test]
fn a_command_beside_a_task_has_its_output_and_its_code() {
    let home = Home::new();
    let node = home.up().with_agent();
    let _task = run(&node, "t", "touch of-the-task; exec sleep 1000", &[]);
    let text = "ls; echo \"<$A>\"; echo wrong >&2; exit 7";
    let said = node.ask(&["exec", "-e", "A=b c", "t", "--", "sh", "-c", text]).ended(7);
    assert!(said.stdout.lines().any(|l| l == "of-the-task"), "{said:#?}");
    assert!(said.stdout.ends_with("<b c>\n"), "{said:#?}");
    assert_eq!(said.stderr, "wrong\n");
    node.ask(&["exec", "t", "--", "sh", "-c", "kill -9 $$"]).ended(137);
    // Without -i there is nothing to read, and nobody to wait for.
    assert_eq!(node.ask(&["exec", "t", "--", "cat"]).ended(0).stdout, "");
    let mut piped = node.asking(&["exec", "-i", "t", "--", "sh", "-c", "cat; echo end"]);
    let mut child = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let much = "x".repeat(1 << 20);
    let mut input = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(much.as_bytes()).unwrap());
    let done = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(done.status.success());
    assert_eq!(done.stdout.len(), (1 << 20) + "end\n".len());
    let said = node.ask(&["exec", "t", "--", "no-such-program"]).ended(1);
    assert!(said.stderr.contains("no-such-program"), "{said:#?}");
    node.ask(&["exec", "nobody", "--", "true"]).ended(3);
    let said = node.ask(&["attach", "t"]);
    assert_ne!(said.code, Some(0));
    assert!(said.stderr.contains("mesolith exec -it t"), "{said:#?}");
}

#[test]
fn a_shell_on_a_terminal_has_the_windows_size_and_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    let node = home.up().with_agent();
    let _task = run(&node, "t", "exec sleep 1000", &[]);
    on_a_terminal(&node, ["54321", "43210"]);
}

#[test]
fn so_has_one_in_a_container_of_dockers() {
    let Some(engine) = engine("so_has_one_in_a_container_of_dockers") else { return };
    let home = Home::new();
    let socket = format!("--docker-socket={}", engine.socket.display());
    let node = home.up_with(&["--containerizers=docker,mesos", &socket]).with_agent();
    let more = ["--docker_image=centos", "--containerizer=docker"];
    let _task = run(&node, "t", "exec sleep 1000", &more);
    let there = node.ask(&["exec", "t", "--", "ls", "-l", "/bin/sh"]).ended(0);
    assert!(there.stdout.contains("busybox"), "it is in the image: {there:#?}");
    on_a_terminal(&node, ["54322", "43212"]);
}

/// A shell beside the task `t`; and a command. Each sleeps for a while of its own.
fn on_a_terminal(node: &Node, sleeps: [&str; 2]) {
    let [slept, told] = sleeps.map(|n| format!("sleep\0{n}\0"));
    let mut shell = OnTerminal::start(&mut node.asking(&["exec", "-it", "t", "--", "sh"]));
    until("the terminal is raw", || !shell.is_cooked());
    shell.types("echo size $(stty size)\n");
    shell.sees("size 40 111");
    // SAFETY: reads a struct of ours.
    let resized =
        unsafe { libc::ioctl(shell.master.as_raw_fd(), libc::TIOCSWINSZ, &window(50, 99)) };
    assert_eq!(resized, 0);
    let since = std::time::Instant::now();
    while !shell.seen.lock().unwrap().contains("size 50 99") {
        assert!(since.elapsed() < super::world::DEADLINE, "{:?}", shell.seen.lock().unwrap());
        shell.types("echo size $(stty size)\n");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // Ctrl-C is the shell's, not ours.
    shell.types(&format!("sleep {}\n", sleeps[0]));
    until("it runs", || runs(&slept));
    shell.types("\x03");
    until("it was interrupted", || !runs(&slept));
    shell.types("echo still $((20 + 22))\n");
    shell.sees("still 42");
    shell.types("exit 5\n");
    assert_eq!(shell.code(), Some(5));
    assert!(shell.is_cooked());
    // Told to end, it puts the terminal right, too; and the command ends with it.
    let mut other = OnTerminal::start(&mut node.asking(&[
        "exec",
        "-it",
        "t",
        "--",
        "sh",
        "-c",
        &format!("echo begun; exec sleep {}", sleeps[1]),
    ]));
    other.sees("begun");
    until("it runs", || runs(&told));
    signal_to(other.child.id() as i32, libc::SIGTERM);
    assert_eq!(other.code(), Some(128 + 15));
    assert!(other.is_cooked());
    until("the command has ended", || !runs(&told));
}

#[test]
fn a_tasks_own_terminal_is_attached_to_and_left_alone() {
    let home = Home::new();
    let node = home.up().with_agent();
    let task = "while read a; do echo got $a; [ $a = end ] && exit 0; done";
    let talk = run(&node, "t", task, &["--tty"]);
    let mut one = OnTerminal::start(&mut node.asking(&["attach", "t"]));
    one.sees("attached");
    one.types("a-word\r");
    one.sees("got a-word");
    one.types("\x10\x11");
    assert_eq!(one.code(), Some(0));
    assert!(one.is_cooked());
    let mut two = OnTerminal::start(&mut node.asking(&["attach", "t"]));
    two.sees("attached");
    two.types("end\r");
    two.sees("got end");
    assert_eq!(two.code(), Some(0));
    assert!(two.is_cooked());
    talk.end().ended(0);
}
