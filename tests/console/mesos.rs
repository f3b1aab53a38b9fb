//! The master's pages against the real binary.

use super::page::Page;
use super::world::{Home, Node, Talk, request, until};

/// A task that runs until it is ended.
fn task(node: &Node, name: &str, command: &str) -> Talk {
    let (name, command) = (format!("--name={name}"), format!("--command={command}"));
    let resources = "--resources=cpus:0.1;mem:32";
    Talk::start(&mut node.asking(&["execute", &name, &command, resources]))
}

#[test]
fn the_overview_follows_the_cluster() {
    let home = Home::new();
    let node = home.up().with_agent();
    let Some(page) = Page::open("overview", &node.master, "/") else { return };
    page.until("document.querySelector('[data-connection=live]')");
    page.shows("No task runs.");
    page.eval("window.same = true");
    let (long, short) = (home.long(0), "echo fine; exit 3");
    let running = task(&node, "steady", &long);
    let row = "document.querySelector('[data-table=overview] tbody')?.innerText || ''";
    page.until(&format!("({row}).includes('steady') && ({row}).includes('running')"));
    task(&node, "brief", short).end().ended(3);
    page.until("[...document.querySelectorAll('[data-tasks] .figure')].some((f) => f.innerText.match(/^1\\s*failed$/))");
    page.shot("overview");
    page.press("Agents");
    page.shows("127.0.0.1:");
    page.press("Frameworks");
    page.shows("mesos-execute");
    page.press("Offers");
    page.press("Roles");
    page.until("document.querySelector('[data-table=roles]')");
    page.press("Tasks");
    page.click(".choice button:nth-child(2)");
    page.until("document.querySelector('[data-table=tasks]').innerText.includes('Command exited with status 3')");
    page.fill("[data-filter]", "nothing like it");
    page.shows("Nothing matches the filter.");
    page.press("Show all");
    page.until("document.querySelector('[data-table=tasks]').innerText.includes('steady')");
    assert_eq!(page.eval("window.same"), true, "nothing was loaded as a new document");
    running.signal(libc::SIGINT);
    page.finish();
}

#[test]
fn a_log_is_followed_and_a_task_killed() {
    let home = Home::new();
    let node = home.up().with_agent();
    let command = "echo \"to stderr\" >&2; n=0; while :; do n=$((n+1)); \
                   printf 'line %s \\033[31mred\\033[0m <b>é</b>\\n' $n; sleep 0.1; done";
    let running = task(&node, "talks", command);
    let Some(page) = Page::open("log", &node.master, "/#/tasks") else { return };
    page.click("[data-row] a.small");
    let lines = "document.querySelectorAll('.log-line').length";
    page.until(&format!("{lines} > 3"));
    let first = page.eval(lines).as_u64().unwrap();
    page.until(&format!("{lines} > {}", first + 3));
    page.until("document.querySelector('.log-line').textContent === 'line 1 red <b>é</b>'");
    page.until("document.querySelector('.log-line .ansi-red').textContent === 'red'");
    page.fill(".log-bar input", "line 2 ");
    page.until("[...document.querySelectorAll('.log-line')].filter((l) => !l.hidden).length === 1");
    page.shot("log");
    page.press("stderr");
    page.shows("to stderr");
    page.press("Files");
    page.until("document.querySelector('[data-table=files]').innerText.includes('stdout')");
    page.press("Kill");
    page.shows("gets TERM, then KILL");
    page.keys(&["Escape"]);
    page.until("!document.querySelector('dialog')");
    page.press("Kill");
    page.until("document.querySelector('dialog[open]')");
    page.click("dialog .danger");
    page.until("document.querySelector('h1 .state').innerText.includes('killed')");
    page.shows("How it came to this");
    running.end();
    page.finish();
}

#[test]
fn it_is_used_by_keyboard_in_the_dark_and_on_a_narrow_screen() {
    let home = Home::new();
    let node = home.up().with_agent();
    let running = task(&node, "a-task-with-quite-a-long-name-that-has-no-room", &home.long(0));
    let Some(page) = Page::open("keyboard", &node.master, "/") else { return };
    let back = "getComputedStyle(document.documentElement).backgroundColor";
    page.scheme("light");
    let light = page.eval(back);
    page.scheme("dark");
    page.until(&format!("{back} !== {light}"));
    page.shot("dark");
    page.keys(&["?"]);
    page.shows("Keyboard");
    page.shows("Go to tasks");
    page.keys(&["Escape"]);
    page.until("!document.querySelector('dialog')");
    page.keys(&["g", "t"]);
    page.until("location.hash === '#/tasks'");
    page.until("document.querySelector('[data-filter]')");
    page.keys(&["/"]);
    page.until("document.activeElement.matches('[data-filter]')");
    page.keys(&["a", "-", "t"]);
    page.until("location.hash.includes('q=a-t')");
    page.keys(&["Escape"]);
    page.until("!location.hash.includes('q=')");
    page.until("document.querySelector('[data-row] a')");
    page.size(360, 740);
    page.fits();
    page.shot("narrow-tasks");
    page.click("[data-row] a");
    page.until("document.querySelector('.log-box')");
    page.fits();
    page.shot("narrow-task");
    for view in ["overview", "agents", "frameworks", "roles", "offers"] {
        page.eval(&format!("location.hash = '#/{view}'"));
        page.until("document.querySelector('main h1')");
        page.until("!document.querySelector('.loading')");
        page.fits();
    }
    page.shot("narrow");
    running.signal(libc::SIGINT);
    page.finish();
}

#[test]
fn a_master_that_is_gone_for_a_while_is_found_again() {
    let home = Home::new();
    let node = home.up().with_agent();
    let master = node.master.clone();
    let Some(page) = Page::open("gone", &master, "/") else { return };
    page.until("document.querySelector('[data-connection=live]')");
    node.kill9();
    page.until("document.querySelector('[data-connection=reconnecting]')");
    page.shows("Reconnecting");
    page.shot("reconnecting");
    let node = home.up().with_agent();
    assert_eq!(node.master, master);
    page.until("document.querySelector('[data-connection=live]')");
    page.until("document.querySelector('.figure.good .figure-value').innerText === '1'");
    page.finish_but(&["ERR_CONNECTION", "ERR_INCOMPLETE_CHUNKED", "503"]);
}

#[test]
fn pages_are_public_and_what_they_show_is_not() {
    let home = Home::new();
    let credentials = home.beside("credentials.json");
    let one = r#"{"credentials": [{"principal": "ops", "secret": "secret"}]}"#;
    std::fs::write(&credentials, one).unwrap();
    let flag = format!("--credentials={}", credentials.display());
    let node = home.up_with(&["--authenticate-http-readonly", &flag]);
    let status = |path: &str| request(&node.master, &format!("GET {path}"), "").unwrap().0;
    assert_eq!((status("/"), status("/mesolith/v1/console")), (200, 200));
    let html = request(&node.master, "GET /", "").unwrap().1;
    let script = html.split("src=\".").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(status(&script), 200);
    for path in ["/state", "/mesolith/v1/events", "/mesolith/v1/tasks"] {
        until("the master leads", || status(path) != 503);
        assert_eq!(status(path), 401, "{path}");
    }
    let Some(page) = Page::open("login", &node.master, "/#/agents") else { return };
    page.shows("You are not logged in");
    page.finish_but(&["401"]);
}

#[test]
fn the_agents_port_points_to_the_masters_page() {
    let home = Home::new();
    let node = home.up().with_agent();
    let said = node.talk.stderr();
    let line = said.lines().find(|l| l.trim_start().starts_with("agent ")).unwrap();
    let agent = line.split_once("http://").unwrap().1;
    let Some(page) = Page::open("agent", agent, "/") else { return };
    page.shows("Open it on the master's page");
    let link = page.eval("document.querySelector('a.primary').href");
    assert!(link.as_str().unwrap().starts_with(&format!("http://{}/#/agents/", node.master)));
    page.shot("agent");
    page.finish();
}
