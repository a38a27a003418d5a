//! PostgreSQL's server programs, for the store's tests, which start throw-away clusters of their own.

use std::path::PathBuf;

use crate::debian;
use crate::environment::variable;

/// The folder with `initdb` and `pg_ctl`, installed first where that is possible; else why not.
pub(crate) fn obtain() -> Result<PathBuf, String> {
    if let Some(found) = find() {
        return Ok(found);
    }
    debian::install("postgresql", "PostgreSQL's server")?;
    find().ok_or_else(|| "apt-get installed PostgreSQL, but `initdb` is not to be found".to_owned())
}

fn find() -> Option<PathBuf> {
    let on_path: Vec<PathBuf> =
        variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let mut packaged: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    packaged.sort();
    let whole = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file();
    on_path.into_iter().find(whole).or_else(|| packaged.into_iter().rev().find(whole))
}
