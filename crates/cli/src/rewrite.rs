//! Files that change as a whole or not at all.

use anyhow::Context as _;
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Puts this in the file's place. A link stays a link, and a file keeps its mode; a new one gets `mode`.
///
/// Errors: nothing has changed then.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let fail = || format!("cannot write `{}`", path.display());
    let (target, mode) = match fs::canonicalize(path) {
        Ok(target) => {
            let permissions = fs::metadata(&target).with_context(fail)?.permissions();
            // a rename would pass over it
            anyhow::ensure!(!permissions.readonly(), "`{}` is read-only: nothing is written", path.display());
            (target, permissions.mode() & 0o7777)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => (path.to_owned(), mode),
        Err(e) => return Err(e).with_context(fail),
    };
    let mut new = target.as_os_str().to_owned();
    new.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(new);
    let written = write(&new, bytes, mode).and_then(|()| fs::rename(&new, &target));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.with_context(fail)
}

fn write(new: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o600).open(new)?;
    // whatever the mask of this process is
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_and_a_mode_are_kept_and_what_is_read_only_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("real"), dir.path().join("link"));
        replace(&file, b"one", 0o640).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"two", 0o600).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(replace(&link, b"three", 0o600).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside it");
    }
}
