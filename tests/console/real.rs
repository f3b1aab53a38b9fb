//! Marathon's and Chronos's pages against the real binary, and the way from an instance to what it wrote.

use super::page::Page;
use super::world::{Home, Node, mesolith};
use std::net::TcpListener;

/// A node with one of the services, and where that is.
fn with(home: &Home, service: &str) -> (Node, String) {
    let ports = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [master, agent, port] = ports.map(|p| p.local_addr().unwrap().port());
    let roles = format!("--roles=master,agent,{service}");
    let mut command = mesolith(&["up", &home.data_dir(), &roles]);
    command.arg(format!("--master-port={master}")).arg(format!("--agent-port={agent}"));
    command.arg(format!("--{service}-port={port}"));
    if !super::world::isolates() {
        command.arg("--launcher=posix");
    }
    (Node::start(&mut command).with_agent(), format!("127.0.0.1:{port}"))
}

fn with_marathon(home: &Home) -> (Node, String) {
    with(home, "marathon")
}

#[test]
fn an_app_goes_from_the_form_to_its_log() {
    let home = Home::new();
    let (node, marathon) = with_marathon(&home);
    let Some(page) = Page::open("real-app", &marathon, "/ui/") else { return };
    page.until("document.querySelector('[data-connection=live]')");
    page.press("Create Application");
    page.fill("[name=id]", "hello");
    page.fill("[name=mem]", "32");
    page.fill("[name=cmd]", "while :; do echo hello from $MARATHON_APP_ID; sleep 0.2; done");
    page.press("Create Application");
    page.until("location.hash === '#/apps/%2Fhello'");
    page.shows("1 of 1 run");
    page.until(
        "document.querySelector('[data-table=instances] tbody').innerText.includes('running')",
    );
    // Until its deployment is over it can be scaled by force only.
    page.until("!document.body.innerText.includes('A deployment of this app is running')");
    page.press("Scale Application");
    page.fill("dialog input", "2");
    page.click("dialog .primary");
    page.shows("2 of 2 run");
    page.until("!document.body.innerText.includes('A deployment of this app is running')");
    page.shot("app");
    let link = page.eval("document.querySelector('[data-table=instances] tbody a').href");
    let view = link.as_str().unwrap().strip_prefix(&format!("http://{}", node.master));
    let task = Page::open("real-log", &node.master, view.expect("a view of the master")).unwrap();
    task.until("document.querySelector('.log-line')?.innerText === 'hello from /hello'");
    task.shot("log");
    task.finish();
    // An older version, with one instance, comes back.
    page.press("Edit");
    page.fill("[name=cmd]", "exec sleep 1000");
    page.press("Change and deploy configuration");
    page.until("location.hash === '#/apps/%2Fhello'");
    page.until("document.querySelectorAll('[data-table=instances] tbody tr').length === 2");
    page.press("Configuration");
    page.until("document.querySelectorAll('[data-versions] option').length >= 2");
    page.until("document.querySelector('.source').innerText.includes('sleep 1000')");
    page.finish_but(&["404", "409"]);
}

#[test]
fn an_app_too_large_for_the_cluster_names_the_rule() {
    let home = Home::new();
    let (_node, marathon) = with_marathon(&home);
    let Some(page) = Page::open("real-why", &marathon, "/ui/#/new") else { return };
    page.fill("[name=id]", "huge");
    page.fill("[name=cpus]", "999");
    page.fill("[name=cmd]", "true");
    page.press("Create Application");
    page.until("location.hash === '#/apps/%2Fhuge'");
    page.shows("See why");
    page.press("See why");
    page.until(
        "document.querySelector('[data-reason=InsufficientCpus]')?.innerText.includes('refused')",
    );
    page.until(
        "document.querySelector('[data-miss=InsufficientCpus]')?.innerText.includes('the nearest offer had')",
    );
    page.shot("why");
    page.finish();
}

#[test]
fn a_job_goes_from_the_form_over_its_runs_to_the_log() {
    let home = Home::new();
    let (node, chronos) = with(&home, "chronos");
    let Some(page) = Page::open("real-job", &chronos, "/") else { return };
    page.until("document.querySelector('[data-connection=live]')");
    page.press("New Job");
    page.fill("[name=name]", "tick");
    page.fill("[name=command]", "echo tick at $(date +%s)");
    page.fill("[name='schedule.start']", "2099-01-01T00:00:00Z");
    page.fill("[name='schedule.period']", "PT1H");
    page.press("Create Job");
    page.until("location.hash === '#/jobs/tick'");
    page.shows("It has not run yet.");
    // Not before its time, but now.
    page.press("Run now");
    page.until("document.querySelector('dialog[open]')?.innerText.includes('want to run')");
    page.click("dialog .primary");
    page.until(
        "document.querySelector('[data-table=runs] tbody tr')?.innerText.includes('success')",
    );
    page.shot("job");
    let link = page.eval("document.querySelector('[data-table=runs] tbody a').href");
    let view = link.as_str().unwrap().strip_prefix(&format!("http://{}", node.master));
    let tasks = Page::open("real-run", &node.master, view.expect("a view of the master")).unwrap();
    tasks.until("document.body.innerText.includes('tick')");
    tasks.finish();
    // One that follows, and a schedule that has begun: every planned time since has a row.
    page.eval("location.hash = '#/new'");
    page.fill("[name=name]", "often");
    page.fill("[name=command]", "true");
    page.fill("[name='schedule.start']", "2020-01-01T00:00:00Z");
    page.fill("[name='schedule.period']", "PT1S");
    page.press("Create Job");
    page.until("location.hash === '#/jobs/often'");
    page.until("document.querySelectorAll('[data-table=runs] tbody tr').length >= 3");
    page.press("Disable");
    page.shows("often is disabled.");
    page.eval("location.hash = '#/jobs'");
    page.until("document.querySelector('[data-row=often]').innerText.includes('disabled')");
    page.until("document.querySelector('[data-row=tick]').innerText.includes('success')");
    page.shot("jobs");
    page.finish();
}
