//! Service ports: one number in the cluster for each port of each app. Where a definition says 0, one is assigned.

use crate::marathon::model::App;
use std::collections::{BTreeMap, BTreeSet};

/// The range of assigned ports is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// Which service ports are in use, and how often: users may give one twice.
#[derive(Clone, Debug, Default)]
pub(super) struct ServicePorts(BTreeMap<u16, usize>);

impl ServicePorts {
    /// An app has these from now on.
    pub fn add(&mut self, app: &App) {
        for port in app.service_ports() {
            *self.0.entry(port).or_default() += 1;
        }
    }

    /// An app has them no more.
    pub fn remove(&mut self, app: &App) {
        for port in app.service_ports() {
            if let Some(count) = self.0.get_mut(&port) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&port);
                }
            }
        }
    }

    /// Assigns the ports of a definition: what the former definition had at the same place, else the lowest free one
    /// of `min..max`. `taken` are those of other definitions of the same change; the new ones are added to it.
    pub fn assign(
        &self,
        app: &mut App,
        former: Option<&App>,
        taken: &mut BTreeSet<u16>,
        (min, max): (u16, u16),
    ) -> Result<(), Exhausted> {
        let had = former.map(App::service_ports).unwrap_or_default();
        let mut own: BTreeSet<u16> = app.service_ports().into_iter().filter(|p| *p != 0).collect();
        for (at, port) in app.service_ports_mut().into_iter().enumerate() {
            if *port == 0 {
                let free = |p: &u16| {
                    let mine = had.iter().filter(|h| *h == p).count();
                    let all = self.0.get(p).copied().unwrap_or(0);
                    all <= mine && !taken.contains(p) && !own.contains(p)
                };
                let again = had.get(at).copied().filter(|p| *p != 0).filter(free);
                *port = again.or_else(|| (min..max).find(free)).ok_or(Exhausted)?;
                own.insert(*port);
            }
        }
        taken.append(&mut own);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marathon::model::{PathId, PortDefinition, Timestamp};

    fn app(ports: &[u16]) -> App {
        let mut app = App::new(PathId::parse("/a").expect("an id"), "*", Timestamp::from_millis(1));
        let definition = |port: &u16| PortDefinition { port: *port, ..PortDefinition::default() };
        app.port_definitions = ports.iter().map(definition).collect();
        app
    }

    fn assigned(ports: &[u16], former: &[u16], used: &[u16]) -> Result<Vec<u16>, Exhausted> {
        let mut app = app(ports);
        let former = self::app(former);
        let mut all = ServicePorts::default();
        all.add(&former);
        all.add(&self::app(used));
        let mut taken = BTreeSet::new();
        let done = all.assign(&mut app, Some(&former), &mut taken, (100, 103));
        done.map(|()| app.service_ports())
    }

    // covers: MAR-0423, MAR-0424, MAR-0425, MAR-0428
    #[test]
    fn zeros_become_numbers_and_keep_them() {
        assert_eq!(assigned(&[0, 0], &[], &[]), Ok(vec![100, 101]));
        assert_eq!(assigned(&[0], &[], &[100]), Ok(vec![101]));
        assert_eq!(assigned(&[0, 0], &[102], &[100]), Ok(vec![102, 101]));
        assert_eq!(assigned(&[9000, 0], &[], &[9000]), Ok(vec![9000, 100]));
        assert_eq!(assigned(&[100, 0], &[], &[]), Ok(vec![100, 101]));
    }

    // covers: MAR-0426
    #[test]
    fn the_range_has_an_end() {
        assert_eq!(assigned(&[0, 0], &[], &[100, 101]), Err(Exhausted));
        assert_eq!(assigned(&[0], &[], &[100, 101]), Ok(vec![102]));
    }
}
