//! The files of the pages, embedded, with their entity tags and compressed forms.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest::{Context, SHA256, digest};
use std::io::Write as _;
use std::sync::OnceLock;

/// Smaller files are sent as they are.
const GZIP_BYTES_MIN: usize = 512;

/// How many characters of a hash name a build or a file.
const TAG_CHARS: usize = 16;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("assets/", $path)))),*]
    };
}

/// Every file there is; a test compares this with the folder.
const FILES: &[(&str, &[u8])] = files![
    "app/api.js",
    "app/format.js",
    "app/keys.js",
    "app/lib.js",
    "app/live.js",
    "app/main.js",
    "app/router.js",
    "app/store.js",
    "app/theme.js",
    "css/base.css",
    "css/components.css",
    "css/pages.css",
    "img/icon.svg",
    "pages/agent.js",
    "pages/chronos/actions.js",
    "pages/chronos/data.js",
    "pages/chronos/edit.js",
    "pages/chronos/graph.js",
    "pages/chronos/job.js",
    "pages/chronos/jobs.js",
    "pages/chronos/main.js",
    "pages/chronos/schedule.js",
    "pages/marathon/actions.js",
    "pages/marathon/app.js",
    "pages/marathon/apps.js",
    "pages/marathon/data.js",
    "pages/marathon/deployments.js",
    "pages/marathon/edit.js",
    "pages/marathon/health.js",
    "pages/marathon/main.js",
    "pages/marathon/why.js",
    "pages/mesos/agents.js",
    "pages/mesos/data.js",
    "pages/mesos/frameworks.js",
    "pages/mesos/main.js",
    "pages/mesos/overview.js",
    "pages/mesos/shares.js",
    "pages/mesos/task.js",
    "pages/mesos/tasks.js",
    "ui/ansi.js",
    "ui/basics.js",
    "ui/dialog.js",
    "ui/diff.js",
    "ui/editing.js",
    "ui/form.js",
    "ui/json.js",
    "ui/layout.js",
    "ui/log.js",
    "ui/menu.js",
    "ui/sandbox.js",
    "ui/table.js",
    "ui/toast.js",
    "vendor/htm-3.1.1/LICENSE",
    "vendor/htm-3.1.1/htm.js",
    "vendor/preact-11.2.0/LICENSE",
    "vendor/preact-11.2.0/hooks.js",
    "vendor/preact-11.2.0/preact.js",
    "vendor/signals-2.11.4/LICENSE",
    "vendor/signals-2.11.4/signals.js",
    "vendor/signals-core-1.14.5/LICENSE",
    "vendor/signals-core-1.14.5/signals-core.js",
];

/// One file.
pub(super) struct Asset {
    /// Below `assets/`.
    pub path: &'static str,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// As it is.
    pub plain: Bytes,
    /// Strong entity tag of `plain`, in its quotes.
    pub etag: String,
    gzip: OnceLock<Option<Bytes>>,
}

impl Asset {
    fn new(path: &'static str, plain: &'static [u8]) -> Self {
        let etag = format!("\"{}\"", hex(digest(&SHA256, plain).as_ref()));
        let (content_type, gzip) = (content_type(path), OnceLock::new());
        Self { path, content_type, plain: Bytes::from_static(plain), etag, gzip }
    }

    /// Compressed, if that is worth it; made once.
    pub fn gzip(&self) -> Option<&Bytes> {
        self.gzip.get_or_init(|| squeeze(&self.plain)).as_ref()
    }
}

/// Compresses, if it is worth it.
pub(super) fn squeeze(plain: &[u8]) -> Option<Bytes> {
    if plain.len() < GZIP_BYTES_MIN {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 3), Compression::best());
    // Writing to memory fails only where memory ends; then the plain form is sent.
    encoder.write_all(plain).ok()?;
    let squeezed = encoder.finish().ok()?;
    (squeezed.len() < plain.len()).then(|| squeezed.into())
}

/// All files, and a name for all of them together: another content, another name.
pub(super) struct Assets {
    pub all: Vec<Asset>,
    pub build: String,
}

impl Assets {
    /// The file at that path.
    pub fn get(&self, path: &str) -> Option<&Asset> {
        self.all.iter().find(|asset| asset.path == path)
    }
}

/// The embedded files; hashed once a process.
pub(super) fn assets() -> &'static Assets {
    static ASSETS: OnceLock<Assets> = OnceLock::new();
    ASSETS.get_or_init(|| {
        let all: Vec<Asset> = FILES.iter().map(|(path, bytes)| Asset::new(path, bytes)).collect();
        let mut context = Context::new(&SHA256);
        for asset in &all {
            context.update(asset.path.as_bytes());
            context.update(asset.etag.as_bytes());
        }
        Assets { build: hex(context.finish().as_ref()), all }
    })
}

/// The beginning of a hash, for names.
pub(super) fn hex(hash: &[u8]) -> String {
    let mut text: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(TAG_CHARS);
    text
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, kind)| kind) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}
