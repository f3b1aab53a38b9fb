//! Marathon's pages against a server that answers in its shapes.

use super::fake_marathon::Fake;
use super::page::Page;
use serde_json::json;

fn asked(fake: &Fake) -> Vec<String> {
    fake.world.lock().unwrap().asked.clone()
}

#[test]
fn an_app_is_created_by_the_form_and_what_json_adds_is_kept() {
    let fake = Fake::start();
    let Some(page) = Page::open("create", &fake.address, "/ui/") else { return };
    page.until("document.querySelector('[data-connection=live]')");
    page.shows("No Applications Created");
    page.keys(&["c"]);
    page.shows("New Application");
    page.press("Create Application");
    page.shows("ID must not be empty");
    page.shows("A command, arguments or a container is needed");
    page.fill("[name=id]", "Bad Id");
    page.shows("ID must not contain whitespace");
    page.fill("[name=id]", "/shop/web");
    page.fill("[name=cmd]", "sleep 100");
    page.fill("[name=instances]", "2");
    page.shot("form");
    page.click("[data-swap]");
    page.until("JSON.parse(document.querySelector('[data-json]').value).instances === 2");
    page.eval(
        "(() => { const box = document.querySelector('[data-json]'); const app = JSON.parse(box.value); \
         app.taskKillGracePeriodSeconds = 7; app.unheardOf = {a: [1]}; box.value = JSON.stringify(app); \
         box.dispatchEvent(new Event('input', {bubbles: true})); })()",
    );
    page.click("[data-swap]");
    page.fill("[name=cmd]", "refuse me");
    page.press("Create Application");
    page.shows("is refused by the test");
    page.fill("[name=cmd]", "sleep 200");
    page.press("Create Application");
    page.until("location.hash === '#/apps/%2Fshop%2Fweb'");
    page.shows("2 of 2 run");
    page.shows("A deployment of this app is running");
    let sent = asked(&fake).pop().unwrap();
    assert!(sent.contains("\"unheardOf\":{\"a\":[1]}") && sent.contains("sleep 200"), "{sent}");
    page.click(".views a[href='#/deployments']");
    page.shows("/shop/web");
    page.shot("deployments");
    fake.world.lock().unwrap().settle();
    page.shows("No Deployments");
    page.press("Applications");
    page.until("document.querySelector('[data-row=\"/shop\"]').innerText.includes('2 of 2')");
    page.finish_but(&["422"]);
}

#[test]
fn an_app_is_scaled_restarted_killed_and_destroyed() {
    let fake = Fake::start();
    fake.world
        .lock()
        .unwrap()
        .set("/api", json!({"cmd": "sleep 9", "instances": 3, "labels": {"tier": "web"}}));
    let Some(page) = Page::open("change", &fake.address, "/ui/#/apps") else { return };
    page.until("document.querySelector('[data-row=\"/api\"]').innerText.includes('3 of 3')");
    page.click("[data-row=\"/api\"] .menu button");
    page.press("Scale");
    page.shows("Scale Application");
    page.fill("dialog input", "5");
    page.click("dialog .primary");
    page.until("document.querySelector('[data-row=\"/api\"]').innerText.includes('5 of 5')");
    page.until("document.querySelector('[data-row=\"/api\"]').innerText.includes('deploying')");
    // Locked: only by force.
    page.click("[data-row=\"/api\"] .menu button");
    page.press("Restart");
    page.until("document.querySelector('dialog[open]')?.innerText.includes('are replaced')");
    page.click("dialog .primary");
    page.press("Stop Current Deployment and Restart");
    page.shows("/api is being restarted.");
    assert!(
        asked(&fake).pop().unwrap().starts_with("restart /api")
            && asked(&fake).pop().unwrap().contains("force=true")
    );
    fake.world.lock().unwrap().settle();
    page.click("[data-row=\"/api\"] .main-cell a");
    page.until("document.querySelectorAll('[data-table=instances] tbody tr').length === 5");
    page.until("document.querySelector('[data-table=instances] a').href.includes(':5050/#/tasks/f-0001/api.instance-')");
    page.shot("app");
    page.click("[data-table=instances] tbody input");
    page.press("Kill");
    page.until("document.querySelector('dialog[open]')");
    page.click("dialog .danger");
    page.until("document.querySelectorAll('[data-table=instances] tbody tr').length === 4");
    assert_eq!(asked(&fake).pop().unwrap(), "kill scale=false 1");
    page.click(".page-head .menu button");
    page.press("Destroy");
    page.until("document.querySelector('dialog[open] .danger').disabled");
    page.fill("dialog input", "/api");
    page.click("dialog .danger");
    page.until("location.hash === '#/apps'");
    page.shows("No Applications Created");
    // The page of the app may look once more before it is left.
    page.finish_but(&["409", "/v2/apps/api?embed"]);
}

#[test]
fn versions_are_compared_and_an_older_one_is_applied() {
    let fake = Fake::start();
    {
        let mut world = fake.world.lock().unwrap();
        world.set("/api", json!({"cmd": "sleep 1", "mem": 64}));
        world.set("/api", json!({"cmd": "sleep 2", "mem": 64}));
    }
    let Some(page) = Page::open("versions", &fake.address, "/ui/#/apps/%2Fapi/configuration")
    else {
        return;
    };
    page.until("document.querySelectorAll('[data-versions] option').length === 2");
    page.eval(
        "(() => { const s = document.querySelector('[data-versions]'); s.selectedIndex = 1; \
         s.dispatchEvent(new Event('change', {bubbles: true})); })()",
    );
    page.until("document.querySelector('.diff .add').innerText.includes('sleep 1')");
    page.until("document.querySelector('.diff .del').innerText.includes('sleep 2')");
    page.until("!document.querySelector('.diff').innerText.includes('versionInfo')");
    page.shot("diff");
    page.press("Apply these settings");
    page.until("document.querySelector('dialog[open]')");
    page.click("dialog .primary");
    page.until("document.querySelector('.source').innerText.includes('sleep 1')");
    page.finish();
}

#[test]
fn an_app_that_waits_says_why() {
    let fake = Fake::start();
    {
        let mut world = fake.world.lock().unwrap();
        let app = world.set("/huge", json!({"cmd": "x", "cpus": 99, "instances": 1}));
        world.tasks.clear();
        let reject = json!([
            {"reason": "UnfulfilledRole", "declined": 0, "processed": 4},
            {"reason": "UnfulfilledConstraint", "declined": 1, "processed": 4},
            {"reason": "InsufficientCpus", "declined": 3, "processed": 3},
            {"reason": "InsufficientMemory", "declined": 0, "processed": 0},
        ]);
        world.queue.push(json!({
            "count": 1, "role": "*", "delay": {"timeLeftSeconds": 0, "overdue": true}, "since": "2026-01-31T10:00:00.000Z",
            "processedOffersSummary": {"processedOffersCount": 24, "unusedOffersCount": 24,
                "lastUnusedOfferAt": "2026-01-31T10:00:00.000Z", "rejectSummaryLastOffers": reject, "rejectSummaryLaunchAttempt": reject},
            "app": app,
        }));
    }
    let Some(page) = Page::open("why", &fake.address, "/ui/") else { return };
    page.until("document.querySelector('[data-row=\"/huge\"]').innerText.includes('waiting')");
    page.click("[data-row=\"/huge\"] .main-cell a");
    page.shows("No offer fits it.");
    page.press("See why");
    page.until("document.querySelector('[data-reason=InsufficientCpus]').innerText.includes('3 of 3 refused')");
    page.until("!document.querySelector('[data-reason=InsufficientMemory]')");
    page.shot("why");
    page.finish();
}

#[test]
fn groups_are_folders_and_a_filter_looks_into_all_of_them() {
    let fake = Fake::start();
    {
        let mut world = fake.world.lock().unwrap();
        for n in 0..30 {
            world
                .set(&format!("/prod/tier-{}/app-{n}", n % 3), json!({"cmd": "x", "instances": 2}));
        }
        world.set("/single", json!({"cmd": "x", "instances": 0}));
    }
    let Some(page) = Page::open("groups", &fake.address, "/ui/") else { return };
    page.until("document.querySelectorAll('[data-table=apps] tbody tr').length === 2");
    page.until("document.querySelector('[data-row=\"/prod\"]').innerText.includes('60 of 60')");
    page.until("document.querySelector('[data-row=\"/single\"]').innerText.includes('suspended')");
    page.shot("groups");
    page.click("[data-row=\"/prod\"] .main-cell a");
    page.until("document.querySelectorAll('[data-table=apps] tbody tr').length === 3");
    page.fill("[data-filter]", "app-2");
    page.until("document.querySelectorAll('[data-table=apps] tbody tr').length === 11");
    page.size(360, 740);
    page.fits();
    page.shot("narrow");
    page.go("/ui/#/apps?modal=new-app");
    page.shows("New Application");
    page.fits();
    page.finish();
}

#[test]
fn on_a_node_that_does_not_lead_pages_work_and_say_who_does() {
    let fake = Fake::start();
    fake.world.lock().unwrap().set("/api", json!({"cmd": "sleep 9", "instances": 1}));
    fake.world.lock().unwrap().leader = Some("node-b");
    let Some(page) = Page::open("standby", &fake.address, "/ui/#/apps") else { return };
    page.until("document.querySelector('[data-connection=live]')");
    page.until("document.querySelector('[data-row=\"/api\"]').innerText.includes('1 of 1')");
    page.shows("led by node-b");
    page.fits();
    page.size(360, 800);
    page.fits();
    page.shot("standby");
    page.size(1280, 800);
    // It leads itself now: what it answers says nothing of another.
    {
        let mut world = fake.world.lock().unwrap();
        world.leader = None;
        world.tell("deployment_info", json!({}));
    }
    page.until("!document.querySelector('.leader')");
    page.finish();
}
