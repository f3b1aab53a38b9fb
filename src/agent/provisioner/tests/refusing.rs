//! Registries that answer badly: each time one clear sentence, and nothing is kept.

use super::fake::{Registry, Way};
use super::making::{dir, gzip, layer};
use super::*;

const MANIFEST: &str = "/v2/app/manifests/latest";

/// What is told when this path is answered in that way.
async fn told(path: impl Fn(&Made) -> String, ways: &[Way]) -> String {
    let registry = Registry::start().await;
    let made = Made::simple("x");
    registry.push("app", "latest", &made);
    registry.then(&path(&made), ways);
    let world = World::new(registry.home());
    let why = world.provision("c1", "app").await.expect_err("a bad answer");
    let from = format!("cannot pull the image app from {}: ", registry.address);
    assert!(why.starts_with(&from), "{why}");
    assert_eq!(world.layers(), 0);
    // It is none of the image's fault: the next one gets it.
    world.provision("c2", "app").await.expect("a good answer");
    why
}

fn blob(made: &Made) -> String {
    format!("/v2/app/blobs/{}", Digest::of(&made.layers[0].1))
}

fn config(made: &Made) -> String {
    format!("/v2/app/blobs/{}", Digest::of(&made.config))
}

#[tokio::test]
async fn a_missing_image_is_told_with_the_status() {
    let registry = Registry::start().await;
    let world = World::new(registry.home());
    let why = world.provision("c1", "nothing/here:1").await.expect_err("missing");
    assert!(why.contains("nothing/here:1"), "{why}");
    assert!(why.contains("answered 404 Not Found for the manifest: manifest unknown"), "{why}");
}

#[tokio::test]
async fn html_instead_of_a_manifest_is_told() {
    let page = b"<!DOCTYPE html><html>Please sign in</html>".to_vec();
    let why = told(|_| MANIFEST.into(), &[Way::Answer(200, "text/html", page)]).await;
    assert!(why.contains("answered 200 OK text/html: the manifest is a page of HTML"), "{why}");
}

#[tokio::test]
async fn bodies_without_end_are_cut_off() {
    let why = told(|_| MANIFEST.into(), &[Way::Endless]).await;
    assert!(why.contains("the manifest is longer than 4194304 bytes"), "{why}");
    let why = told(config, &[Way::Endless]).await;
    assert!(why.contains("is longer than 8388608 bytes"), "{why}");
    let why = told(blob, &[Way::Endless]).await;
    assert!(why.contains("goes on after its"), "{why}");
}

#[tokio::test]
async fn a_wrong_digest_is_told() {
    let why = told(blob, &[Way::Answer(200, "x/y", vec![7; 3])]).await;
    assert!(why.contains("arrived as sha256:") || why.contains("ends after"), "{why}");
    let why = told(config, &[Way::Answer(200, "x/y", b"{}".to_vec())]).await;
    assert!(why.contains("arrived as sha256:"), "{why}");
    let registry = Registry::start().await;
    let made = Made::simple("x");
    registry.push("app", "latest", &made);
    let mut same_length = made.layers[0].1.clone();
    same_length[20] ^= 1;
    registry.put(&blob(&made), &same_length);
    let world = World::new(registry.home());
    let why = world.provision("c1", "app").await.expect_err("spoilt");
    assert!(
        why.contains(&format!("{} arrived as sha256:", Digest::of(&made.layers[0].1))),
        "{why}"
    );
    let partial = world.options.store_dir.join("partial");
    assert_eq!(std::fs::read_dir(partial).expect("readable").count(), 0);
    let digest = Digest::of(b"another");
    registry.put(&format!("/v2/app/manifests/{digest}"), &made.manifest());
    let why = world.provision("c1", &format!("app@{digest}")).await.expect_err("another");
    assert!(why.contains("the manifest arrived as"), "{why}");
}

#[tokio::test]
async fn silence_is_not_waited_for() {
    let registry = Registry::start().await;
    let made = Made::simple("x");
    registry.push("app", "latest", &made);
    for path in [MANIFEST.to_owned(), blob(&made)] {
        registry.then(&path, &vec![Way::Stall; 8]);
        let world = World::with(registry.home(), |o| o.stall_timeout = Duration::from_millis(300));
        let why = world.provision("c1", "app").await.expect_err("silence");
        assert!(why.contains("nothing came from"), "{why}");
        registry.then(&path, &[]);
    }
    registry.then(MANIFEST, &[Way::Stall]);
    let world = World::with(registry.home(), |o| o.pull_timeout = Duration::from_millis(300));
    let why = world.provision("c1", "app").await.expect_err("too long");
    assert!(why.contains("not done within 300ms"), "{why}");
}

#[tokio::test]
async fn what_fails_for_the_moment_is_tried_again() {
    let registry = Registry::start().await;
    let made = Made::simple("x");
    registry.push("app", "latest", &made);
    let busy = |status| Way::Answer(status, "text/plain", b"busy".to_vec());
    registry.then(MANIFEST, &[busy(503), busy(429)]);
    registry.then(&blob(&made), &[busy(500), Way::Break(1)]);
    let world = World::new(registry.home());
    world.provision("c1", "app").await.expect("pulled in the end");
    let why = told(|_| MANIFEST.into(), &vec![busy(503); 4]).await;
    assert!(why.contains("503 Service Unavailable"), "{why}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_told() {
    // A port that nobody listens on: it was ours a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let world = World::new(Home::Registry(format!("http://{address}")));
    let why = world.provision("c1", "app").await.expect_err("nobody");
    assert!(why.contains(&format!("cannot reach {address}")), "{why}");
}

#[tokio::test]
async fn layers_that_are_not_what_they_say_are_refused() {
    let registry = Registry::start().await;
    let mut made = Made::simple("x");
    made.layers[0].1 = gzip(&layer(&[dir("other")]));
    registry.push("app", "latest", &made);
    let world = World::new(registry.home());
    let why = world.provision("c1", "app").await.expect_err("other");
    assert!(why.contains("in fact"), "{why}");
    made.layers[0].1 = b"this is no layer at all, whatever the manifest says".repeat(40);
    registry.push("app", "latest", &made);
    let why = world.provision("c1", "app").await.expect_err("no layer");
    assert!(why.contains("layer sha256:"), "{why}");
    assert_eq!(world.layers(), 0);
    let staging = world.options.store_dir.join("staging");
    assert_eq!(std::fs::read_dir(staging).expect("readable").count(), 0);
}
