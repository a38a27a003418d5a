//! Requests of whoever is nobody here: recorded one by one as long as they are few, and beyond that counted, so that nobody
//! outside has everybody's record grow at will. What was counted gets an entry of its own, once a minute at most.

use crate::gate::{Gate, Live};
use crate::record;
use decision::{Clock, Code, EventName, Refusal, Timestamp};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Weak},
    time::Duration,
};
use store::{Scope, ledger::Ledger};

/// Addresses of which is remembered how much they asked lately.
const PEERS_MAX: usize = 4_096;
/// Addresses that are told apart in one count.
const COUNTED_MAX: usize = 1_024;
/// Codes that one entry names; the rest is one number.
const CODES_MAX: usize = 20;
/// Between two entries of what was counted.
const PERIOD: Duration = Duration::from_secs(60);

/// How many at once, and how long it takes until there is room for one more.
#[derive(Debug, Clone, Copy)]
struct Pace {
    at_once: u64,
    every_us: u64,
}

const OF_ONE: Pace = Pace { at_once: 20, every_us: 10_000_000 };
const OF_ALL: Pace = Pace { at_once: 100, every_us: 1_000_000 };

/// A token bucket, as the time at which it would be full, in microseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// How long until it is full: where the clock was set back no longer than for an empty one.
    fn lacks(&mut self, pace: Pace, now: Timestamp) -> u64 {
        let longest = now.0.saturating_add(pace.at_once.saturating_mul(pace.every_us));
        self.full_at = self.full_at.min(longest);
        self.full_at.saturating_sub(now.0)
    }
    fn has_one(&mut self, pace: Pace, now: Timestamp) -> bool {
        self.lacks(pace, now) <= pace.at_once.saturating_sub(1).saturating_mul(pace.every_us)
    }
    fn take_one(&mut self, pace: Pace, now: Timestamp) {
        let lacks = self.lacks(pace, now).saturating_add(pace.every_us);
        self.full_at = now.0.saturating_add(lacks);
    }
}

/// Whoever has one address of IPv6 has its /64; none where it came over no network.
type Peer = Option<IpAddr>;

fn peer(address: Option<IpAddr>) -> Peer {
    Some(match address?.to_canonical() {
        IpAddr::V6(one) => IpAddr::V6(Ipv6Addr::from(u128::from(one) >> 64 << 64)),
        one @ IpAddr::V4(_) => one,
    })
}

/// What was not recorded one by one.
#[derive(Debug, Default)]
struct Counted {
    /// The first and the last.
    between: Option<(Timestamp, Timestamp)>,
    codes: BTreeMap<Code, u64>,
    peers: BTreeSet<Peer>,
    /// There were more addresses than are told apart.
    more_peers: bool,
    /// Questions to a provider about tokens that were none.
    questions: u64,
}

impl Counted {
    fn at(&mut self, now: Timestamp) {
        let (first, last) = self.between.unwrap_or((now, now));
        self.between = Some((first.min(now), last.max(now)));
    }

    fn of(&mut self, peer: Peer) {
        if self.peers.len() < COUNTED_MAX {
            self.peers.insert(peer);
        } else {
            self.more_peers |= !self.peers.contains(&peer);
        }
    }

    fn add(&mut self, code: Code, count: u64) {
        let counted = self.codes.entry(code).or_default();
        *counted = counted.saturating_add(count);
    }

    /// What could not be told is told with what came meanwhile.
    fn take_in(&mut self, earlier: Self) {
        if let Some((first, last)) = earlier.between {
            self.at(first);
            self.at(last);
        }
        earlier.codes.into_iter().for_each(|(code, count)| self.add(code, count));
        earlier.peers.into_iter().for_each(|peer| self.of(peer));
        self.more_peers |= earlier.more_peers;
        self.questions = self.questions.saturating_add(earlier.questions);
    }

    /// As an entry has it.
    fn detail(&self) -> BTreeMap<String, String> {
        let refused = self.codes.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let (first, last) = self.between.unwrap_or((Timestamp(0), Timestamp(0)));
        let mut codes: Vec<_> = self.codes.iter().collect();
        codes.sort_by_key(|(code, count)| (std::cmp::Reverse(**count), **code));
        let rest = codes.split_off(codes.len().min(CODES_MAX));
        let mut named: Vec<_> =
            codes.iter().map(|(code, count)| format!("{} {count}", code.as_str())).collect();
        if !rest.is_empty() {
            let rest = rest.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(**count));
            named.push(format!("others {rest}"));
        }
        let more = if self.more_peers { " or more" } else { "" };
        let mut detail = BTreeMap::from([
            ("refused".to_owned(), refused.to_string()),
            ("from".to_owned(), first.0.to_string()),
            ("to".to_owned(), last.0.to_string()),
            ("addresses".to_owned(), format!("{}{more}", self.peers.len())),
            ("codes".to_owned(), named.join(", ")),
        ]);
        if self.questions > 0 {
            detail.insert("questions".to_owned(), self.questions.to_string());
        }
        detail
    }
}

#[derive(Debug, Default)]
struct Known {
    all: Bucket,
    peers: BTreeMap<Peer, Bucket>,
    /// When it was looked last which addresses can be forgotten.
    swept_at: u64,
    questions: Bucket,
    counted: Counted,
    /// Somebody will tell what is counted.
    is_told: bool,
}

impl Known {
    fn takes(&mut self, peer: Peer, now: Timestamp) -> bool {
        // both are asked: each finds out here that the clock was set back
        let (all, own) = (self.all.has_one(OF_ALL, now), self.peers.get_mut(&peer));
        if !own.is_none_or(|own| own.has_one(OF_ONE, now)) || !all {
            return false;
        }
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer) {
            self.sweep(now);
        }
        self.all.take_one(OF_ALL, now);
        // where there is no room, what all have together is the bound
        if self.peers.len() < PEERS_MAX || self.peers.contains_key(&peer) {
            self.peers.entry(peer).or_default().take_one(OF_ONE, now);
        }
        true
    }

    /// Forgets those who have all their room again: they are like anybody who was never here.
    fn sweep(&mut self, now: Timestamp) {
        if now.0.abs_diff(self.swept_at) >= OF_ALL.every_us {
            self.swept_at = now.0;
            self.peers.retain(|_, bucket| bucket.lacks(OF_ONE, now) > 0);
        }
    }
}

/// What is remembered of them.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<Known>);

impl Strangers {
    /// Whether a refusal is recorded by itself. `Err(true)` where it is counted and nobody tells yet what is.
    fn refused(&self, address: Option<IpAddr>, code: Code, now: Timestamp) -> Result<(), bool> {
        let peer = peer(address);
        let mut known = self.0.lock();
        if known.takes(peer, now) {
            return Ok(());
        }
        known.counted.at(now);
        known.counted.of(peer);
        known.counted.add(code, 1);
        Err(!std::mem::replace(&mut known.is_told, true))
    }

    /// Whether a question to a provider about a token that nobody knows is recorded before it is put.
    pub(crate) fn may_ask(&self, now: Timestamp) -> bool {
        let mut known = self.0.lock();
        let has_one = known.questions.has_one(OF_ALL, now);
        if has_one {
            known.questions.take_one(OF_ALL, now);
        }
        has_one
    }

    /// Counts one that was not. True where nobody tells yet what is counted.
    fn asked(&self, now: Timestamp) -> bool {
        let mut known = self.0.lock();
        known.counted.at(now);
        known.counted.questions = known.counted.questions.saturating_add(1);
        !std::mem::replace(&mut known.is_told, true)
    }

    /// Writes what was counted. Errors: it could not be written, and is still counted.
    async fn tell(&self, ledger: &Ledger, scope: &Scope, now: Timestamp) -> Result<(), Refusal> {
        let counted = std::mem::take(&mut self.0.lock().counted);
        if counted.between.is_none() {
            return Ok(());
        }
        let detail = counted.detail();
        let record = record::event_entry(scope, now, EventName::StrangersRefused, (None, None), detail);
        let written = match record {
            Ok(record) => ledger.append(vec![record]).await.map(drop).map_err(record::unwritten),
            Err(refusal) => Err(refusal),
        };
        if written.is_err() {
            self.0.lock().counted.take_in(counted);
        }
        written
    }

    /// Whether nothing is counted; then nobody tells any more.
    fn rests(&self) -> bool {
        let mut known = self.0.lock();
        known.is_told = known.counted.between.is_some();
        !known.is_told
    }

    async fn tell_each_period(&self, ledger: &Weak<Ledger>, clock: &Arc<dyn Clock>, scope: &Scope) {
        loop {
            tokio::time::sleep(PERIOD).await;
            // whoever closes the ledger does not wait for this
            let Some(ledger) = ledger.upgrade() else { return };
            // what cannot be written now is with the next
            let _ = self.tell(&ledger, scope, clock.now()).await;
            if self.rests() {
                return;
            }
        }
    }
}

/// Whether this refusal is recorded by itself; else it is counted, and what is counted is told within a minute.
pub(crate) fn is_recorded(gate: &Gate, live: &Live, address: Option<IpAddr>, code: Code) -> bool {
    match gate.strangers.refused(address, code, gate.clock.now()) {
        Ok(()) => true,
        Err(begins) => {
            tell_if(begins, gate, live);
            false
        }
    }
}

/// Counts a question to a provider that was put and is not recorded.
pub(crate) fn count_question(gate: &Gate, live: &Live) {
    tell_if(gate.strangers.asked(gate.clock.now()), gate, live);
}

fn tell_if(begins: bool, gate: &Gate, live: &Live) {
    if begins {
        let (strangers, clock) = (Arc::clone(&gate.strangers), Arc::clone(&gate.clock));
        let (ledger, scope) = (Arc::downgrade(&gate.ledger), live.settings.scope());
        tokio::spawn(async move { strangers.tell_each_period(&ledger, &clock, &scope).await });
    }
}

/// Writes what was counted of strangers since the last entry of it, for a gateway that stops. Errors: it is not in the record.
pub async fn tell_strangers(gate: &Gate) -> Result<(), Refusal> {
    gate.strangers.tell(&gate.ledger, &gate.live().settings.scope(), gate.clock.now()).await
}

#[cfg(test)]
mod tests;
