//! What providers said about opaque tokens: each asked about once for everybody who waits, remembered for a short
//! while by digest, and never in a flood.
//!
//! Strangers, of whom nothing is known, have an allowance. A token that was good before is asked about again beside
//! it, so that made-up tokens cannot keep people out who are in.

use super::Verified;
use decision::{Class, Code, Digest, Refusal, Timestamp};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// Most good tokens that are remembered, and most others.
const GOOD_MAX: usize = 4_096;
const BAD_MAX: usize = 4_096;
/// How long a no is remembered, at most.
const BAD_FOR: Duration = Duration::from_secs(5);
/// One stranger in this time, and so many at once.
const STRANGER_EVERY: Duration = Duration::from_millis(50);
const STRANGERS_AT_ONCE: u32 = 64;
/// Most questions under way, and most of them about strangers.
const ASKING_MAX: usize = 64;
const STRANGERS_ASKING_MAX: usize = 32;
/// How long a token is not asked about again after the question failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How long no stranger is asked about after the provider did not let the gateway in.
const PAUSE_REFUSED: Duration = Duration::from_secs(2);

/// A token found good, or why it is not.
pub(super) type Outcome = Result<Arc<Verified>, Refusal>;
type Awaited = watch::Receiver<Option<Outcome>>;

/// All that is known of one provider's opaque tokens.
#[derive(Debug)]
pub(super) struct Book {
    /// How long a yes is used.
    cache: Duration,
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    good: BTreeMap<Digest, Good>,
    bad: BTreeMap<Digest, (Refusal, Instant)>,
    asking: BTreeMap<Digest, Awaited>,
    /// When the next stranger would be due, were none in a hurry.
    due: Instant,
    /// Why the gateway is not let in, and until when that is the answer to strangers. No other fault is held against
    /// more than its own token: whoever finds one that the provider stumbles over must not keep others out.
    fault: Option<(Refusal, Instant)>,
}

#[derive(Debug)]
struct Good {
    token: Arc<Verified>,
    /// From when on a stream asks again while it goes on, and until when the yes is used.
    again: Instant,
    until: Instant,
}

/// What is to be done about a token.
#[derive(Debug)]
pub(super) enum Next {
    Known(Outcome),
    /// Somebody asks already.
    Wait(Awaited),
    /// It is the caller's turn to ask.
    Ask(Turn),
}

/// The one question about a token that is under way. Dropped without an answer, those who wait are told that.
#[derive(Debug)]
pub(super) struct Turn {
    book: Arc<Book>,
    id: Digest,
    /// Nobody knows the token.
    pub(super) strange: bool,
    answer: watch::Sender<Option<Outcome>>,
}

impl Book {
    pub(super) fn new(cache: Duration) -> Arc<Self> {
        let pages = Pages {
            good: BTreeMap::new(),
            bad: BTreeMap::new(),
            asking: BTreeMap::new(),
            due: Instant::now(),
            fault: None,
        };
        Arc::new(Self { cache, pages: Mutex::new(pages) })
    }

    /// What is known now; else whose turn it is to ask.
    pub(super) fn look(self: &Arc<Self>, id: Digest) -> Next {
        let now = Instant::now();
        let mut pages = self.pages.lock();
        if let Some(good) = pages.good.get(&id).filter(|good| now < good.until) {
            return Next::Known(Ok(Arc::clone(&good.token)));
        }
        if let Some((refusal, _)) = pages.bad.get(&id).filter(|(_, until)| now < *until) {
            return Next::Known(Err(refusal.clone()));
        }
        self.turn(&mut pages, id, now)
    }

    /// The turn to ask ahead of time about a token that is still good, where that is due and nobody does it; and what
    /// is known of it meanwhile.
    pub(super) fn ahead(self: &Arc<Self>, id: Digest) -> Option<(Turn, Arc<Verified>)> {
        let now = Instant::now();
        let mut pages = self.pages.lock();
        let due = pages.good.get(&id).filter(|good| good.again <= now && now < good.until);
        let known = Arc::clone(&due?.token);
        let failed = pages.bad.get(&id).is_some_and(|(_, until)| now < *until);
        if failed {
            return None;
        }
        match self.turn(&mut pages, id, now) {
            Next::Ask(turn) => Some((turn, known)),
            Next::Known(_) | Next::Wait(_) => None,
        }
    }

    fn turn(self: &Arc<Self>, pages: &mut Pages, id: Digest, now: Instant) -> Next {
        if let Some(waiting) = pages.asking.get(&id) {
            return Next::Wait(waiting.clone());
        }
        let strange = !pages.good.contains_key(&id);
        if let Some((refusal, _)) = pages.fault.as_ref().filter(|(_, until)| strange && now < *until) {
            return Next::Known(Err(refusal.clone()));
        }
        let most = if strange { STRANGERS_ASKING_MAX } else { ASKING_MAX };
        if pages.asking.len() >= most || (strange && !pages.may_be_strange(now)) {
            let because = "the provider is asked about as many tokens as it may be";
            return Next::Known(Err(Refusal::new(Code::ProviderBusy, because)));
        }
        let (answer, waiting) = watch::channel(None);
        pages.asking.insert(id, waiting);
        Next::Ask(Turn { book: Arc::clone(self), id, strange, answer })
    }
}

impl Pages {
    /// Whether another stranger fits into the allowance, which this spends.
    fn may_be_strange(&mut self, now: Instant) -> bool {
        let due = self.due.max(now);
        let fits = due.duration_since(now) <= STRANGER_EVERY * (STRANGERS_AT_ONCE - 1);
        if fits {
            self.due = due + STRANGER_EVERY;
        }
        fits
    }

    fn keep_good(&mut self, id: Digest, good: Good, now: Timestamp) {
        let fresh = Instant::now();
        if self.good.len() >= GOOD_MAX && !self.good.contains_key(&id) {
            self.good.retain(|_, good| fresh < good.until && !good.token.times.is_over(now));
            if self.good.len() >= GOOD_MAX {
                self.good.pop_first();
            }
        }
        self.good.insert(id, good);
    }

    fn keep_bad(&mut self, id: Digest, refusal: Refusal, until: Instant) {
        if self.bad.len() >= BAD_MAX {
            let now = Instant::now();
            self.bad.retain(|_, (_, until)| now < *until);
            if self.bad.len() >= BAD_MAX {
                self.bad.pop_first();
            }
        }
        self.bad.insert(id, (refusal, until));
    }
}

impl Turn {
    /// For whoever waits for the answer.
    pub(super) fn awaited(&self) -> Awaited {
        self.answer.subscribe()
    }

    /// Writes down what came of it and tells everybody. A yes is not used beyond the token's own end, and counts
    /// from `asked`, when the question left.
    pub(super) fn done(self, outcome: Outcome, asked: Instant, now: Timestamp) {
        let cache = self.book.cache;
        let mut pages = self.book.pages.lock();
        match &outcome {
            Ok(token) => {
                let left = Duration::from_micros(Timestamp(token.times.expires).since(now));
                let lasts = cache.min(left);
                pages.bad.remove(&self.id);
                if lasts.is_zero() {
                    pages.good.remove(&self.id);
                } else {
                    let good =
                        Good { token: Arc::clone(token), again: asked + lasts / 2, until: asked + lasts };
                    pages.keep_good(self.id, good, now);
                }
                pages.fault = None;
            }
            Err(refusal) if refusal.code.class() == Class::Authentication => {
                pages.good.remove(&self.id);
                pages.keep_bad(self.id, refusal.clone(), Instant::now() + cache.min(BAD_FOR));
                pages.fault = None;
            }
            // nothing was learnt of the token
            Err(refusal) => {
                pages.keep_bad(self.id, refusal.clone(), Instant::now() + PAUSE);
                if refusal.code == Code::ProviderRefused {
                    pages.fault = Some((refusal.clone(), Instant::now() + PAUSE_REFUSED));
                }
            }
        }
        pages.asking.remove(&self.id);
        drop(pages);
        self.answer.send_replace(Some(outcome));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // another turn may have begun since this one was done
        if self.answer.borrow().is_none() {
            self.book.pages.lock().asking.remove(&self.id);
        }
    }
}

/// Waits for the answer to a question that is under way. Errors: it was given up, or the token is not good.
pub(super) async fn wait(mut awaited: Awaited) -> Outcome {
    let answered = awaited.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
    answered.unwrap_or_else(|| Err(Refusal::new(Code::StageFailed, "a question about a token was given up")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{Granted, Oauth, verified::Times};
    use decision::Principal;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn id(n: usize) -> Digest {
        Digest::of(&n.to_be_bytes())
    }
    fn good(seconds: i64) -> Arc<Verified> {
        let exp = (NOW.0 / 1_000_000).saturating_add_signed(seconds);
        let claims = json!({ "exp": exp });
        let oauth =
            Oauth { public_url: String::new(), enforce_scopes: false, ask: Vec::new(), issuers: Vec::new() };
        Arc::new(Verified {
            oauth: Arc::new(oauth),
            issuer: String::new(),
            key: None,
            audience: Vec::new(),
            times: Times::read(claims.as_object().unwrap(), Duration::from_secs(60)).unwrap(),
            principal: Arc::new(Principal::unknown()),
            host: None,
            bound_to: None,
            scopes: Granted::default(),
            described: String::new(),
        })
    }
    fn no(code: Code) -> Outcome {
        Err(Refusal::new(code, "no"))
    }
    fn turn(book: &Arc<Book>, id: Digest) -> Turn {
        match book.look(id) {
            Next::Ask(turn) => turn,
            other @ (Next::Known(_) | Next::Wait(_)) => panic!("{other:?}"),
        }
    }
    fn known(book: &Arc<Book>, id: Digest) -> Option<Result<(), Code>> {
        match book.look(id) {
            Next::Known(outcome) => Some(outcome.map(|_| ()).map_err(|refusal| refusal.code)),
            Next::Wait(_) | Next::Ask(_) => None,
        }
    }
    fn book(cache: Duration) -> Arc<Book> {
        Book::new(cache)
    }

    #[tokio::test]
    async fn one_asks_and_everybody_hears_it() {
        let book = book(Duration::from_secs(30));
        let turn = turn(&book, id(1));
        let waits: Vec<_> = (0..3).map(|_| book.look(id(1))).collect();
        turn.done(Ok(good(300)), Instant::now(), NOW);
        for next in waits {
            let Next::Wait(awaited) = next else { panic!("{next:?}") };
            assert!(wait(awaited).await.is_ok());
        }
        assert_eq!(known(&book, id(1)), Some(Ok(())));
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_leaves_nobody_waiting_and_can_be_asked_again() {
        let book = book(Duration::from_secs(30));
        let turn_1 = turn(&book, id(1));
        let Next::Wait(awaited) = book.look(id(1)) else { panic!() };
        drop(turn_1);
        assert_eq!(wait(awaited).await.unwrap_err().code, Code::StageFailed);
        drop(turn(&book, id(1)));
    }

    #[tokio::test]
    async fn a_yes_lasts_no_longer_than_the_cache_says_nor_than_the_token() {
        let ago = |ms| Instant::now().checked_sub(Duration::from_millis(ms)).unwrap();
        let book = book(Duration::from_secs(2));
        turn(&book, id(1)).done(Ok(good(300)), ago(1_500), NOW);
        assert_eq!(known(&book, id(1)), Some(Ok(())), "it counts from when it was asked");
        turn(&book, id(2)).done(Ok(good(300)), ago(2_000), NOW);
        drop(turn(&book, id(2)));
        // within the skew it is good for the one who asked, and for nobody later
        for seconds in [0, -30] {
            turn(&book, id(3)).done(Ok(good(seconds)), Instant::now(), NOW);
            drop(turn(&book, id(3)));
        }
        turn(&book, id(4)).done(Ok(good(1)), ago(1_000), NOW);
        drop(turn(&book, id(4)));
    }

    #[tokio::test]
    async fn a_no_is_forgotten_soon_and_a_fault_is_held_against_its_own_token_only() {
        let book = book(Duration::from_millis(80));
        turn(&book, id(1)).done(no(Code::TokenInactive), Instant::now(), NOW);
        turn(&book, id(2)).done(no(Code::ProviderUnreachable), Instant::now(), NOW);
        assert_eq!(known(&book, id(1)), Some(Err(Code::TokenInactive)));
        assert_eq!(known(&book, id(2)), Some(Err(Code::ProviderUnreachable)));
        turn(&book, id(3)).done(Ok(good(300)), Instant::now(), NOW);
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(turn(&book, id(1)));
        // that the gateway is not let in is so for all strangers, and not for who was in
        turn(&book, id(4)).done(no(Code::ProviderRefused), Instant::now(), NOW);
        assert_eq!(known(&book, id(5)), Some(Err(Code::ProviderRefused)));
        drop(turn(&book, id(3)));
    }

    #[tokio::test]
    async fn a_fault_does_not_make_a_good_token_a_stranger_and_a_no_does() {
        let book = book(Duration::from_secs(2));
        let old = || Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        turn(&book, id(1)).done(Ok(good(300)), old(), NOW);
        turn(&book, id(1)).done(no(Code::ProviderUnreachable), Instant::now(), NOW);
        assert!(book.pages.lock().good.contains_key(&id(1)));
        book.pages.lock().bad.clear();
        turn(&book, id(1)).done(no(Code::TokenInactive), Instant::now(), NOW);
        assert!(!book.pages.lock().good.contains_key(&id(1)));
    }

    #[tokio::test]
    async fn a_stream_asks_ahead_of_time_once_and_not_too_early() {
        let book = book(Duration::from_secs(10));
        let ago = |s| Instant::now().checked_sub(Duration::from_secs(s)).unwrap();
        turn(&book, id(1)).done(Ok(good(300)), ago(4), NOW);
        assert!(book.ahead(id(1)).is_none(), "too early");
        assert!(book.ahead(id(2)).is_none(), "of that one nothing is known");
        turn(&book, id(2)).done(Ok(good(300)), ago(6), NOW);
        let (ahead, _) = book.ahead(id(2)).unwrap();
        assert!(book.ahead(id(2)).is_none(), "somebody does already");
        assert_eq!(known(&book, id(2)), Some(Ok(())), "and it is good meanwhile");
        ahead.done(no(Code::ProviderUnreachable), Instant::now(), NOW);
        assert!(book.ahead(id(2)).is_none(), "not again at once after a fault");
        assert_eq!(known(&book, id(2)), Some(Ok(())), "a fault takes nothing away before its time");
    }

    #[tokio::test]
    async fn strangers_have_an_allowance_that_does_not_count_for_those_who_were_good() {
        let book = book(Duration::from_secs(2));
        let old = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        turn(&book, id(1)).done(Ok(good(300)), old, NOW);
        let mut asked = 0;
        for n in 100..400 {
            match book.look(id(n)) {
                Next::Ask(turn) => {
                    asked += 1;
                    turn.done(no(Code::TokenInactive), Instant::now(), NOW);
                }
                Next::Known(outcome) => assert_eq!(outcome.unwrap_err().code, Code::ProviderBusy),
                Next::Wait(_) => panic!("each is another"),
            }
        }
        assert!((40..=90).contains(&asked), "{asked}");
        turn(&book, id(1)).done(Ok(good(300)), Instant::now(), NOW);
        // a provider that is slow is not asked about everybody at once
        book.pages.lock().due = Instant::now();
        let under_way: Vec<_> = (500..600).map(|n| book.look(id(n))).collect();
        let asking = under_way.iter().filter(|next| matches!(next, Next::Ask(_))).count();
        assert_eq!(asking, STRANGERS_ASKING_MAX);
    }

    #[tokio::test]
    async fn no_number_of_tokens_fills_the_memory() {
        let book = book(Duration::from_secs(60));
        for n in 0..GOOD_MAX + 500 {
            for (id, outcome) in [(id(n), Ok(good(300))), (id(n + 1_000_000), no(Code::TokenInactive))] {
                book.pages.lock().due = Instant::now();
                turn(&book, id).done(outcome, Instant::now(), NOW);
            }
        }
        let pages = book.pages.lock();
        assert_eq!((pages.good.len(), pages.bad.len(), pages.asking.len()), (GOOD_MAX, BAD_MAX, 0));
    }
}
