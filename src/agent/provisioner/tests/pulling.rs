//! Images from registries: once for all who want them, taken up where it broke off, with logins.

use super::fake::{Registry, Way};
use super::making::{file, gzip, layer, zstd};
use super::*;
use base64::Engine as _;
use serde_json::json;

// covers: MES-0887, MES-0891
#[tokio::test]
async fn an_image_is_pulled_once_and_then_is_here() {
    if !is_root("an_image_is_pulled_once_and_then_is_here") {
        return;
    }
    let registry = Registry::start().await;
    let config = json!({"Entrypoint": ["/run"], "Env": ["A=1"], "WorkingDir": "/srv"});
    let layers = vec![layer(&[file("one", "1")]), layer(&[file("two", "2")])];
    let made = Made::with(layers, zstd, config);
    let digest = registry.push("team/app", "v1", &made);
    let world = World::new(registry.home());
    let first = world.provision("c1", "team/app:v1").await.expect("pulled");
    let all = seen(root_of(&first));
    assert_eq!((all["one"].as_str(), all["two"].as_str()), ("1", "2"));
    let image = &first.image.as_ref().expect("an image").0;
    assert_eq!(image.runtime.entrypoint, ["/run"]);
    assert_eq!(image.digest, digest);
    let before = registry.asked("");
    world.provision("c2", "team/app:v1").await.expect("here");
    assert_eq!(registry.asked(""), before, "nobody is asked for what is here");
    let named = format!("{}/team/app@{digest}", registry.address);
    world.provision("c3", &named).await.expect("pulled by digest");
    assert_eq!(registry.asked("blobs"), 4, "layers that are here are not fetched: {before}");
}

// covers: MES-0897
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_want_an_image_at_the_same_time_share_one_pull() {
    let registry = Registry::start().await;
    registry.push("app", "latest", &Made::simple("x"));
    let world = World::new(registry.home());
    let told = Mutex::new(Vec::new());
    let provision = |n: usize| {
        let (world, told) = (&world, &told);
        async move {
            let container = ContainerId::from(format!("c{n}"));
            let tell = |words: String| lock(told).push(words);
            let wanted = wanted("app");
            world.provisioner.provision(&container, Some(&wanted), &[], &tell).await
        }
    };
    let all = futures_util::future::join_all((0..20).map(provision)).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(registry.asked("manifests"), 1);
    assert_eq!(registry.asked("blobs"), 2);
    let told = lock(&told);
    let first = told.first().expect("something is told");
    assert!(first.starts_with("Pulling the image app from 127.0.0.1:"), "{first}");
}

// covers: MES-0889
#[tokio::test]
async fn who_wants_no_cache_asks_again_and_gets_what_is_new() {
    if !is_root("who_wants_no_cache_asks_again_and_gets_what_is_new") {
        return;
    }
    let registry = Registry::start().await;
    registry.push("app", "latest", &Made::simple("old"));
    let world = World::new(registry.home());
    world.provision("c1", "app").await.expect("pulled");
    registry.push("app", "latest", &Made::simple("new"));
    let name = |p: &Provisioned| seen(root_of(p))["etc/name"].clone();
    let cached = world.provision("c2", "app").await.expect("here");
    assert_eq!(name(&cached), "old");
    let fresh = Wanted { cached: false, ..wanted("app") };
    let forced = world.want("c3", &fresh).await.expect("pulled");
    assert_eq!(name(&forced), "new");
    assert_eq!(name(&world.provision("c4", "app").await.expect("here")), "new");
    let before = registry.asked("blobs");
    world.want("c5", &fresh).await.expect("pulled");
    assert_eq!(registry.asked("blobs"), before + 1, "only the configuration");
}

// covers: MES-0898
#[tokio::test]
async fn a_layer_that_was_lost_is_pulled_again() {
    let registry = Registry::start().await;
    registry.push("app", "latest", &Made::simple("x"));
    let world = World::new(registry.home());
    world.provision("c1", "app").await.expect("pulled");
    world.release("c1").await;
    let layers = world.options.store_dir.join("layers");
    let lost = std::fs::read_dir(&layers).expect("readable").flatten().next().expect("one");
    std::fs::remove_dir_all(lost.path().join("fs")).expect("removed");
    world.provision("c2", "app").await.expect("pulled again");
    assert_eq!(registry.asked("manifests"), 2);
    assert_eq!(world.layers(), 1);
}

#[tokio::test]
async fn the_image_of_this_machine_is_taken_from_an_index() {
    let registry = Registry::start().await;
    let (ours, theirs) = (Made::simple("ours"), Made::simple("theirs"));
    let entry = |made: &Made, os: &str, architecture: &str| {
        let digest = registry.push("app", "one", made);
        let platform = json!({"os": os, "architecture": architecture});
        json!({"digest": digest, "size": made.manifest().len(), "platform": platform})
    };
    let own = manifest::Platform::own();
    let all = [
        entry(&theirs, "linux", "mips"),
        entry(&ours, "linux", &own.architecture),
        entry(&theirs, "windows", &own.architecture),
    ];
    let index = json!({"schemaVersion": 2, "manifests": all}).to_string();
    registry.put("/v2/app/manifests/all", index.as_bytes());
    let world = World::new(registry.home());
    let provisioned = world.provision("c1", "app:all").await.expect("pulled");
    let digest = &provisioned.image.as_ref().expect("an image").0.digest;
    assert_eq!(*digest, Digest::of(&ours.manifest()));
    let none = json!({"schemaVersion": 2, "manifests": [all[0]]}).to_string();
    registry.put("/v2/app/manifests/none", none.as_bytes());
    let why = world.provision("c2", "app:none").await.expect_err("not for us");
    assert!(why.contains("only for linux/mips"), "{why}");
}

/// A layer that does not pack, so that it can break anywhere.
fn long() -> Made {
    let mut text = String::new();
    for n in 0..40_000u64 {
        text.push_str(&format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    }
    Made::new(vec![layer(&[file("long", &text)])], |l| l.to_vec())
}

#[tokio::test]
async fn what_breaks_off_goes_on_where_it_was() {
    let registry = Registry::start().await;
    let made = long();
    registry.push("app", "latest", &made);
    let size = made.layers[0].1.len();
    let path = format!("/v2/app/blobs/{}", Digest::of(&made.layers[0].1));
    registry.then(&path, &[Way::Break(100_000), Way::Break(50_000)]);
    let world = World::new(registry.home());
    world.provision("c1", "app").await.expect("pulled");
    let ranges: Vec<u64> = registry
        .ranges(&path)
        .iter()
        .map(|r| r.as_ref().map_or(0, |r| r[6..r.len() - 1].parse().expect("a number")))
        .collect();
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    assert!(ranges[0] == 0 && ranges[1] > 0 && ranges[2] > ranges[1], "{ranges:?} of {size}");
    // A server that knows no ranges gives all of it once more.
    registry.then(&path, &[Way::Break(100_000), Way::NoRange]);
    let world = World::new(registry.home());
    world.provision("c1", "app").await.expect("pulled");
}

#[tokio::test]
async fn what_an_earlier_agent_began_is_taken_up() {
    let registry = Registry::start().await;
    let made = long();
    registry.push("app", "latest", &made);
    let blob = made.layers[0].1.clone();
    let path = format!("/v2/app/blobs/{}", Digest::of(&blob));
    let world = World::new(registry.home());
    let partial = world.options.store_dir.join("partial").join(Digest::of(&blob).hex());
    std::fs::write(&partial, &blob[..70_000]).expect("written");
    let world = world.restart(&[]);
    world.provision("c1", "app").await.expect("pulled");
    assert_eq!(registry.ranges(&path), [Some("bytes=70000-".into())]);
    assert!(!partial.exists());
    // Spoilt, it is fetched anew.
    let world = World::new(registry.home());
    let partial = world.options.store_dir.join("partial").join(Digest::of(&blob).hex());
    std::fs::write(&partial, vec![1; 70_000]).expect("written");
    world.provision("c1", "app").await.expect("pulled");
    assert_eq!(registry.ranges(&path)[1..], [Some("bytes=70000-".into()), None]);
}

fn basic(login: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login))
}

#[tokio::test]
async fn logins_are_shown_where_they_are_wanted() {
    let registry = Registry::start().await;
    registry.push("app", "latest", &Made::simple("x"));
    registry.guard(&basic("u:p"), "Basic realm=\"r\"");
    let world = World::new(registry.home());
    let why = world.provision("c1", "app").await.expect_err("no login");
    assert!(why.contains("401 Unauthorized"), "{why}");
    let auths = json!({"auths": {&registry.address: {"username": "u", "password": "p"}}});
    let credentials = Credentials::read(auths.to_string().as_bytes()).expect("good");
    let world = World::with(registry.home(), |o| o.credentials = credentials);
    world.provision("c1", "app").await.expect("pulled");
    // By a token: the password goes to its authority, the token to the registry.
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"s\"", registry.address);
    registry.guard("Bearer t0", &realm);
    let own = Wanted { credentials: Some(Credentials::password("u", "p")), ..wanted("app") };
    let world = World::new(registry.home());
    world.want("c1", &own).await.expect("pulled");
    assert_eq!(registry.authorizations("/token"), [Some(basic("u:p"))]);
    assert_eq!(registry.asked("scope=repository%3Aapp%3Apull&service=s"), 1);
    assert_eq!(registry.asked("u:p"), 0);
}

#[tokio::test]
async fn an_image_of_ones_own_login_is_not_given_to_others() {
    let registry = Registry::start().await;
    registry.push("app", "latest", &Made::simple("x"));
    registry.guard(&basic("u:p"), "Basic realm=\"r\"");
    let world = World::new(registry.home());
    let with = |password: &str| Wanted {
        credentials: Some(Credentials::password("u", password)),
        ..wanted("app")
    };
    world.want("c1", &with("p")).await.expect("pulled");
    let before = registry.asked("");
    world.want("c2", &with("p")).await.expect("here");
    assert_eq!(registry.asked(""), before);
    assert!(world.provision("c3", "app").await.is_err(), "without a login");
    assert!(world.want("c4", &with("other")).await.is_err(), "with a wrong one");
    let world = world.restart(&[]);
    assert!(world.provision("c5", "app").await.is_err(), "after a restart neither");
    world.want("c6", &with("p")).await.expect("asked again");
    assert_eq!(registry.asked("blobs"), 3, "a configuration and a layer, then a configuration");
}

#[tokio::test]
async fn a_pull_that_nobody_waits_for_ends() {
    let registry = Registry::start().await;
    let made = Made::simple("x");
    registry.push("app", "latest", &made);
    let path = format!("/v2/app/blobs/{}", Digest::of(&made.layers[0].1));
    registry.then(&path, &[Way::Stall]);
    let world = World::new(registry.home());
    let waiting = async {
        while registry.asked(&path) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = world.provision("c1", "app") => panic!("it stalls"),
        () = waiting => {}
    }
    world.release("c1").await;
    // The turn, the blob's lock, and the name are free again.
    world.provision("c1", "app").await.expect("pulled");
    assert_eq!(registry.asked("manifests"), 2);
}

// covers: MES-0892
#[tokio::test]
async fn what_an_image_wishes_can_be_passed_over() {
    let registry = Registry::start().await;
    let config = json!({"Cmd": ["/run"]});
    let made = Made::with(vec![layer(&[file("one", "1")])], gzip, config);
    registry.push("app", "latest", &made);
    let world = World::with(registry.home(), |o| o.ignore_runtime = true);
    let provisioned = world.provision("c1", "app").await.expect("pulled");
    assert_eq!(provisioned.image.expect("an image").0.runtime, Default::default());
}
