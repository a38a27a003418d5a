//! The corpus and every regression, through the body that the fuzzer runs: on stable, in every run of the tests.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Runs the body on every file of the target. The first that it does not hold for is named.
pub(crate) fn all(target: &str, body: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let corpus = files(&fuzz.join("corpus").join(target));
    assert!(!corpus.is_empty(), "there is no corpus of `{target}`");
    for path in corpus.into_iter().chain(files(&fuzz.join("regressions").join(target))) {
        let data = std::fs::read(&path).unwrap();
        let held = catch_unwind(AssertUnwindSafe(|| body(&data)));
        assert!(held.is_ok(), "`{target}` does not hold for {}", path.display());
    }
}

/// The files of a folder in order; none where there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = found.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}
