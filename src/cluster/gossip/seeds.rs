//! Where to begin: addresses as the operator wrote them, resolved aside so that a slow name server holds up nobody.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;

/// How many seeds are used.
pub const SEEDS_MAX: usize = 64;
/// How long a name may take to be resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often names are resolved again: they may come to mean other nodes.
const REFRESH: Duration = Duration::from_secs(15);

/// The addresses of the seeds, from now on; the task that resolves them ends with their sender.
pub(super) fn resolve(seeds: watch::Receiver<Vec<String>>) -> watch::Receiver<Vec<SocketAddr>> {
    let (found, addresses) = watch::channel(literal(&seeds.borrow()));
    tokio::spawn(keep(seeds, found));
    addresses
}

/// Those that need no resolving.
fn literal(seeds: &[String]) -> Vec<SocketAddr> {
    seeds.iter().take(SEEDS_MAX).filter_map(|seed| seed.parse().ok()).collect()
}

async fn keep(mut seeds: watch::Receiver<Vec<String>>, found: watch::Sender<Vec<SocketAddr>>) {
    let mut failing = BTreeSet::new();
    loop {
        let now = seeds.borrow_and_update().clone();
        let mut addresses = literal(&now);
        let mut names: Vec<String> = now.into_iter().take(SEEDS_MAX).collect();
        names.retain(|seed| seed.parse::<SocketAddr>().is_err());
        publish(&found, &addresses);
        let looked_up = futures_util::future::join_all(names.iter().map(|name| look_up(name)));
        for (name, result) in names.iter().zip(looked_up.await) {
            match result {
                Ok(more) => {
                    failing.remove(name);
                    addresses.extend(more);
                }
                // Said once; it is tried again and again.
                Err(why) if failing.insert(name.clone()) => {
                    tracing::warn!("gossip cannot begin with {name}: {why}");
                }
                Err(_) => {}
            }
        }
        failing.retain(|name| names.contains(name));
        publish(&found, &addresses);
        let named = !names.is_empty();
        tokio::select! {
            changed = seeds.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(REFRESH), if named => {}
        }
    }
}

fn publish(found: &watch::Sender<Vec<SocketAddr>>, addresses: &[SocketAddr]) {
    found.send_if_modified(|now| {
        let other = now != addresses;
        *now = addresses.to_vec();
        other
    });
}

async fn look_up(name: &str) -> Result<Vec<SocketAddr>, String> {
    match tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host(name)).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("not resolved within {} s", RESOLVE_TIMEOUT.as_secs())),
    }
}
