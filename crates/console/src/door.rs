//! How people come in: links that are good once, and the sessions that they begin.

use crate::web::secret;
use aws_lc_rs::digest::{SHA256, digest};
use decision::{Clock, Entropy, Timestamp};
use parking_lot::Mutex;
use policy::Visitor;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a link is good.
pub const LINK_TIME: Duration = Duration::from_secs(10 * 60);
/// Links that are good at the same time; the oldest gives way.
const LINKS_MAX: usize = 64;
/// Sessions at the same time; the one that was not used for longest gives way.
const SESSIONS_MAX: usize = 1_024;
/// Wrong codes in one minute that are answered as such.
const GUESSES_MAX: u32 = 10;
const MINUTE_US: u64 = 60_000_000;

/// What is kept of a secret: enough to know it again.
type Print = [u8; 32];

fn print(secret: &str) -> Print {
    let mut print = [0; 32];
    for (to, from) in print.iter_mut().zip(digest(&SHA256, secret.as_bytes()).as_ref()) {
        *to = *from;
    }
    print
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Why nobody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shut {
    /// Used, expired, or never given.
    NoSuchLink,
    /// Too many were tried.
    TooMany,
}

/// Whom a link or a session is for: whoever had the name then. It may be taken away, and given to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) visitor: Visitor,
    /// When the person was added; nobody adds the operator.
    pub(crate) added: Option<Timestamp>,
}

/// Somebody who is in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) guest: Guest,
    /// What every form of this session carries.
    pub(crate) form_token: String,
    began: Timestamp,
    seen: Timestamp,
}

#[derive(Debug)]
struct Link {
    guest: Guest,
    until: Timestamp,
}

#[derive(Debug)]
struct Guesses {
    since: Timestamp,
    wrong: u32,
}

/// Links and sessions, in memory: a restart ends them all.
#[derive(Debug)]
pub(crate) struct Door {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    links: Mutex<BTreeMap<Print, Link>>,
    sessions: Mutex<BTreeMap<Print, Session>>,
    guesses: Mutex<Guesses>,
    /// Told whenever somebody leaves, so that pages of theirs that are open say so.
    left: watch::Sender<()>,
}

impl Door {
    pub(crate) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            clock,
            entropy,
            links: Mutex::default(),
            sessions: Mutex::default(),
            guesses: Mutex::new(Guesses { since: Timestamp(0), wrong: 0 }),
            left: watch::Sender::default(),
        }
    }

    /// A code that lets somebody in once.
    pub(crate) fn invite(&self, guest: Guest) -> String {
        let code = secret(&*self.entropy);
        let now = self.clock.now();
        let mut links = self.links.lock();
        links.retain(|_, link| link.until > now);
        if links.len() >= LINKS_MAX
            && let Some(oldest) = links.iter().min_by_key(|(_, link)| link.until).map(|(print, _)| *print)
        {
            links.remove(&oldest);
        }
        links.insert(print(&code), Link { guest, until: Timestamp(now.0.saturating_add(us(LINK_TIME))) });
        code
    }

    /// Spends a code.
    pub(crate) fn spend(&self, code: &str) -> Result<Guest, Shut> {
        let now = self.clock.now();
        let link = self.links.lock().remove(&print(code)).filter(|link| link.until > now);
        if let Some(Link { guest, .. }) = link {
            return Ok(guest);
        }
        // of 256 bits nobody guesses one; whoever tries must not keep out who has one
        let mut guesses = self.guesses.lock();
        if guesses.exhausted(now) {
            return Err(Shut::TooMany);
        }
        guesses.wrong += 1;
        Err(Shut::NoSuchLink)
    }

    /// Begins a session, with a token that nobody has seen before.
    pub(crate) fn begin(&self, guest: Guest) -> String {
        let now = self.clock.now();
        let (token, form_token) = (secret(&*self.entropy), secret(&*self.entropy));
        let mut sessions = self.sessions.lock();
        if sessions.len() >= SESSIONS_MAX
            && let Some(idlest) = sessions.iter().min_by_key(|(_, one)| one.seen).map(|(print, _)| *print)
        {
            sessions.remove(&idlest);
        }
        sessions.insert(print(&token), Session { guest, form_token, began: now, seen: now });
        token
    }

    /// The session of a token, which is used by this.
    pub(crate) fn session(&self, token: &str, idle: Duration, longest: Duration) -> Option<Session> {
        let now = self.clock.now();
        let key = print(token);
        let mut sessions = self.sessions.lock();
        let session = sessions.get_mut(&key)?;
        if now.since(session.seen) >= us(idle) || now.since(session.began) >= us(longest) {
            sessions.remove(&key);
            return None;
        }
        session.seen = now;
        Some(session.clone())
    }

    /// The session as it is, whether or not it still holds.
    pub(crate) fn peek(&self, token: &str) -> Option<Session> {
        self.sessions.lock().get(&print(token)).cloned()
    }

    /// Whether it is still there, without using it.
    pub(crate) fn holds(&self, token: &str, idle: Duration, longest: Duration) -> bool {
        let now = self.clock.now();
        self.sessions.lock().get(&print(token)).is_some_and(|session| {
            now.since(session.seen) < us(idle) && now.since(session.began) < us(longest)
        })
    }

    pub(crate) fn leave(&self, token: &str) {
        self.sessions.lock().remove(&print(token));
        self.left.send_replace(());
    }

    /// Changes whenever somebody leaves.
    pub(crate) fn left(&self) -> watch::Receiver<()> {
        self.left.subscribe()
    }
}

impl Guesses {
    fn exhausted(&mut self, now: Timestamp) -> bool {
        if now.since(self.since) >= MINUTE_US {
            *self = Self { since: now, wrong: 0 };
        }
        self.wrong >= GUESSES_MAX
    }
}
