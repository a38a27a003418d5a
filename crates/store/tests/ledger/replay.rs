//! A disk that forgets: from a trace of what a program wrote, what the loss of the page cache may leave.
//!
//! Bytes are safe when a sync of their file has returned, a name when one of its folder has. Everything else may
//! be there, not at all, or in part, sector by sector and in any order.

use crate::trace::Call;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The least that a disk writes at once.
const SECTOR: usize = 512;

/// Which of the unsynced writes and names the crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    Everything,
    /// Each name, and each sector of each write, as the dice fall.
    Torn,
    /// Files are as long as they were to become, with zeros where bytes are missing, as some file systems leave it.
    Zeros,
}

pub(crate) const LEFT: [Left; 4] = [Left::Nothing, Left::Everything, Left::Torn, Left::Zeros];

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Cut { bytes: usize },
}

#[derive(Debug, Clone, Default)]
struct Inode {
    /// What a sync that returned has made safe.
    safe: Vec<u8>,
    unsafe_changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Naming {
    Folder(PathBuf),
    File(PathBuf, usize),
    Gone(PathBuf),
    Moved(PathBuf, PathBuf),
}

impl Naming {
    fn folder(&self) -> &Path {
        let (Self::Folder(path) | Self::File(path, _) | Self::Gone(path) | Self::Moved(path, _)) = self;
        path.parent().unwrap()
    }
}

type Names = BTreeMap<PathBuf, Option<usize>>;

/// The files under one folder, as the program sees them and as the disk has them.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    root: PathBuf,
    inodes: Vec<Inode>,
    /// A name leads to a file's number, or to nothing: a folder.
    seen: Names,
    safe: Names,
    unsafe_names: Vec<Naming>,
    /// Where a plain `write` goes on, by descriptor.
    cursors: BTreeMap<i64, usize>,
}

impl Model {
    /// Starts with what is in `root` now, all of it safe.
    pub(crate) fn of(root: &Path) -> Self {
        let mut model = Self {
            root: root.to_owned(),
            inodes: Vec::new(),
            seen: Names::new(),
            safe: Names::new(),
            unsafe_names: Vec::new(),
            cursors: BTreeMap::new(),
        };
        let mut left = if root.exists() { vec![root.to_owned()] } else { Vec::new() };
        while let Some(folder) = left.pop() {
            model.seen.insert(folder.clone(), None);
            for entry in fs::read_dir(&folder).unwrap().flatten() {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    left.push(entry.path());
                } else if kind.is_file() {
                    let safe = fs::read(entry.path()).unwrap();
                    model.inodes.push(Inode { safe, unsafe_changes: Vec::new() });
                    model.seen.insert(entry.path(), Some(model.inodes.len() - 1));
                }
            }
        }
        model.safe = model.seen.clone();
        model
    }

    fn name(&mut self, naming: Naming) {
        apply(&mut self.seen, &naming);
        self.unsafe_names.push(naming);
    }

    fn inode(&mut self, path: &Path) -> Option<&mut Inode> {
        let number = self.seen.get(path).copied().flatten()?;
        self.inodes.get_mut(number)
    }

    /// What one call changed, once it has begun; whether it counts as done is not asked of a write.
    pub(crate) fn take(&mut self, call: &Call) {
        let mine = |path: &Path| path.starts_with(&self.root);
        let texts: Vec<PathBuf> =
            call.texts.iter().map(|text| PathBuf::from(String::from_utf8_lossy(text).into_owned())).collect();
        let on = PathBuf::from(&call.on);
        match call.name.as_str() {
            "openat" | "open" | "creat" if call.succeeded() => {
                let path = PathBuf::from(&call.opened);
                self.cursors.insert(call.returned.unwrap(), 0);
                let is_new = mine(&path) && call.words.contains("O_CREAT") && !self.seen.contains_key(&path);
                if is_new {
                    self.inodes.push(Inode::default());
                    self.name(Naming::File(path.clone(), self.inodes.len() - 1));
                }
                if call.words.contains("O_TRUNC")
                    && let Some(inode) = self.inode(&path)
                {
                    inode.unsafe_changes.push(Change::Cut { bytes: 0 });
                }
            }
            "mkdir" | "mkdirat" if call.succeeded() => {
                let path = texts.last().unwrap().clone();
                if mine(&path) {
                    self.name(Naming::Folder(path));
                }
            }
            "rename" | "renameat" | "renameat2" if call.succeeded() => {
                if let [from, to] = texts.as_slice()
                    && mine(from)
                {
                    self.name(Naming::Moved(from.clone(), to.clone()));
                }
            }
            "unlink" | "unlinkat" if call.succeeded() => {
                let path = texts.last().unwrap().clone();
                if mine(&path) {
                    self.name(Naming::Gone(path));
                }
            }
            "ftruncate" if call.succeeded() => {
                let bytes = usize::try_from(*call.numbers.last().unwrap()).unwrap();
                if let Some(inode) = self.inode(&on) {
                    inode.unsafe_changes.push(Change::Cut { bytes });
                }
            }
            "lseek" if call.succeeded() => {
                self.cursors.insert(call.fd.unwrap(), usize::try_from(call.returned.unwrap()).unwrap());
            }
            "pwrite64" | "write" | "writev" if mine(&on) => self.write(call, &on),
            "fsync" | "fdatasync" if call.succeeded() && mine(&on) => self.sync(&on),
            other => assert!(
                !mine(&on) || call.reads() || !call.writes(),
                "the model does not know what `{other}` does to a file"
            ),
        }
    }

    fn write(&mut self, call: &Call, on: &Path) {
        let bytes = call.bytes();
        let offset = match call.name.as_str() {
            "pwrite64" => usize::try_from(*call.numbers.last().unwrap()).unwrap(),
            _ => {
                let cursor = self.cursors.entry(call.fd.unwrap()).or_default();
                *cursor += bytes.len();
                *cursor - bytes.len()
            }
        };
        if let Some(inode) = self.inode(on) {
            inode.unsafe_changes.push(Change::Write { offset, bytes });
        }
    }

    fn sync(&mut self, on: &Path) {
        if let Some(inode) = self.inode(on) {
            for change in std::mem::take(&mut inode.unsafe_changes) {
                change_whole(&mut inode.safe, &change);
            }
            return;
        }
        let all = std::mem::take(&mut self.unsafe_names);
        for naming in all {
            if naming.folder() == on {
                apply(&mut self.safe, &naming);
            } else {
                self.unsafe_names.push(naming);
            }
        }
    }

    /// Puts into `out` what a machine that stops now may find in the folder afterwards. Names that `skip` says so
    /// of are left out.
    pub(crate) fn image(
        &self,
        out: &Path,
        left: Left,
        roll: &mut dyn FnMut(u64) -> u64,
        skip: fn(&Path) -> bool,
    ) {
        let mut names = self.safe.clone();
        for naming in &self.unsafe_names {
            let stays = match left {
                Left::Nothing => false,
                Left::Everything => true,
                Left::Torn | Left::Zeros => roll(2) == 1,
            };
            if stays {
                apply(&mut names, naming);
            }
        }
        for (path, number) in &names {
            let Ok(inside) = path.strip_prefix(&self.root) else { continue };
            let target = out.join(inside);
            // a name in a folder that is not there leads nowhere
            let reachable =
                path == &self.root || names.get(path.parent().unwrap()).is_some_and(Option::is_none);
            match number {
                _ if !reachable || skip(path) => {}
                None => fs::create_dir_all(target).unwrap(),
                Some(number) => {
                    if target.parent().unwrap().is_dir() {
                        fs::write(target, self.inodes[*number].left(left, roll)).unwrap();
                    }
                }
            }
        }
    }
}

fn apply(names: &mut Names, naming: &Naming) {
    match naming {
        Naming::Folder(path) => {
            names.insert(path.clone(), None);
        }
        Naming::File(path, number) => {
            names.insert(path.clone(), Some(*number));
        }
        Naming::Gone(path) => {
            names.remove(path);
        }
        Naming::Moved(from, to) => {
            if let Some(number) = names.remove(from) {
                names.insert(to.clone(), number);
            }
        }
    }
}

fn change_whole(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Cut { bytes: length } => bytes.resize(*length, 0),
        Change::Write { offset, bytes: new } => put(bytes, *offset, new),
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    if bytes.len() < offset + new.len() {
        bytes.resize(offset + new.len(), 0);
    }
    bytes[offset..offset + new.len()].copy_from_slice(new);
}

impl Inode {
    fn left(&self, left: Left, roll: &mut dyn FnMut(u64) -> u64) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        for change in &self.unsafe_changes {
            match (left, change) {
                (Left::Nothing, _) => {}
                (Left::Everything, change) => change_whole(&mut bytes, change),
                (Left::Torn | Left::Zeros, Change::Cut { bytes: length }) => {
                    if roll(2) == 1 {
                        bytes.resize(*length, 0);
                    }
                }
                (Left::Torn | Left::Zeros, Change::Write { offset, bytes: new }) => {
                    if left == Left::Zeros && bytes.len() < offset + new.len() {
                        bytes.resize(offset + new.len(), 0);
                    }
                    let mut at = 0;
                    while at < new.len() {
                        let end = (at + SECTOR - (offset + at) % SECTOR).min(new.len());
                        if roll(2) == 1 {
                            put(&mut bytes, offset + at, &new[at..end]);
                        }
                        at = end;
                    }
                }
            }
        }
        bytes
    }
}
