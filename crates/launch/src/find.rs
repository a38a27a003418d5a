//! Which file a command means.

use crate::{Command, LaunchError};
use nix::{errno::Errno, unistd::AccessFlags};
use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// The file to execute: a path as it is, a bare name from the first directory of the server's own
/// PATH that has an executable file of that name.
pub(crate) fn find(program: &OsStr, path: Option<&OsStr>) -> io::Result<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(program));
    }
    let mut found = std::env::split_paths(path.unwrap_or_default())
        .filter(|directory| directory.is_absolute())
        .map(|d| d.join(program));
    found.find(|file| is_runnable(file)).ok_or_else(|| io::Error::from_raw_os_error(Errno::ENOENT as i32))
}

fn is_runnable(file: &Path) -> bool {
    file.is_file() && nix::unistd::access(file, AccessFlags::X_OK).is_ok()
}

impl Command {
    /// Whether it could be started here, by what can be seen without starting it.
    ///
    /// Errors: what a start would say.
    pub fn look(&self) -> Result<(), LaunchError> {
        let cwd = self.cwd.as_deref().unwrap_or(Path::new("."));
        if self.cwd.is_some() && !cwd.is_dir() {
            let kind = if cwd.exists() { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound };
            return Err(LaunchError::Directory { cwd: cwd.to_owned(), source: kind.into() });
        }
        let program = self.program.to_string_lossy().into_owned();
        let path = self.env.get("PATH").map(|value| OsString::from(OsStr::from_bytes(value.as_bytes())));
        match find(&self.program, path.as_deref()).map(|file| cwd.join(file)) {
            Ok(file) if is_runnable(&file) => Ok(()),
            Ok(file) if file.is_file() => Err(LaunchError::NotExecutable { program }),
            Ok(_) | Err(_) => Err(LaunchError::NotFound { program }),
        }
    }
}
