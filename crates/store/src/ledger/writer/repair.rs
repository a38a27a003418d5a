//! After a failure: what is in the segment is read back, and what was never durable is cut off.

use super::Writer;
use crate::ledger::{
    disk::SegmentFile,
    error::{LedgerError, io_error},
    frame::ENTRY_BYTES_MAX,
    segment::{self, What},
};
use std::path::Path;

impl Writer {
    /// Opens the segment anew, reads back what was durable, and cuts off what never was.
    pub(super) fn repair(&mut self, distrusted: bool) -> Result<(), LedgerError> {
        let path = segment::path(&self.shared.dir, self.tail.number);
        let file = SegmentFile::open(&path, &self.options.disk).map_err(io_error("open", &path))?;
        let found = file.bytes().map_err(io_error("read", &path))?;
        if found < self.tail.bytes {
            return Err(self.lost("durable entries are gone from the segment"));
        }
        // before anything is cut: another file may be in its place
        self.is_as_written(&path)?;
        let left = |file: &SegmentFile| file.left(self.tail.bytes).map_err(io_error("look at", path.clone()));
        if found > self.tail.bytes && left(&file)?.is_another(&left(&self.tail.file)?) {
            return Err(self.lost("another file is in the segment's place, which goes on differently"));
        }
        if left(&file)?.is_another(&left(&self.tail.file)?) {
            // nothing was laid out in this one
            self.tail.laid_out.is_given_back();
        }
        self.tail.file = file;
        let cut = || self.tail.file.truncate(self.tail.bytes).map_err(io_error("cut", &path));
        // What is cut takes with it what was laid out.
        if found > self.tail.bytes {
            cut()?;
            self.tail.laid_out.is_given_back();
        }
        if !distrusted {
            // Room for any entry: what is called writable must not be full again with the next call. Were the
            // machine to stop here, zeros at the end are cut off like any unfinished group.
            let room = vec![0; ENTRY_BYTES_MAX];
            let written = self.tail.file.write_at(&room, self.tail.bytes).map_err(io_error("write", &path));
            let done = written.and(cut());
            self.tail.laid_out.is_given_back();
            // before anything else: nobody else is to have what was kept for how calls end
            let _ = self.lay_out(0);
            done?;
        }
        self.in_place(true)?;
        if distrusted && self.has_groups() { self.rotate() } else { Ok(()) }
    }

    /// Whether the segment holds what was durable, in its first bytes.
    fn is_as_written(&self, path: &Path) -> Result<(), LedgerError> {
        let mut bytes = segment::read(path)?;
        bytes.truncate(usize::try_from(self.tail.bytes).unwrap_or(usize::MAX));
        let mut tree = self.tree.clone();
        let (mark, mut next) = self.tail.start.clone();
        tree.back_to(mark);
        let header = segment::header(&bytes, self.tail.number, next, self.signer.public().id());
        let Some(header) = header.filter(|header| header.mac == next.last) else {
            return Err(self.lost("the segment's header is not what was written"));
        };
        let mut at = header.bytes();
        while let Ok(Some(group)) = segment::read_group(&bytes, at, next) {
            if group.first_fault().is_some() || !group.is_by(self.signer.macs()) {
                break;
            }
            for item in &group.items {
                if let What::Entry { leaf, .. } = item.what {
                    tree.push(leaf);
                }
            }
            (at, next) = (group.end, group.next);
        }
        if at != bytes.len() || next != self.next || tree.root() != self.tree.root() {
            return Err(self.lost("durable entries are not what was written"));
        }
        Ok(())
    }

    fn lost(&self, what: &str) -> LedgerError {
        LedgerError::Damaged {
            segment: self.tail.number,
            offset: self.tail.bytes,
            entry: self.tree.size(),
            what: what.to_owned(),
        }
    }
}
