//! Host ports: which numbers of an offer an instance takes. Pure, but for the dice.

use crate::base::resources::Ranges;
use crate::base::rng::Rng;
use crate::marathon::model::{App, NetworkMode};
use std::collections::BTreeSet;

/// The first number for containers whose port was left open, where there is no host port either.
const OPEN_PORT_MIN: u64 = 1025;
/// The last.
const OPEN_PORT_MAX: u64 = 65_535;

/// One port of an app, as it was settled for one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// On the host; none where the container has an address of its own and asked for none.
    pub host: Option<u16>,
    /// Where the task listens: the host port on the host's network.
    pub container: u16,
}

/// What an app wants of the host for each of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Any,
    Exactly(u16),
    None,
}

fn wishes(app: &App) -> Vec<(Wish, Option<u16>)> {
    if app.on_host_network() {
        let wish = |port: u16| match port {
            0 => Wish::Any,
            port if app.require_ports => Wish::Exactly(port),
            _ => Wish::Any,
        };
        return app.port_definitions.iter().map(|d| (wish(d.port), None)).collect();
    }
    let wish = |host: Option<u16>| match host {
        Some(0) => Wish::Any,
        Some(port) => Wish::Exactly(port),
        None if app.networks.iter().any(|n| n.mode == NetworkMode::Bridge) => Wish::Any,
        None => Wish::None,
    };
    app.port_mappings().iter().map(|m| (wish(m.host_port), Some(m.container_port))).collect()
}

/// How many host ports an app wants.
pub(super) fn wanted(app: &App) -> usize {
    wishes(app).iter().filter(|(wish, _)| *wish != Wish::None).count()
}

/// Takes ports out of what an offer has; none when they are not all there.
pub(super) fn choose(app: &App, offered: &Ranges, rng: &mut Rng) -> Option<Vec<Port>> {
    let wishes = wishes(app);
    let mut taken = BTreeSet::new();
    for (wish, _) in &wishes {
        if let Wish::Exactly(port) = wish {
            // The same number twice is one for TCP and one for UDP: it is one resource.
            if !offered.has(u64::from(*port)) {
                return None;
            }
            taken.insert(u64::from(*port));
        }
    }
    let mut ports = Vec::with_capacity(wishes.len());
    for (wish, container) in wishes {
        let host = match wish {
            Wish::None => None,
            Wish::Exactly(port) => Some(port),
            Wish::Any => Some(random(offered, &mut taken, rng)?),
        };
        let container = match (container, host) {
            (None | Some(0), Some(host)) => host,
            (Some(0) | None, None) => open_port(&mut taken, rng),
            (Some(port), _) => port,
        };
        ports.push(Port { host, container });
    }
    Some(ports)
}

/// A number that is not taken, anywhere in the ranges.
fn random(offered: &Ranges, taken: &mut BTreeSet<u64>, rng: &mut Rng) -> Option<u16> {
    let count = offered.count();
    if count == 0 {
        return None;
    }
    let start = rng.below(count);
    let after = nth(offered, start)?;
    // From there upwards, then from the beginning.
    let upwards = offered.iter().flat_map(|(begin, end)| begin.max(after)..=end);
    let below = offered.iter().flat_map(|(begin, end)| begin..=end.min(after));
    let port = upwards.chain(below).find(|port| !taken.contains(port))?;
    taken.insert(port);
    u16::try_from(port).ok()
}

fn nth(ranges: &Ranges, mut n: u64) -> Option<u64> {
    for (begin, end) in ranges.iter() {
        let here = end - begin + 1;
        if n < here {
            return Some(begin + n);
        }
        n -= here;
    }
    None
}

fn open_port(taken: &mut BTreeSet<u64>, rng: &mut Rng) -> u16 {
    let all = OPEN_PORT_MAX - OPEN_PORT_MIN + 1;
    let start = rng.below(all);
    let numbers = (0..all).map(|n| OPEN_PORT_MIN + (start + n) % all);
    let port = numbers.into_iter().find(|port| !taken.contains(port)).unwrap_or(OPEN_PORT_MAX);
    taken.insert(port);
    u16::try_from(port).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::model::{
        Container, Network, PathId, PortDefinition, PortMapping, Timestamp,
    };

    fn app(ports: &[u16]) -> App {
        let mut app = App::new(PathId::parse("/a").expect("an id"), "*", Timestamp::from_millis(1));
        let definition = |port: &u16| PortDefinition { port: *port, ..PortDefinition::default() };
        app.port_definitions = ports.iter().map(definition).collect();
        app
    }

    fn mapped(mode: NetworkMode, mappings: &[(u16, Option<u16>)]) -> App {
        let mut app = app(&[]);
        app.networks = vec![Network { mode, ..Network::host() }];
        let mapping = |(container_port, host_port): &(u16, Option<u16>)| PortMapping {
            container_port: *container_port,
            host_port: *host_port,
            ..PortMapping::default()
        };
        let port_mappings = Some(mappings.iter().map(mapping).collect());
        app.container = Some(Container { port_mappings, ..Container::default() });
        app
    }

    fn hosts(app: &App, offered: &[(u64, u64)]) -> Option<Vec<Option<u16>>> {
        let offered = Ranges::new(offered.iter().copied());
        let ports = choose(app, &offered, &mut Rng::new(1))?;
        Some(ports.iter().map(|p| p.host).collect())
    }

    // covers: MAR-0383
    #[test]
    fn open_ones_are_anywhere_in_all_ranges() {
        let offered = Ranges::new([(10, 12), (20, 20), (30, 31)]);
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let ports = choose(&app(&[0, 0]), &offered, &mut Rng::new(seed)).expect("ports");
            assert_ne!(ports[0].host, ports[1].host);
            seen.extend(ports.iter().filter_map(|p| p.host));
        }
        assert_eq!(seen, BTreeSet::from([10, 11, 12, 20, 30, 31]));
    }

    // covers: MAR-0384, MAR-0385, MAR-0386, MAR-0387
    #[test]
    fn fixed_ones_have_to_be_there() {
        let fixed = App { require_ports: true, ..app(&[8080, 8079]) };
        assert_eq!(hosts(&fixed, &[(8000, 9000)]), Some(vec![Some(8080), Some(8079)]));
        assert_eq!(hosts(&fixed, &[(8080, 9000)]), None);
        let mixed = App { require_ports: true, ..app(&[8080, 0]) };
        assert_eq!(hosts(&mixed, &[(8080, 8081)]), Some(vec![Some(8080), Some(8081)]));
        assert_eq!(hosts(&mixed, &[(8080, 8080)]), None);
        assert_eq!(hosts(&app(&[10_000]), &[(5, 5)]), Some(vec![Some(5)]));
        assert_eq!(hosts(&app(&[0, 0]), &[(5, 5)]), None);
        assert_eq!(hosts(&app(&[0]), &[]), None);
        assert_eq!(hosts(&app(&[]), &[]), Some(vec![]));
    }

    // covers: MAR-0373, MAR-0374
    #[test]
    fn mappings_take_host_ports_where_they_ask() {
        let bridge = mapped(NetworkMode::Bridge, &[(80, Some(0)), (0, Some(0)), (81, Some(9000))]);
        let offered = Ranges::new([(9000, 9002)]);
        let ports = choose(&bridge, &offered, &mut Rng::new(3)).expect("ports");
        assert_eq!(ports[2], Port { host: Some(9000), container: 81 });
        assert_eq!(ports[0].container, 80);
        assert_eq!(ports[1].host, Some(ports[1].container));
        assert_eq!(wanted(&bridge), 3);
        let user = mapped(NetworkMode::Container, &[(80, None), (0, None), (90, Some(0))]);
        let ports = choose(&user, &offered, &mut Rng::new(3)).expect("ports");
        assert_eq!(ports[0], Port { host: None, container: 80 });
        assert_eq!(ports[1].host, None);
        assert!(ports[1].container >= 1025);
        assert!(ports[2].host.is_some());
        assert_eq!(wanted(&user), 1);
    }
}
