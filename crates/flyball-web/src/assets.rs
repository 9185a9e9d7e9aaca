//! The page and its files, compiled in. A path with a hash always means the same bytes, so browsers
//! may keep it; the page itself is requested each time.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Bytes;
use axum::http::header::{self, HeaderName};
use axum::response::{IntoResponse, Response};

const PAGE: &str = include_str!("../assets/page.html");
/// Plotly.js with its licence, for a page that needs no network.
pub const PLOTLY: &str = include_str!(concat!(env!("OUT_DIR"), "/plotly.min.js"));

/// Own files share one hash: they import each other by relative paths.
const OWN: [(&str, &str); 14] = [
    ("icon.svg", include_str!("../assets/icon.svg")),
    ("plotly.css", include_str!("../assets/plotly.css")),
    ("page.css", include_str!("../assets/page.css")),
    ("page.js", include_str!("../assets/page.js")),
    ("ask.js", include_str!("../assets/ask.js")),
    ("charts.js", include_str!("../assets/charts.js")),
    ("hand.js", include_str!("../assets/hand.js")),
    ("live.js", include_str!("../assets/live.js")),
    ("overview.js", include_str!("../assets/overview.js")),
    ("panels.js", include_str!("../assets/panels.js")),
    ("parts.js", include_str!("../assets/parts.js")),
    ("service.js", include_str!("../assets/service.js")),
    ("standby.js", include_str!("../assets/standby.js")),
    ("words.js", include_str!("../assets/words.js")),
];

/// All that `/` and `/assets/` answer with.
#[derive(Debug)]
pub(crate) struct Assets {
    page: Bytes,
    own_hash: String,
    plotly_hash: String,
}

impl Assets {
    pub(crate) fn new() -> Self {
        let own_hash = hash(OWN);
        let plotly_hash = hash(PLOTLY);
        let page = PAGE.replace("OWN_HASH", &own_hash).replace("PLOTLY_HASH", &plotly_hash);
        Self { page: Bytes::from(page), own_hash, plotly_hash }
    }

    pub(crate) fn page(&self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, self.page.clone()).into_response()
    }

    /// The file at `/assets/{hash}/{name}`.
    pub(crate) fn file(&self, hash: &str, name: &str) -> Option<Response> {
        if (hash, name) == (self.plotly_hash.as_str(), "plotly.js") {
            return Some(kept(media(name), PLOTLY));
        }
        let (_, text) = OWN.iter().find(|(own, _)| hash == self.own_hash && name == *own)?;
        Some(kept(media(name), text))
    }
}

fn media(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}

fn kept(media: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, media),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, Bytes::from_static(text.as_bytes())).into_response()
}

fn hash(content: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
