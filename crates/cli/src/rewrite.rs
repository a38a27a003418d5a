//! Files that change as a whole or not at all.

use anyhow::Context as _;
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

/// Puts this in the file's place. A link stays a link, and a file keeps its mode and its owner; a new one gets `mode`.
///
/// Errors: nothing has changed then.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let fail = || format!("cannot write `{}`", path.display());
    let (target, mode, owner) = match fs::canonicalize(path) {
        Ok(target) => {
            let now = fs::metadata(&target).with_context(fail)?;
            let permissions = now.permissions();
            // a rename would pass over it
            anyhow::ensure!(!permissions.readonly(), "`{}` is read-only: nothing is written", path.display());
            (target, permissions.mode() & 0o7777, Some((now.uid(), now.gid())))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => (path.to_owned(), mode, None),
        Err(e) => return Err(e).with_context(fail),
    };
    let mut new = target.as_os_str().to_owned();
    new.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(new);
    let written = write(&new, bytes, mode, owner).and_then(|()| fs::rename(&new, &target));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.with_context(fail)
}

/// Writes a file of its own, to be put in its place. Errors: what is there of it is to be removed.
pub(crate) fn write(new: &Path, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o600).open(new)?;
    let own = file.metadata()?;
    if let Some((user, group)) = owner.filter(|owner| *owner != (own.uid(), own.gid())) {
        fchown(&file, Some(user), Some(group))?;
    }
    // whatever the mask of this process is
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_file_is_stays_where_it_may_be_given_away() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("theirs");
        replace(&file, b"one", 0o600).unwrap();
        // only root may do that; for everybody else nothing is to be kept but what is so anyway
        let _ = std::os::unix::fs::chown(&file, Some(4242), Some(4243));
        let of = |path: &Path| fs::metadata(path).map(|of| (of.uid(), of.gid(), of.mode())).unwrap();
        let before = of(&file);
        replace(&file, b"two", 0o600).unwrap();
        assert_eq!((fs::read(&file).unwrap().as_slice(), of(&file)), (b"two".as_slice(), before));
    }

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
