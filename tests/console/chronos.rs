//! Chronos's pages against a server that answers in its shapes.

use super::fake_chronos::Fake;
use super::page::Page;
use serde_json::{Value, json};

fn last(fake: &Fake) -> String {
    fake.world.lock().unwrap().asked.last().cloned().unwrap_or_default()
}

fn seeded() -> Fake {
    let fake = Fake::start();
    {
        let mut world = fake.world.lock().unwrap();
        world.set(json!({"name": "nightly", "command": "backup", "schedule": "R/2099-01-01T02:30:00.000Z/P1D",
            "lastSuccess": "2026-01-30T02:30:05.000Z", "successCount": 4, "unheardOf": {"x": 1}}));
        world.set(
            json!({"name": "tick", "command": "date", "schedule": "R/2020-01-01T00:00:00.000Z/PT5S",
            "lastError": "2026-01-30T02:30:05.000Z", "errorCount": 1}),
        );
        world.set(json!({"name": "report", "command": "report", "parents": ["nightly", "tick"]}));
        world.history = vec![
            json!({"taskId": "ct:1:0:tick:", "jobName": "tick", "slaveId": "S0", "startTime": "01/30/26 02:30:00",
                "endTime": "01/30/26 02:30:01", "duration": "1s", "status": "Success"}),
            json!({"taskId": "ct:2:0:tick:", "jobName": "tick", "slaveId": "S0", "startTime": "01/30/26 02:30:05",
                "endTime": "01/30/26 02:30:06", "duration": "1s", "status": "Fail"}),
        ];
    }
    fake
}

#[test]
fn jobs_are_listed_run_stopped_disabled_and_destroyed() {
    let fake = seeded();
    let Some(page) = Page::open("jobs", &fake.address, "/") else { return };
    page.until("document.querySelector('[data-connection=live]')");
    let row = |name: &str| format!("document.querySelector('[data-row=\"{name}\"]').innerText");
    page.until(&format!("{}.includes('every day at 02:30 UTC')", row("nightly")));
    page.until(&format!("{}.includes('every 5 seconds')", row("tick")));
    page.until(&format!("{}.includes('after nightly, tick')", row("report")));
    page.until(&format!("{}.includes('failure')", row("tick")));
    page.until(&format!("{}.includes('fresh')", row("report")));
    page.shot("jobs");
    page.click("[data-row=tick] button.small");
    page.until("document.querySelector('dialog[open]')?.innerText.includes('Are you sure you want to run')");
    page.click("dialog .primary");
    page.until(&format!("{}.includes('1 running')", row("tick")));
    page.click("[data-row=tick] .main-cell a");
    page.until("document.querySelectorAll('[data-table=runs] tbody tr').length === 2");
    page.until(
        "document.querySelector('[data-table=runs] tbody tr').innerText.includes('failure')",
    );
    page.shot("job");
    page.press("Stop");
    page.until("document.querySelector('dialog[open]')");
    page.click("dialog .danger");
    page.until("document.querySelector('h1').innerText.includes('idle')");
    assert_eq!(last(&fake), "kill tick");
    page.press("Disable");
    page.shows("tick is disabled.");
    let sent = last(&fake);
    assert!(sent.contains("\"disabled\":true") && !sent.contains("errorCount"), "{sent}");
    page.press("Enable");
    page.shows("tick is enabled.");
    page.click(".page-head .menu button");
    page.press("Destroy");
    page.until("document.querySelector('dialog[open]')?.innerText.includes('report')");
    page.click("dialog .danger");
    page.until("location.hash === '#/jobs'");
    page.until("!document.querySelector('[data-row=tick]')");
    page.finish();
}

#[test]
fn a_job_is_created_by_the_form_and_edited_without_loss() {
    let fake = seeded();
    let Some(page) = Page::open("edit", &fake.address, "/#/jobs") else { return };
    page.press("New Job");
    page.press("Create Job");
    page.shows("A name is needed");
    page.fill("[name=name]", "tick");
    page.shows("There is a job of this name");
    page.fill("[name=name]", "hourly");
    page.fill("[name=command]", "refuse me");
    page.fill("[name='schedule.period']", "P1H");
    page.shows("The period is none");
    page.fill("[name='schedule.period']", "PT1H");
    page.fill("[name='schedule.start']", "2099-01-01T00:00:00Z");
    page.until("document.querySelector('[data-next]').innerText.includes('2099-01-01')");
    page.shot("form");
    page.press("Create Job");
    page.shows("The command is refused by the test");
    page.fill("[name=command]", "true");
    page.press("Create Job");
    page.until("location.hash === '#/jobs/hourly'");
    let sent = last(&fake);
    let sent: Value = serde_json::from_str(sent.strip_prefix("upload ").unwrap()).unwrap();
    assert_eq!(sent["schedule"], "R/2099-01-01T00:00:00Z/PT1H");
    // Bookmarks of the original have no slash.
    page.eval("location.hash = '#jobs/nightly'");
    page.until("document.querySelector('h1').innerText.includes('nightly')");
    page.press("Edit");
    page.fill("[name=description]", "every night");
    page.press("Save");
    page.until("location.hash === '#/jobs/nightly'");
    let sent = last(&fake);
    let sent: Value = serde_json::from_str(sent.strip_prefix("upload ").unwrap()).unwrap();
    assert_eq!((&sent["unheardOf"]["x"], &sent["description"]), (&json!(1), &json!("every night")));
    assert_eq!(sent.get("successCount"), None, "counters are the server's");
    page.finish_but(&["400"]);
}

#[test]
fn the_graph_shows_who_follows_whom() {
    let fake = seeded();
    fake.world.lock().unwrap().set(json!({"name": "alone", "command": "x", "schedule": "R//PT1H"}));
    let Some(page) = Page::open("graph", &fake.address, "/#/graph") else { return };
    page.until("document.querySelectorAll('.graph .node').length === 4");
    page.until("document.querySelectorAll('.graph .edge').length === 2");
    let x = |name: &str| {
        format!(
            "Number(document.querySelector('.graph [aria-label^=\"{name}\"] rect').getAttribute('x'))"
        )
    };
    page.until(&format!("{} > {}", x("report"), x("nightly")));
    page.shot("graph");
    page.go("/#/graph?job=report");
    page.until("document.querySelectorAll('.graph .node').length === 3");
    page.size(360, 740);
    page.fits();
    page.eval("location.hash = '#/jobs'");
    page.until("document.querySelector('[data-row=report]')");
    page.fits();
    page.shot("narrow");
    page.finish();
}
