//! Sandboxes, read from outside: by the agent and by the master, under all their paths.

use super::client::{Scheduler, info, task};
use super::node::Node;
use super::wire::ask;
use serde_json::{Value, json};

/// A finished task that leaves files behind, and the paths of its sandbox.
async fn sandbox(node: &Node) -> (Scheduler, Vec<String>) {
    let mut scheduler = Scheduler::start(node, info("files")).await;
    let offer = scheduler.offer().await;
    let command = "printf 'hello\\nworld\\n'; printf oops >&2; mkdir sub; echo deep > sub/f; \
                   echo '<b>' > page.html; echo x > 'a%20b'; ln -s /etc/passwd leak; sleep 1000";
    scheduler.launch(&offer, json!([task("t", &offer, command)])).await;
    scheduler.until("t", "TASK_RUNNING").await;
    let state = node.get_agent("/state").await;
    let real = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap().to_string();
    let (runs, _) = real.rsplit_once('/').unwrap();
    let paths = vec![
        format!("/frameworks/{}/executors/t/runs/latest", scheduler.id),
        format!("{runs}/latest"),
        real,
    ];
    let leak = format!("/files/browse?path={}", paths[0]);
    node.until_agent(&leak, "the task has done its work", |all| {
        all.as_array().unwrap().iter().any(|f| f["path"].as_str().unwrap().ends_with("/leak"))
    })
    .await;
    (scheduler, paths)
}

// covers: MES-0300, MES-0306, MES-0308, MES-0309, MES-0310
#[tokio::test]
async fn a_sandbox_is_browsed_read_and_downloaded_everywhere() {
    let node = Node::start(&[]);
    let (_scheduler, paths) = sandbox(&node).await;
    for address in [&node.agent, &node.master] {
        for path in &paths {
            let get = |what: String| async move { ask(address, "GET", &what, &[], "").await };
            let read =
                |file: &str, rest: &str| get(format!("/files/read?path={path}/{file}{rest}"));
            let whole = read("stdout", "&offset=0").await.json();
            assert_eq!(whole, json!({"data": "hello\nworld\n", "offset": 0}), "{path}");
            assert_eq!(read("stderr", "&offset=0").await.json()["data"], "oops");
            let piece = read("stdout", "&offset=6&length=3").await.json();
            assert_eq!(piece, json!({"data": "wor", "offset": 6}));
            let size = read("stdout", "&offset=-1").await.json();
            assert_eq!(size, json!({"data": "", "offset": 12}));
            let huge = read("stdout", "&offset=0&length=9223372036854775807").await.json();
            assert_eq!(huge["data"], "hello\nworld\n");
            assert_eq!(read("a%2520b", "&offset=0").await.json()["data"], "x\n");
            read("stdout", "&offset=x").await.refused(400, "Failed to parse offset");
            read("sub", "&offset=0").await.refused(400, "Cannot read a directory.");
            assert_eq!(read("none", "&offset=0").await.status, 404);
            let listed = get(format!("/files/browse?path={path}")).await.json();
            let names: Vec<&str> = listed
                .as_array()
                .unwrap()
                .iter()
                .map(|f| f["path"].as_str().unwrap().strip_prefix(path.as_str()).unwrap())
                .collect();
            let mut sorted = names.clone();
            sorted.sort_unstable();
            assert_eq!(names, sorted);
            for name in ["/stdout", "/stderr", "/sub", "/a%20b"] {
                assert!(names.contains(&name), "{name} in {names:?}");
            }
            let is = |name: &str| {
                let named = |f: &&Value| f["path"].as_str().unwrap().ends_with(name);
                listed.as_array().unwrap().iter().find(named).unwrap().clone()
            };
            let stdout = is("/stdout");
            assert_eq!((&stdout["size"], &stdout["nlink"]), (&json!(12), &json!(1)));
            assert!(stdout["mode"].as_str().unwrap().starts_with("-rw"), "{stdout}");
            assert!(is("/sub")["mode"].as_str().unwrap().starts_with('d'));
            for key in ["mtime", "uid", "gid"] {
                assert!(stdout.get(key).is_some(), "{key}");
            }
            let page = get(format!("/files/download?path={path}/page.html")).await;
            assert_eq!((page.status, page.text()), (200, "<b>\n"));
            assert!(page.header("content-type").starts_with("text/html"));
            assert_eq!(page.header("content-disposition"), "attachment; filename=page.html");
            let folder = get(format!("/files/download?path={path}/sub")).await;
            folder.refused(400, "");
        }
    }
}

// covers: MES-0304, MES-0307
#[tokio::test]
async fn nothing_outside_the_sandbox_can_be_read() {
    let node = Node::start(&[]);
    let (_scheduler, paths) = sandbox(&node).await;
    for address in [&node.agent, &node.master] {
        for path in &paths {
            for wrong in
                ["leak", "../../../../../../../../etc/passwd", "sub/../../../x", "%2e%2e/%2e%2e/x"]
            {
                let target = format!("/files/read?path={path}/{wrong}&offset=0");
                let answer = ask(address, "GET", &target, &[], "").await;
                assert!([400, 404].contains(&answer.status), "{target}: {}", answer.text());
                assert!(!answer.text().contains("root:"));
            }
        }
        for wrong in ["/etc/passwd", "/", "", "/frameworks/nobody/executors/t/runs/latest/stdout"] {
            let target = format!("/files/read?path={wrong}&offset=0");
            let answer = ask(address, "GET", &target, &[], "").await;
            assert!([400, 404].contains(&answer.status), "{target}: {}", answer.status);
        }
    }
}

// covers: MES-0300
#[tokio::test]
async fn a_sandbox_can_be_read_after_a_restart_and_after_the_task() {
    let mut node = Node::start(&[]);
    let (scheduler, paths) = sandbox(&node).await;
    node.restart();
    let mut scheduler = scheduler.again(&node, info("files")).await;
    for round in 0..2 {
        for path in &paths {
            let target = format!("/files/read?path={path}/stdout&offset=0");
            let read = ask(&node.agent, "GET", &target, &[], "").await;
            assert_eq!((round, read.status), (round, 200), "{target}");
            assert_eq!(read.json()["data"], "hello\nworld\n", "{path}");
        }
        if round == 0 {
            let back = |s: &Value| s["slaves"][0]["active"] == true;
            node.until("/slaves", "the agent is back", back).await;
            scheduler.kill("t").await;
            scheduler.until("t", "TASK_KILLED").await;
        }
    }
}
