//! Which servers cannot be looked at, since when and why: what the log says once, for whoever asks later.

use catalog::record::Absent;
use decision::{ServerName, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Longest reason that is kept, in characters: part of it may be a server's own words.
const BECAUSE_CHARS_MAX: usize = 300;

#[derive(Debug, Default)]
pub(crate) struct Absences(Mutex<BTreeMap<ServerName, Absent>>);

impl Absences {
    /// A look failed. It counts from the first that did.
    pub(crate) fn missed(&self, server: &ServerName, now: Timestamp, because: &str) {
        let because = because.chars().take(BECAUSE_CHARS_MAX).collect();
        let mut all = self.0.lock();
        let since = all.get(server).map_or(now, |known| known.since);
        all.insert(server.clone(), Absent { since, because });
    }

    /// It was looked at, or nobody looks at it any more.
    pub(crate) fn over(&self, server: &ServerName) {
        self.0.lock().remove(server);
    }

    pub(crate) fn all(&self) -> BTreeMap<ServerName, Absent> {
        self.0.lock().clone()
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
        absences.over(&server);
        assert!(absences.all().is_empty());
        absences.missed(&server, Timestamp(3), "refused");
        assert_eq!(absences.all()[&server].since, Timestamp(3));
    }
}
