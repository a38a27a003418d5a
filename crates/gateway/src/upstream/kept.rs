//! What a modern server calls public, read once for everybody who may read it (2026-07-28 `server/utilities/caching`).
//!
//! Lists need none of this: they are made from the accepted definitions. A read that is answered from here has taken
//! the whole path and is judged and recorded as any other; nothing is leased for it and nothing leaves.

use crate::gate::{Gate, Live};
use crate::resolve::Resolved;
use crate::settings::Authority;
use decision::{Era, ServerName};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wire::{Frame, Kind, Limits, Splice, json};

const ENTRIES_MAX: usize = 1_024;
const BYTES_MAX: usize = 16 << 20;
/// Largest result that is kept.
const RESULT_BYTES_MAX: usize = 1 << 20;
/// Longest that one is kept, whatever its server says.
const TTL_MAX: Duration = Duration::from_secs(60 * 60);
/// Longest address under which one is kept.
const URI_BYTES_MAX: usize = 4_096;

/// Members of `_meta` that a result does not depend on, or not where it is public.
const KNOWN_META: [&str; 7] = [
    wire::era::META_PROTOCOL_VERSION,
    wire::era::META_CLIENT_CAPABILITIES,
    wire::era::META_CLIENT_INFO,
    wire::era::META_LOG_LEVEL,
    wire::era::META_PROGRESS_TOKEN,
    "traceparent",
    "tracestate",
];

/// Every result that is kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    results: BTreeMap<Key, One>,
    bytes: usize,
    /// How often something was said to be other than it was: what was asked for before is not kept.
    changes: u64,
}

/// The server, and the address as it is asked for there.
type Key = (ServerName, String);

#[derive(Debug)]
struct One {
    frame: Frame,
    since: Instant,
    until: Instant,
    /// The versions of its credentials that were in force.
    secrets: Vec<u32>,
}

/// A result that answers for its server.
#[derive(Debug)]
pub(crate) struct Found {
    pub(super) frame: Frame,
    pub(super) age: Duration,
}

/// A place for the result of a read that goes out now.
#[derive(Debug)]
pub(crate) struct Place {
    key: Key,
    changes: u64,
    secrets: Vec<u32>,
}

/// Whether a read is answered from here.
#[derive(Debug)]
pub(crate) enum Look {
    Found(Found),
    /// Its server is asked, and what it says may be kept.
    Empty(Place),
    /// Its server is asked.
    Never,
}

impl Kept {
    /// Looks for the answer to a read.
    pub(crate) async fn look(&self, gate: &Gate, live: &Live, resolved: &Resolved) -> Look {
        let Some(key) = key(live, resolved) else { return Look::Never };
        let Ok(secrets) = gate.secrets.versions(gate, live, &key.0).await else { return Look::Never };
        let mut inner = self.inner.lock();
        let place = Place { key, changes: inner.changes, secrets };
        // a snapshot that is not in force any more may speak of another server under this name
        if differs(live, &gate.live(), &place.key.0) {
            return Look::Never;
        }
        let now = Instant::now();
        match inner.results.get(&place.key) {
            Some(one) if now < one.until && one.secrets == place.secrets => match one.remaining(now) {
                Some(frame) => Look::Found(Found { frame, age: now - one.since }),
                None => Look::Never,
            },
            Some(_) => {
                inner.remove(&place.key);
                Look::Empty(place)
            }
            None => Look::Empty(place),
        }
    }

    /// Keeps what a server said, where it says that everybody may have it.
    pub(super) fn keep(&self, place: Place, frame: &Frame) {
        let Some(ttl) = public_for(frame) else { return };
        let size = frame.bytes().len();
        if size > RESULT_BYTES_MAX {
            return;
        }
        let since = Instant::now();
        let one = One { frame: frame.clone(), since, until: since + ttl, secrets: place.secrets };
        let mut inner = self.inner.lock();
        if inner.changes != place.changes {
            return;
        }
        inner.remove(&place.key);
        inner.make_room(since, size);
        inner.bytes += size;
        inner.results.insert(place.key, one);
    }

    /// Nothing that a server said before holds any more.
    pub(crate) fn forget(&self, server: &ServerName) {
        self.inner.lock().forget(|of| of == server);
    }

    /// Puts another snapshot in force, by `put`, and with it forgets what may be other under it.
    pub(crate) fn renew(&self, before: &Live, after: &Live, put: impl FnOnce()) {
        let mut inner = self.inner.lock();
        put();
        let servers = before.catalogue.servers().map(|(server, _)| server);
        let changed: BTreeSet<&ServerName> = servers.filter(|of| differs(before, after, of)).collect();
        if !changed.is_empty() {
            inner.forget(|of| changed.contains(of));
        }
    }
}

impl Inner {
    fn forget(&mut self, is: impl Fn(&ServerName) -> bool) {
        self.changes += 1;
        self.results.retain(|(of, _), _| !is(of));
        self.bytes = self.results.values().map(One::bytes).sum();
    }

    fn remove(&mut self, key: &Key) {
        if let Some(one) = self.results.remove(key) {
            self.bytes -= one.bytes();
        }
    }

    /// What is over goes first, then what would be over first.
    fn make_room(&mut self, now: Instant, size: usize) {
        while self.results.len() >= ENTRIES_MAX || self.bytes + size > BYTES_MAX {
            let first = self.results.iter().min_by_key(|(_, one)| one.until.max(now));
            let Some(key) = first.map(|(key, _)| key.clone()) else { return };
            self.remove(&key);
        }
    }
}

impl One {
    fn bytes(&self) -> usize {
        self.frame.bytes().len()
    }

    /// The answer, with how much longer it holds.
    fn remaining(&self, now: Instant) -> Option<Frame> {
        let left = (self.until - now).as_millis().to_string();
        let splice = Splice::new(&self.frame).set_path(&["result", "ttlMs"], left);
        splice.finish_frame(&Limits::DEFAULT.with_bytes(u32::MAX as usize)).ok()
    }
}

/// Whether a server may be another under the one snapshot than under the other.
fn differs(one: &Live, other: &Live, server: &ServerName) -> bool {
    !Arc::ptr_eq(&one.settings, &other.settings)
        || one.catalogue.server(server) != other.catalogue.server(server)
        || one.peers.get(server) != other.peers.get(server)
}

/// Under which key a read is answered for everybody alike; `None` where it may be answered for one alone.
fn key(live: &Live, resolved: &Resolved) -> Option<Key> {
    let (frame, server) = (&resolved.frame, &resolved.target.server);
    if resolved.method.name != "resources/read" || resolved.way.era() != Era::Modern {
        return None;
    }
    let settings = live.settings.servers.get(server)?;
    // who asks must be nothing to the server, not even in an assertion
    if settings.authority != Authority::Shared || settings.assertion.is_some() {
        return None;
    }
    let params = frame.params_raw()?;
    let mut members = json::object_members(params);
    // also no `inputResponses`, no `requestState`: what is asked with them depends on them
    if !members.all(|(name, _)| name == "uri" || name == "_meta") {
        return None;
    }
    let meta = frame.at(&["params", "_meta"]).unwrap_or(b"{}");
    if !json::object_members(meta).all(|(name, _)| KNOWN_META.contains(&name.as_ref())) {
        return None;
    }
    let uri = frame.string_at(&["params", "uri"])?;
    (uri.len() <= URI_BYTES_MAX).then(|| (server.clone(), uri.into_owned()))
}

/// How long a result holds for everybody.
fn public_for(frame: &Frame) -> Option<Duration> {
    let complete = matches!(frame.string_at(&["result", "resultType"]).as_deref(), None | Some("complete"));
    if frame.kind() != Kind::Response || !complete {
        return None;
    }
    frame.string_at(&["result", "cacheScope"]).filter(|scope| scope == "public")?;
    let ttl: u64 = std::str::from_utf8(frame.at(&["result", "ttlMs"])?).ok()?.parse().ok()?;
    (ttl > 0).then(|| Duration::from_millis(ttl).min(TTL_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: usize, rest: &str) -> Frame {
        let text = "x".repeat(text);
        let frame =
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"contents":[{{"text":"{text}"}}]{rest}}}}}"#);
        Frame::scan(frame.into(), &Limits::DEFAULT.with_bytes(usize::MAX)).unwrap()
    }
    fn public(text: usize, ttl_ms: u64) -> Frame {
        answer(text, &format!(r#","cacheScope":"public","ttlMs":{ttl_ms},"resultType":"complete""#))
    }
    fn place(kept: &Kept, uri: &str) -> Place {
        let server = ServerName::new("docs").unwrap();
        let changes = kept.inner.lock().changes;
        Place { key: (server, uri.to_owned()), changes, secrets: Vec::new() }
    }
    fn size(kept: &Kept) -> (usize, usize) {
        let inner = kept.inner.lock();
        assert_eq!(inner.bytes, inner.results.values().map(One::bytes).sum::<usize>());
        (inner.results.len(), inner.bytes)
    }

    #[test]
    fn what_is_not_public_complete_and_lasting_is_not_kept() {
        let kept = Kept::default();
        for rest in [
            r#","cacheScope":"private","ttlMs":1000"#,
            r#","ttlMs":1000"#,
            r#","cacheScope":"public""#,
            r#","cacheScope":"public","ttlMs":0"#,
            r#","cacheScope":"public","ttlMs":-1"#,
            r#","cacheScope":"public","ttlMs":1e3"#,
            r#","cacheScope":"public","ttlMs":"1000""#,
            r#","cacheScope":"public","ttlMs":1000,"resultType":"input_required""#,
        ] {
            kept.keep(place(&kept, "a"), &answer(1, rest));
            assert_eq!(size(&kept), (0, 0), "{rest}");
        }
        kept.keep(place(&kept, "a"), &public(RESULT_BYTES_MAX, 1000));
        assert_eq!(size(&kept), (0, 0), "too large");
        kept.keep(place(&kept, "a"), &public(1, 1000));
        assert_eq!(size(&kept).0, 1);
    }

    #[test]
    fn what_was_asked_for_before_a_change_is_not_kept_after_it() {
        let kept = Kept::default();
        let before = place(&kept, "a");
        kept.keep(place(&kept, "b"), &public(1, 1000));
        kept.forget(&ServerName::new("docs").unwrap());
        kept.keep(before, &public(1, 1000));
        assert_eq!(size(&kept), (0, 0));
        kept.keep(place(&kept, "a"), &public(1, 1000));
        kept.forget(&ServerName::new("other").unwrap());
        assert_eq!(size(&kept).0, 1, "another server's");
    }

    #[test]
    fn entries_and_bytes_are_bounded_and_what_ends_first_goes_first() {
        let kept = Kept::default();
        for n in 0..ENTRIES_MAX + 10 {
            kept.keep(place(&kept, &n.to_string()), &public(1, 1_000 + n as u64));
        }
        assert_eq!(size(&kept).0, ENTRIES_MAX);
        let has = |uri: &str| {
            let key = place(&kept, uri).key;
            kept.inner.lock().results.contains_key(&key)
        };
        assert!(!has("0") && !has("9") && has("10") && has(&(ENTRIES_MAX + 9).to_string()));
        for n in 0..40 {
            kept.keep(place(&kept, &format!("big{n}")), &public(RESULT_BYTES_MAX / 2, 9_000_000));
            assert!(size(&kept).1 <= BYTES_MAX);
        }
        assert_eq!(size(&kept).0, 31, "as many as fit");
        let longest = kept.inner.lock().results.values().map(|one| one.until - one.since).max();
        assert_eq!(longest, Some(TTL_MAX));
    }
}
