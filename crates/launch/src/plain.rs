//! Opening files in whose place others may have put something else.

use nix::fcntl::OFlag;
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Opens a plain file for reading; a symbolic link is followed. Anything else in its place is refused at once: opening
/// a pipe would wait until somebody writes into it, and reading a device may never end.
///
/// Errors: it cannot be opened, or is no plain file.
pub fn open_plain(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::{sys::stat::Mode, unistd::mkfifo};
    use std::{io::Read as _, os::unix::fs::symlink};

    #[test]
    fn a_pipe_a_folder_and_a_device_are_refused_without_waiting_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        mkfifo(&pipe, Mode::from_bits_truncate(0o600)).unwrap();
        let link = dir.path().join("link");
        symlink(&pipe, &link).unwrap();
        for path in [pipe.as_path(), &link, dir.path(), Path::new("/dev/zero")] {
            let told = open_plain(path).unwrap_err();
            assert_eq!(told.to_string(), "it is not a plain file", "{}", path.display());
        }
        let missing = open_plain(&dir.path().join("none")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_link_to_a_plain_file_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "text").unwrap();
        symlink(&file, &link).unwrap();
        let mut text = String::new();
        open_plain(&link).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
    }
}
