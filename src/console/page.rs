//! The one HTML document of a section, and the policy a browser keeps for it.

use super::Section;
use super::assets::{Assets, hex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

/// Bare names in modules → files.
pub(super) const IMPORTS: &[(&str, &str)] = &[
    ("preact", "vendor/preact-11.2.0/preact.js"),
    ("preact/hooks", "vendor/preact-11.2.0/hooks.js"),
    ("htm", "vendor/htm-3.1.1/htm.js"),
    ("@preact/signals-core", "vendor/signals-core-1.14.5/signals-core.js"),
    ("@preact/signals", "vendor/signals-2.11.4/signals.js"),
];

/// Style sheets, in their order.
pub(super) const STYLES: [&str; 3] = ["css/base.css", "css/components.css", "css/pages.css"];

/// The document and what goes with it.
pub(super) struct Page {
    /// The HTML.
    pub html: String,
    /// Strong entity tag, in its quotes.
    pub etag: String,
    /// `Content-Security-Policy`: nothing but this server's own files and endpoints. The import
    /// map, which must be inline, is allowed by its hash.
    pub policy: String,
}

impl Page {
    pub fn new(section: Section, assets: &Assets) -> Self {
        let (name, title) = match section {
            Section::Mesos => ("mesos", "Mesos"),
            Section::Agent => ("agent", "Mesos agent"),
            Section::Marathon => ("marathon", "Marathon"),
            Section::Chronos => ("chronos", "Chronos"),
        };
        // Relative, so that the page works below any prefix that a proxy puts before it.
        let up = if section == Section::Marathon { ".." } else { "." };
        let base = format!("{up}/mesolith/ui/{}", assets.build);
        let map = import_map(&base);
        let styles: String = STYLES
            .iter()
            .map(|style| format!("<link rel=\"stylesheet\" href=\"{base}/{style}\">\n"))
            .collect();
        let preloads: String = IMPORTS
            .iter()
            .map(|(_, file)| format!("<link rel=\"modulepreload\" href=\"{base}/{file}\">\n"))
            .collect();
        let html = format!(
            "<!doctype html>\n<html lang=\"en\" data-section=\"{name}\">\n<head>\n\
             <meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n\
             <link rel=\"icon\" type=\"image/svg+xml\" href=\"{base}/img/icon.svg\">\n\
             {styles}<script type=\"importmap\">{map}</script>\n{preloads}\
             <script type=\"module\" src=\"{base}/app/main.js\"></script>\n\
             </head>\n<body>\n<div id=\"app\"></div>\n\
             <noscript><p class=\"noscript\">This page needs JavaScript. The same is to be had \
             from the command line: <code>mesolith status</code>.</p></noscript>\n\
             </body>\n</html>\n"
        );
        let hash = STANDARD.encode(digest(&SHA256, map.as_bytes()).as_ref());
        let policy = format!(
            "default-src 'none'; script-src 'self' 'sha256-{hash}'; style-src 'self'; \
             img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        let etag = format!("\"{}\"", hex(digest(&SHA256, html.as_bytes()).as_ref()));
        Self { html, etag, policy }
    }
}

fn import_map(base: &str) -> String {
    let lines: Vec<String> =
        IMPORTS.iter().map(|(name, file)| format!("\"{name}\":\"{base}/{file}\"")).collect();
    format!("{{\"imports\":{{{}}}}}", lines.join(","))
}
