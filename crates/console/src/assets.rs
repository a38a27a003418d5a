//! The one style sheet and the one script, under names that change with what is in them.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::sync::LazyLock;

/// A file that is part of the program.
#[derive(Debug)]
pub(crate) struct Asset {
    name: String,
    pub(crate) content_type: &'static str,
    pub(crate) text: &'static str,
}

impl Asset {
    fn new(stem: &str, end: &str, content_type: &'static str, text: &'static str) -> Self {
        let digest = URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()));
        let short: String = digest.chars().take(16).collect();
        Self { name: format!("{stem}-{short}.{end}"), content_type, text }
    }
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "css", "text/css; charset=utf-8", include_str!("../assets/console.css"))
});

pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "js", "text/javascript; charset=utf-8", include_str!("../assets/console.js"))
});

pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("console", "svg", "image/svg+xml", include_str!("../assets/console.svg")));
