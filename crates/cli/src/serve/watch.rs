//! Hearing of changed files: of the configuration, the policies and the listener's keys, and of what they are links to.

use crate::place::Place;
use arc_swap::ArcSwap;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tokio::sync::mpsc;

/// Where Kubernetes swaps a folder of secrets.
const SWAPPED: &str = "..data";
/// Most links that are followed from one file; the system follows no more either.
const LINKS_MAX: usize = 40;

/// Watches the folders and not the files: editors put a new file in place of the old one.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: Mutex<RecommendedWatcher>,
    /// What the files are called that count, wherever they are.
    names: Arc<ArcSwap<BTreeSet<OsString>>>,
}

impl Watch {
    /// Errors: the system lets nothing be watched.
    pub(super) fn new(changed: mpsc::Sender<()>) -> notify::Result<Self> {
        let names = Arc::<ArcSwap<BTreeSet<OsString>>>::default();
        let known = Arc::clone(&names);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let ours = |path: &PathBuf| {
                let name = path.file_name().unwrap_or(OsStr::new(""));
                name == SWAPPED || known.load().contains(name) || is_policy(path)
            };
            let reads = matches!(event.kind, notify::EventKind::Access(_));
            if !reads && event.paths.iter().any(ours) {
                // a full channel means that somebody will look anyway
                let _ = changed.try_send(());
            }
        })?;
        Ok(Self { watcher: Mutex::new(watcher), names })
    }

    /// Watches where the files are now. It touches the disk and may hang with it.
    ///
    /// Errors: the configuration's own folder cannot be watched.
    pub(super) fn look(&self, place: &Place, named: &[PathBuf]) -> notify::Result<()> {
        let policies = place.policies_dir();
        let mut files: BTreeSet<PathBuf> = named.iter().cloned().collect();
        files.insert(place.config.clone());
        let inside = fs::read_dir(&policies).into_iter().flatten().flatten().map(|entry| entry.path());
        files.extend(inside.filter(|path| is_policy(path)));
        let links: Vec<PathBuf> = files.iter().flat_map(|file| targets(file)).collect();
        files.extend(links);
        files.insert(policies.clone());
        let names = files.iter().filter_map(|file| file.file_name()).map(ToOwned::to_owned).collect();
        self.names.store(Arc::new(names));
        // where an earlier look hangs, whoever reads the files says so
        let Ok(mut watcher) = self.watcher.try_lock() else { return Ok(()) };
        let mut folders: BTreeSet<PathBuf> = files.iter().map(|file| folder(file)).collect();
        folders.insert(policies);
        let own = folder(&place.config);
        folders.remove(&own);
        for other in folders {
            // one that is not there yet is heard of in the folder above, or when somebody asks
            let _ = watcher.watch(&other, RecursiveMode::NonRecursive);
        }
        watcher.watch(&own, RecursiveMode::NonRecursive)
    }
}

fn is_policy(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "cedar")
}

/// What a file is a link to, link by link, and where that is in the end: whoever edits it there changes it here.
fn targets(file: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut here = file.to_owned();
    while let Some(next) = fs::read_link(&here).ok().filter(|_| found.len() < LINKS_MAX) {
        here = folder(&here).join(next);
        found.push(here.clone());
    }
    found.extend(fs::canonicalize(file).ok().filter(|end| end != file));
    found
}

/// Where a file is.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_link_on_the_way_to_a_file_is_followed_and_a_ring_of_them_ends() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("real")).unwrap();
        fs::write(at("real/gate.toml"), "").unwrap();
        symlink("real", at("now")).unwrap();
        symlink("now/gate.toml", at("second")).unwrap();
        symlink("second", at("first")).unwrap();
        let end = fs::canonicalize(at("real/gate.toml")).unwrap();
        assert_eq!(targets(&at("first")), [at("second"), at("now/gate.toml"), end]);
        symlink("ring", at("ring")).unwrap();
        assert_eq!(targets(&at("ring")).len(), LINKS_MAX);
    }
}
