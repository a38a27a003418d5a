//! Which servers cannot be looked at, since when and why: what the log says once, for whoever asks later.

use catalog::record::Absent;
use decision::{ServerName, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Longest reason that is kept, in characters: part of it may be a server's own words.
const BECAUSE_CHARS_MAX: usize = 300;

#[derive(Debug, Default)]
pub(crate) struct Absences(Mutex<BTreeMap<ServerName, (Absent, u32)>>);

impl Absences {
    /// A look failed. It counts from the first that did.
    pub(crate) fn missed(&self, server: &ServerName, now: Timestamp, because: &str) {
        let because = because.chars().take(BECAUSE_CHARS_MAX).collect();
        let mut all = self.0.lock();
        let (since, before) = all.get(server).map_or((now, 0), |(known, failed)| (known.since, *failed));
        all.insert(server.clone(), (Absent { since, because }, before.saturating_add(1)));
    }

    /// It was looked at, or nobody looks at it any more.
    pub(crate) fn over(&self, server: &ServerName) {
        self.0.lock().remove(server);
    }

    pub(crate) fn all(&self) -> BTreeMap<ServerName, Absent> {
        self.0.lock().iter().map(|(server, (absent, _))| (server.clone(), absent.clone())).collect()
    }

    pub(crate) fn is_away(&self, server: &ServerName) -> bool {
        self.0.lock().contains_key(server)
    }

    /// How many looks have failed since one that did not.
    pub(crate) fn failed(&self, server: &ServerName) -> u32 {
        self.0.lock().get(server).map_or(0, |(_, failed)| *failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_begins_with_the_first_look_that_failed_and_ends_with_one_that_did_not() {
        let (absences, server) = (Absences::default(), ServerName::new("crm").unwrap());
        absences.missed(&server, Timestamp(1), "refused");
        absences.missed(&server, Timestamp(2), &"x".repeat(1_000));
        let all = absences.all();
        assert_eq!((all[&server].since, all[&server].because.len()), (Timestamp(1), 300));
        assert_eq!(absences.failed(&server), 2);
        absences.over(&server);
        assert_eq!(absences.failed(&server), 0);
        assert!(absences.all().is_empty());
        absences.missed(&server, Timestamp(3), "refused");
        assert_eq!(absences.all()[&server].since, Timestamp(3));
    }
}
