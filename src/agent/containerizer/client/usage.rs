//! What containers use, read in the agent, some on each processor: the supervisor tells where, and goes on to start others
//! meanwhile. Of those that cannot be read here it is asked: it knows whether they run.

use super::{Supervised, wrong};
use crate::agent::containerizer::isolators::Cgroup;
use crate::agent::containerizer::isolators::usage::Reader;
use crate::agent::containerizer::measure::{Measured, one_by_one};
use crate::agent::containerizer::record::{Place, Places};
use crate::agent::containerizer::wire::{Answer as Told, Call, PLACES_MAX};
use crate::base::error::{Code, Error, Result};
use crate::base::ids::ContainerId;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// So few are not worth another thread: a container takes some 30 microseconds.
const SHARE_MIN: usize = 32;

impl Supervised {
    /// What those of them use that run.
    pub(super) async fn measure(
        &self,
        ids: Vec<ContainerId>,
    ) -> Result<BTreeMap<ContainerId, Measured>> {
        let mut all = BTreeMap::new();
        if self.tells_places().await? {
            for some in ids.chunks(PLACES_MAX) {
                self.read_some(some, &mut all).await?;
            }
        }
        let left = ids.into_iter().filter(|id| !all.contains_key(id)).collect();
        all.append(&mut one_by_one(self, left).await);
        Ok(all)
    }

    async fn tells_places(&self) -> Result<bool> {
        let mut slot = self.link.lock().await;
        Ok(self.linked(&mut slot).await?.places)
    }

    async fn read_some(
        &self,
        ids: &[ContainerId],
        all: &mut BTreeMap<ContainerId, Measured>,
    ) -> Result<()> {
        let Told::Places(Places { root, all: places }) =
            self.call(Call::Places(ids.to_vec())).await?
        else {
            return wrong();
        };
        let placed = ids.iter().cloned().zip(places);
        let mut placed: Vec<_> = placed.filter_map(|(id, place)| Some((id, place?))).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = placed.len().div_ceil(threads).max(SHARE_MIN);
        let root = Arc::new(root);
        let mut reading = JoinSet::new();
        while !placed.is_empty() {
            let mine = placed.split_off(placed.len().saturating_sub(share));
            let root = root.clone();
            reading.spawn_blocking(move || read(&root, mine));
        }
        while let Some(read) = reading.join_next().await {
            let failed = |e| Error::new(Code::Internal, format!("reading of cgroups failed: {e}"));
            all.extend(read.map_err(failed)?);
        }
        Ok(())
    }
}

/// Those that run, as far as they can be seen from here.
fn read(root: &Cgroup, places: Vec<(ContainerId, Place)>) -> Vec<(ContainerId, Measured)> {
    // Without the directories no cgroup in them is seen.
    let Ok(mut reader) = Reader::open(root) else { return Vec::new() };
    let read = |(id, place)| Some((id, Measured::now(reader.read(&place)?)));
    places.into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use crate::agent::containerizer::client::{Options, Supervised};
    use crate::agent::containerizer::isolators::Cgroup;
    use crate::agent::containerizer::record::{Place, Places, Usage};
    use crate::agent::containerizer::supervisor::entry::{SOCKET, home};
    use crate::agent::containerizer::wire::{
        Answer, Call, Fault, Message, REQUEST_BYTES_MAX, Request, frame, next,
    };
    use crate::agent::containerizer::{Containerizer as _, Measured};
    use crate::base::error::{Code, Error};
    use crate::base::ids::ContainerId;
    use std::collections::BTreeMap;
    use std::path::Path;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    const CAPABILITIES: &str = r#"{"mesos":true,"isolators":[],"cgroups":null,"missing":[]}"#;
    /// What the supervisor itself says that a container uses.
    const TOLD_RSS: u64 = 7;

    fn hello(places: Option<bool>) -> Vec<u8> {
        let places = places.map_or(String::new(), |places| format!(r#","places":{places}"#));
        let hello = format!(
            r#"{{"Answer":{{"seq":0,"result":{{"Ok":{{"Hello":{{"version":1,"pid":1,
            "capabilities":{CAPABILITIES}{places}}}}}}}}}}}"#
        );
        let mut all = (hello.len() as u32).to_le_bytes().to_vec();
        all.extend(hello.into_bytes());
        all
    }

    /// Answers as a supervisor whose containers "a" and "b" run in `root`; what it was asked.
    async fn supervise(listener: UnixListener, root: &Path, places: Option<bool>) -> Vec<String> {
        let (mut stream, _) = listener.accept().await.expect("the agent");
        let (mut buffer, mut asked) = (Vec::new(), Vec::new());
        loop {
            let Some(Request { seq, call }) = next(&mut buffer, REQUEST_BYTES_MAX).expect("frames")
            else {
                match stream.read_buf(&mut buffer).await {
                    Ok(read) if read > 0 => continue,
                    _ => return asked,
                }
            };
            let result = match call {
                Call::Hello { .. } => {
                    stream.write_all(&hello(places)).await.expect("heard");
                    continue;
                }
                Call::Places(ids) => {
                    asked.push("places".to_string());
                    let place =
                        |id: &ContainerId| Some(Place { path: id.to_string(), quota: false });
                    let root = Cgroup::V2(root.to_path_buf());
                    Ok(Answer::Places(Places { root, all: ids.iter().map(place).collect() }))
                }
                Call::Usage(id) => {
                    asked.push(id.to_string());
                    match id.as_str() {
                        "a" | "b" => {
                            Ok(Answer::Usage(Usage { mem_rss_bytes: TOLD_RSS, ..Usage::default() }))
                        }
                        _ => Err(Fault::from(Error::new(Code::Conflict, "it does not run"))),
                    }
                }
                other => panic!("{other:?}"),
            };
            let answer = frame(&Message::Answer { seq, result }, REQUEST_BYTES_MAX).expect("short");
            stream.write_all(&answer).await.expect("heard");
        }
    }

    /// What is told of "a", "b" and "c", of which only "a" can be seen here; and what the supervisor was asked.
    async fn told(places: Option<bool>) -> (BTreeMap<ContainerId, Measured>, Vec<String>) {
        let dir = tempfile::tempdir().expect("a folder");
        let (run, root) = (dir.path().join("run"), dir.path().join("cgroups"));
        std::fs::create_dir_all(home(&run)).expect("made");
        std::fs::create_dir_all(root.join("a")).expect("made");
        std::fs::write(root.join("a/memory.stat"), "anon 4096\n").expect("written");
        std::fs::write(root.join("a/cgroup.procs"), "1\n2\n").expect("written");
        let listener = UnixListener::bind(home(&run).join(SOCKET)).expect("a socket");
        let agent = Supervised::new(Options::new(&run));
        let asking = async {
            let ids = ["a", "b", "c"].map(ContainerId::from).to_vec();
            let all = agent.usages(ids).await.expect("told");
            drop(agent);
            all
        };
        tokio::join!(asking, supervise(listener, &root, places))
    }

    #[tokio::test]
    async fn the_supervisor_is_asked_only_of_those_that_cannot_be_read_here() {
        let (all, asked) = told(Some(true)).await;
        assert_eq!(asked, ["places", "b", "c"]);
        assert_eq!(all.keys().map(ContainerId::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(all[&ContainerId::from("a")].usage.mem_rss_bytes, 4096);
        assert_eq!(all[&ContainerId::from("b")].usage.mem_rss_bytes, TOLD_RSS);
    }

    #[tokio::test]
    async fn an_earlier_supervisor_is_asked_only_what_it_knows() {
        for places in [None, Some(false)] {
            let (all, asked) = told(places).await;
            assert_eq!(asked, ["a", "b", "c"], "{places:?}");
            assert!(all.values().all(|one| one.usage.mem_rss_bytes == TOLD_RSS) && all.len() == 2);
        }
    }
}
