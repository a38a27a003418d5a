//! What one `fdatasync` costs on the disk of a folder, which no durable record can be faster than.

use crate::{load::now, options::Options};
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// About what a group of one call's entries weighs.
const GROUP_BYTES: usize = 2_048;

/// Appends and flushes so many times; the median and the 99th percentile as JSON.
pub(crate) fn run(options: &Options) -> Result<String> {
    let folder: PathBuf = options.need("folder")?;
    let times: usize = options.need("times")?;
    let path = folder.join("flush-probe");
    let mut file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let group = [b'x'; GROUP_BYTES];
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let start = now();
        file.write_all(&group)?;
        file.sync_data()?;
        took.push(now().duration_since(start));
    }
    std::fs::remove_file(&path)?;
    took.sort_unstable();
    let us = |per_cent: usize| took.get(times * per_cent / 100).map_or(0, Duration::as_micros);
    Ok(format!(r#"{{"p50_us":{},"p99_us":{}}}"#, us(50), us(99)))
}
