//! Images are pulled before containers are made of them: one pull for all that want the same, given up when nobody wants it
//! any more.

use super::auth;
use super::engine::Engine;
use super::image::Reference;
use crate::agent::provisioner::credentials::Credentials;
use crate::base::error::{Code, Error, Result};
use crate::base::units::MesosDuration;
use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

/// Images pulled at one time; others wait for their turn.
const PULLS_MAX: usize = 4;
/// How often a task is told how far its pull has come.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Layers that are counted one by one.
const LAYERS_MAX: usize = 512;

type Outcome = Option<Result<()>>;

/// A pull under way; ends with the last that waits for it.
struct Pull {
    outcome: watch::Receiver<Outcome>,
    progress: watch::Receiver<String>,
    work: AbortHandle,
}

impl Drop for Pull {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// All pulls.
pub(super) struct Pulls {
    engine: Arc<Engine>,
    timeout: Duration,
    credentials: Option<Credentials>,
    turns: Arc<Semaphore>,
    under_way: Mutex<HashMap<String, Weak<Pull>>>,
}

impl Pulls {
    /// `credentials`: the operator's; tasks may bring others.
    pub fn new(engine: Arc<Engine>, timeout: Duration, credentials: Option<Credentials>) -> Self {
        let turns = Arc::new(Semaphore::new(PULLS_MAX));
        Self { engine, timeout, credentials, turns, under_way: Mutex::default() }
    }

    /// Has the image when this ends; `told` gets a sentence now and then while it takes time.
    ///
    /// # Errors
    /// With the image, its registry, and what was answered.
    pub async fn have(
        &self,
        image: &str,
        force: bool,
        sandbox: &Path,
        told: &watch::Sender<String>,
    ) -> Result<()> {
        if !force && self.is_there(image).await? {
            return Ok(());
        }
        let registry = Reference::of(image).registry;
        let credentials = self.credentials(registry, sandbox).await?;
        let pull = self.join(image, credentials);
        told.send_replace(format!("Pulling image '{image}' from {registry}"));
        let mut outcome = pull.outcome.clone();
        let mut every =
            tokio::time::interval_at(tokio::time::Instant::now() + PROGRESS_EVERY, PROGRESS_EVERY);
        let mut last = String::new();
        loop {
            tokio::select! {
                done = outcome.wait_for(Option::is_some) => {
                    return match done.as_deref() {
                        Ok(Some(outcome)) => outcome.clone(),
                        _ => Err(Error::new(Code::Internal, "the pull has ended without an outcome")),
                    };
                }
                _ = every.tick() => {
                    let now = pull.progress.borrow().clone();
                    if now != last {
                        let text = format!("Pulling image '{image}' from {registry}: {now}");
                        told.send_replace(text);
                        last = now;
                    }
                }
            }
        }
    }

    async fn is_there(&self, image: &str) -> Result<bool> {
        match self.engine.get(&format!("/images/{}/json", full(image))).await {
            Ok(_) => Ok(true),
            Err(e) if e.code == Code::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The task's own credentials, else the operator's.
    async fn credentials(
        &self,
        registry: &str,
        sandbox: &Path,
    ) -> Result<Option<DockerCredentials>> {
        let home = sandbox.to_path_buf();
        let own = tokio::task::spawn_blocking(move || auth::in_home(&home)).await;
        let own = own.map_err(|e| Error::new(Code::Internal, format!("file work: {e}")))?;
        let own = own.map_err(|why| {
            Error::new(Code::Invalid, format!("credentials in the sandbox cannot be read: {why}"))
        })?;
        let own = own.and_then(|all| auth::login(&all, registry));
        Ok(own.or_else(|| auth::login(self.credentials.as_ref()?, registry)))
    }

    fn join(&self, image: &str, credentials: Option<DockerCredentials>) -> Arc<Pull> {
        // Who has other rights may not profit from somebody else's pull.
        let user = credentials
            .as_ref()
            .map(|c| format!("{:?} {:?} {:?}", c.username, c.password, c.identitytoken));
        let key = format!("{image} {}", user.unwrap_or_default());
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, pull| pull.strong_count() > 0);
        if let Some(pull) = under_way.get(&key).and_then(Weak::upgrade)
            && pull.outcome.borrow().is_none()
        {
            return pull;
        }
        let (tell, outcome) = watch::channel(None);
        let (show, progress) = watch::channel("waits for other pulls".to_string());
        let (engine, turns) = (Arc::clone(&self.engine), Arc::clone(&self.turns));
        let (name, timeout) = (image.to_string(), self.timeout);
        let work = tokio::spawn(async move {
            let pulled = tokio::time::timeout(timeout, async {
                let _turn = turns.acquire().await;
                pull(&engine, &name, credentials, &show).await
            });
            let registry = Reference::of(&name).registry;
            let outcome = match pulled.await {
                Ok(outcome) => outcome
                    .map_err(|e| e.context(format!("cannot pull image '{name}' from {registry}"))),
                Err(_) => Err(Error::new(
                    Code::Timeout,
                    format!(
                        "pulling image '{name}' from {registry} took longer than {} \
                         (--docker_pull_timeout)",
                        MesosDuration(timeout)
                    ),
                )),
            };
            tell.send_replace(Some(outcome));
        });
        let pull = Arc::new(Pull { outcome, progress, work: work.abort_handle() });
        under_way.insert(key, Arc::downgrade(&pull));
        pull
    }
}

/// With the tag, or a look for an image without one would find another.
fn full(image: &str) -> String {
    let Reference { repository, tag, .. } = Reference::of(image);
    tag.map_or_else(|| repository.to_string(), |tag| format!("{repository}:{tag}"))
}

async fn pull(
    engine: &Engine,
    image: &str,
    credentials: Option<DockerCredentials>,
    show: &watch::Sender<String>,
) -> Result<()> {
    let Reference { repository, tag, .. } = Reference::of(image);
    let mut options = CreateImageOptionsBuilder::new().from_image(repository);
    if let Some(tag) = tag {
        options = options.tag(tag);
    }
    let client = engine.client().await?;
    let mut steps = client.create_image(Some(options.build()), None, credentials);
    let mut layers = Layers::default();
    while let Some(step) = steps.next().await {
        layers.take(step.map_err(|e| engine.fault(e))?);
        show.send_replace(layers.text());
    }
    Ok(())
}

/// How far the layers are.
#[derive(Default)]
struct Layers(BTreeMap<String, (u64, u64, bool)>);

impl Layers {
    fn take(&mut self, step: CreateImageInfo) {
        let (Some(id), Some(status)) = (step.id, step.status) else { return };
        let is_layer = matches!(
            status.as_str(),
            "Pulling fs layer"
                | "Waiting"
                | "Downloading"
                | "Verifying Checksum"
                | "Download complete"
                | "Extracting"
                | "Pull complete"
                | "Already exists"
        );
        if !is_layer || (self.0.len() >= LAYERS_MAX && !self.0.contains_key(&id)) {
            return;
        }
        let layer = self.0.entry(id).or_default();
        if let (Some(detail), "Downloading") = (step.progress_detail, status.as_str()) {
            let bytes = |n: Option<i64>| u64::try_from(n.unwrap_or(0)).unwrap_or(0);
            (layer.0, layer.1) = (bytes(detail.current), bytes(detail.total));
        }
        if matches!(status.as_str(), "Download complete" | "Extracting" | "Pull complete") {
            layer.0 = layer.1;
        }
        layer.2 |= matches!(status.as_str(), "Pull complete" | "Already exists");
    }

    fn text(&self) -> String {
        let megabytes = |bytes: u64| bytes as f64 / 1_048_576.0;
        let (have, of) = self.0.values().fold((0, 0), |(h, t), l| (h + l.0, t + l.1));
        let done = self.0.values().filter(|layer| layer.2).count();
        format!(
            "{done} of {} layers, {:.1} of {:.1} MB so far",
            self.0.len(),
            megabytes(have),
            megabytes(of)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ProgressDetail;

    #[test]
    fn progress_is_summed_up_over_layers() {
        let mut layers = Layers::default();
        let step = |id: &str, status: &str, detail: Option<(i64, i64)>| CreateImageInfo {
            id: Some(id.into()),
            status: Some(status.into()),
            progress_detail: detail.map(|(current, total)| ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            ..Default::default()
        };
        layers.take(step("latest", "Pulling from a/b", None));
        layers.take(step("a", "Pulling fs layer", None));
        layers.take(step("b", "Already exists", None));
        layers.take(step("a", "Downloading", Some((1 << 20, 4 << 20))));
        assert_eq!(layers.text(), "1 of 2 layers, 1.0 of 4.0 MB so far");
        layers.take(step("a", "Pull complete", None));
        assert_eq!(layers.text(), "2 of 2 layers, 4.0 of 4.0 MB so far");
    }
}
