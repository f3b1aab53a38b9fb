//! Serves the page and its files: what may be cached, entity tags, compressed forms.

use super::assets::{Asset, assets, squeeze};
use super::page::Page;
use super::{Links, Section};
use crate::http::{Face, PathRest, Query, Refusal, accepts_gzip, reply};
use axum::Extension;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
    IF_NONE_MATCH, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;

/// A file whose name changes with its content need never be asked for again.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The document, and files asked for under the name of another build: ask again each time.
const ASK_AGAIN: &str = "no-cache";

struct Document {
    page: Page,
    plain: Bytes,
    gzip: Option<Bytes>,
}

pub(super) fn face(section: Section, links: &Links) -> Face {
    let page = Page::new(section, assets());
    let plain = Bytes::from(page.html.clone());
    let document = Arc::new(Document { gzip: squeeze(&plain), plain, page });
    let show = get(move |headers: HeaderMap| async move { show_page(&document, &headers) });
    let about = json!({
        "section": section,
        "faces": links,
        "version": crate::base::version::MESOLITH_VERSION,
    });
    let about = get(move |query: Query| async move { reply::json(&about, &query) });
    let face = Face::new()
        .endpoint("/mesolith/ui", get(show_asset))
        .endpoint("/mesolith/v1/console", about);
    match section {
        Section::Marathon => face
            .endpoint("/", get(async || (StatusCode::FOUND, [(LOCATION, "/ui/")])))
            .endpoint("/ui", show),
        Section::Mesos | Section::Agent | Section::Chronos => face.endpoint("/", show),
    }
}

/// One entity in the form the client takes.
struct Entity<'a> {
    plain: &'a Bytes,
    gzip: Option<&'a Bytes>,
    etag: &'a str,
    content_type: &'static str,
    caching: &'static str,
}

impl Entity<'_> {
    fn answer(self, headers: &HeaderMap) -> Response {
        let gzip = self.gzip.filter(|_| accepts_gzip(headers));
        // Each form has a tag of its own: they differ in their bytes.
        let etag = match gzip {
            Some(_) => format!("{}-gz\"", self.etag.trim_end_matches('"')),
            None => self.etag.to_owned(),
        };
        let known = headers.get(IF_NONE_MATCH).and_then(|v| v.to_str().ok()).is_some_and(|tags| {
            tags.split(',').any(|t| t.trim().trim_start_matches("W/") == etag || t.trim() == "*")
        });
        let mut response = match (known, gzip) {
            (true, _) => StatusCode::NOT_MODIFIED.into_response(),
            (false, Some(gzip)) => {
                let mut response = gzip.clone().into_response();
                let encoding = HeaderValue::from_static("gzip");
                response.headers_mut().insert(CONTENT_ENCODING, encoding);
                response
            }
            (false, None) => self.plain.clone().into_response(),
        };
        let out = response.headers_mut();
        if !known {
            out.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        out.insert(CACHE_CONTROL, HeaderValue::from_static(self.caching));
        out.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        out.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            out.insert(ETAG, etag);
        }
        response
    }
}

fn show_page(document: &Document, headers: &HeaderMap) -> Response {
    let entity = Entity {
        plain: &document.plain,
        gzip: document.gzip.as_ref(),
        etag: &document.page.etag,
        content_type: "text/html; charset=utf-8",
        caching: ASK_AGAIN,
    };
    let mut response = entity.answer(headers);
    let out = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&document.page.policy) {
        out.insert(CONTENT_SECURITY_POLICY, policy);
    }
    out.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    out.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    out.insert(opener, HeaderValue::from_static("same-origin"));
    response
}

/// `/mesolith/ui/<build>/<path>`. An open page of another build gets this one's file.
async fn show_asset(rest: Extension<PathRest>, headers: HeaderMap) -> Result<Response, Refusal> {
    let not_found = || Refusal::of(StatusCode::NOT_FOUND);
    let (build, path) = rest.0.0.split_first().ok_or_else(not_found)?;
    let assets = assets();
    let asset: &Asset = assets.get(&path.join("/")).ok_or_else(not_found)?;
    let entity = Entity {
        plain: &asset.plain,
        gzip: asset.gzip(),
        etag: &asset.etag,
        content_type: asset.content_type,
        caching: if *build == assets.build { FOR_EVER } else { ASK_AGAIN },
    };
    Ok(entity.answer(&headers))
}
