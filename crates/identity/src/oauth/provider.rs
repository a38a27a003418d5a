//! One provider's keys: found, fetched in the background, kept for a bounded time.
//!
//! One task fetches; whoever meets a token that no known key signed wakes it and waits for that one attempt. Between
//! two attempts there is a pause, so a flood of made-up keys and signatures costs the provider nothing.

use super::{Alg, fetch, keys::KeySet, settings::Source, signed::Signed};
use arc_swap::ArcSwapOption;
use decision::{Code, Digest, Refusal};
use egress::{Client, Destination, EgressPolicy, Origin};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{self, Instant},
};

/// How long a request waits for an attempt that was begun for it.
const WAIT: Duration = Duration::from_secs(10);

/// Keys and when they were fetched.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) keys: KeySet,
    fetched_at: Instant,
}

/// Attempts so far, for those who wait for one.
#[derive(Debug, Clone, Copy, Default)]
struct Attempts {
    done: u64,
    running: bool,
    last: Option<Instant>,
    /// The last one got nothing, so what is known may be less than there is.
    failed: bool,
}

/// Whether the provider was asked once more, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refreshed {
    /// What is known now is what it said just now.
    Anew,
    /// It said so a moment ago, and is left alone.
    Lately,
    /// It cannot be asked.
    Failed,
}

#[derive(Debug)]
struct Shared {
    source: Source,
    client: Client,
    known: ArcSwapOption<Known>,
    attempts: watch::Sender<Attempts>,
    wake: Notify,
    /// It may have no keys at all: it is asked about its tokens.
    introspects: AtomicBool,
    /// Counts changes of the keys, so that what rests on them is forgotten.
    changes: Arc<AtomicU64>,
}

/// A provider. Dropping it ends its task.
#[derive(Debug)]
pub(super) struct Provider {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Provider {
    /// Begins to fetch at once. Must be called inside a runtime.
    pub(super) fn start(
        source: Source,
        introspects: bool,
        settings: egress::Settings,
        changes: Arc<AtomicU64>,
    ) -> Self {
        let client = Client::new(reachable(&source, None), settings);
        let known = ArcSwapOption::empty();
        let attempts = watch::Sender::new(Attempts { running: true, ..Attempts::default() });
        let (wake, introspects) = (Notify::new(), AtomicBool::new(introspects));
        let shared = Arc::new(Shared { source, client, known, attempts, wake, introspects, changes });
        let task = tokio::spawn(Arc::clone(&shared).run()).abort_handle();
        Self { shared, task }
    }

    pub(super) fn source(&self) -> &Source {
        &self.shared.source
    }

    /// That it is asked about its tokens, or no longer.
    pub(super) fn set_introspects(&self, introspects: bool) {
        self.shared.introspects.store(introspects, Ordering::Relaxed);
    }

    /// What is known and not too old. Errors: the provider could not be asked for too long.
    pub(super) fn known(&self) -> Result<Arc<Known>, Refusal> {
        let source = &self.shared.source;
        let known = self.shared.known.load_full();
        let known = known.filter(|known| known.fetched_at.elapsed() <= source.keys_max_age);
        known.ok_or_else(|| {
            let because = format!("the keys of `{}` are not known, or were for too long", source.issuer);
            Refusal::new(Code::ProviderUnreachable, because)
        })
    }

    /// The key that signed a token. Where none that is known did, the provider may have another by now, be it under
    /// the same name: it is asked once more.
    pub(super) async fn signer(&self, signed: &Signed<'_>, alg: Alg) -> Result<Digest, Refusal> {
        let refused = match self.known().and_then(|known| known.keys.verify(signed, alg)) {
            Ok(key) => return Ok(key),
            Err(refused) => refused,
        };
        match self.refreshed().await {
            Refreshed::Anew => self.known()?.keys.verify(signed, alg),
            // whose key it is nobody can say now: a good token by a key that is new is no worse than a forged one
            Refreshed::Failed if refused.code == Code::TokenKeyUnknown => {
                let issuer = &self.shared.source.issuer;
                let because = format!("{}, and the keys of `{issuer}` cannot be asked for", refused.because);
                Err(Refusal::new(Code::ProviderUnreachable, because))
            }
            Refreshed::Lately | Refreshed::Failed => Err(refused),
        }
    }

    /// Waits for a fetch that begins now or is under way.
    pub(super) async fn refreshed(&self) -> Refreshed {
        let mut attempts = self.shared.attempts.subscribe();
        let now = *attempts.borrow_and_update();
        let recent = now.last.is_some_and(|last| last.elapsed() < self.shared.source.pause);
        if recent && !now.running {
            return if now.failed { Refreshed::Failed } else { Refreshed::Lately };
        }
        if !now.running {
            self.shared.wake.notify_one();
        }
        let finished = attempts.wait_for(|attempts| attempts.done > now.done);
        match time::timeout(WAIT, finished).await {
            Ok(Ok(done)) if !done.failed => Refreshed::Anew,
            Ok(Ok(_) | Err(_)) | Err(_) => Refreshed::Failed,
        }
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        // what was said last of a provider that seems to have no keys, and how long it is left alone
        let (mut said, mut quiet) = (String::new(), self.source.pause);
        loop {
            self.attempts.send_modify(|attempts| attempts.running = true);
            let outcome = self.attempt().await;
            self.attempts.send_modify(|attempts| {
                let (done, last) = (attempts.done + 1, Some(Instant::now()));
                *attempts = Attempts { done, running: false, last, failed: outcome.is_err() };
            });
            let next = match outcome {
                Ok(()) => self.source.refresh,
                Err(reason) if self.may_lack_keys() => {
                    self.say_once(&mut said, reason);
                    // whoever shows a signed token has it asked before
                    let next = quiet;
                    quiet = (quiet * 2).min(self.source.refresh);
                    next
                }
                Err(reason) => {
                    tracing::warn!(issuer = %self.source.issuer, %reason, "the provider's keys cannot be fetched");
                    self.source.pause
                }
            };
            // whoever wakes us waits for the pause too
            let earliest = Instant::now() + self.source.pause;
            tokio::select! {
                () = time::sleep(next) => {}
                () = self.wake.notified() => time::sleep_until(earliest).await,
            }
        }
    }

    /// Whether nothing is wrong with a provider of which no keys were ever seen.
    fn may_lack_keys(&self) -> bool {
        self.introspects.load(Ordering::Relaxed) && self.known.load().is_none()
    }

    fn say_once(&self, said: &mut String, reason: String) {
        let issuer = &self.source.issuer;
        if *said == reason {
            tracing::debug!(%issuer, %reason, "the provider still has no keys");
            return;
        }
        tracing::info!(
            %issuer, %reason,
            "no keys of the provider are known: its signed tokens are refused, and it is asked about the others"
        );
        *said = reason;
    }

    /// Fetches once. What cannot be fetched leaves what was known, until that is too old. A set without any key that
    /// fits is an answer too, where there was one: the keys were taken back, and what they signed is good no more.
    async fn attempt(&self) -> Result<(), String> {
        let keys = keys_of(&self.client, &self.source).await?;
        let before = self.known.load_full();
        let lack = keys.lack();
        if let Some(lack) = lack.clone().filter(|_| before.is_none()) {
            return Err(lack);
        }
        let same = before.is_some_and(|before| before.keys.same(&keys));
        let known = Known { keys, fetched_at: Instant::now() };
        self.known.store(Some(Arc::new(known)));
        if !same {
            self.changes.fetch_add(1, Ordering::Release);
            let issuer = &self.source.issuer;
            match lack {
                Some(reason) => {
                    tracing::warn!(%issuer, %reason, "the provider took its keys back: its tokens are refused");
                }
                None => tracing::info!(%issuer, "the provider's keys are new"),
            }
        }
        Ok(())
    }
}

/// Fetches a provider's keys once, for whoever looks at a sample. Errors: what went wrong, for people.
pub async fn fetch_keys(source: &Source, settings: egress::Settings) -> Result<KeySet, String> {
    keys_of(&Client::new(reachable(source, None), settings), source).await
}

async fn keys_of(client: &Client, source: &Source) -> Result<KeySet, String> {
    let jwks = fetch::find(client, source).await?;
    client.set_policy(reachable(source, Some(&jwks)));
    let text = fetch::get(client, &jwks).await?;
    KeySet::read(&text).map_err(|e| format!("`{jwks}`: {e}"))
}

/// Where this provider may be asked: at its own address, which may be in a private network that is listed, and
/// where it says that its keys are, which must be public if it is elsewhere.
fn reachable(source: &Source, found: Option<&str>) -> EgressPolicy {
    let declared = [Some(source.issuer.as_str()), source.jwks.as_deref()];
    policy(source, &declared, found)
}

/// The origins that are declared, each in the networks listed for this provider, and perhaps one that was found.
pub(super) fn policy(source: &Source, declared: &[Option<&str>], found: Option<&str>) -> EgressPolicy {
    let origin = |url: &str| Origin::of(&url.parse().ok()?).ok();
    let declared: Vec<_> = declared.iter().copied().flatten().filter_map(origin).collect();
    let elsewhere = found.and_then(origin).filter(|found| !declared.contains(found));
    let listed =
        |origin| source.networks.iter().copied().fold(Destination::declared(origin), Destination::within);
    declared
        .into_iter()
        .map(listed)
        .chain(elsewhere.map(Destination::found))
        .fold(EgressPolicy::default(), EgressPolicy::with)
}

#[cfg(test)]
mod tests {
    use super::super::tests;
    use super::*;
    use parking_lot::Mutex;
    use std::io;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Log lines.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Where a JWK set is, and how often it was asked for.
    async fn publishing(set: Arc<Mutex<String>>) -> (String, Arc<AtomicU64>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let _ = stream.read(&mut [0; 4_096]).await.unwrap();
                let (set, head) = (set.lock().clone(), "HTTP/1.1 200 OK\r\nconnection: close");
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{set}", set.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (url, asked)
    }
    async fn keyless() -> (String, Arc<AtomicU64>) {
        publishing(Arc::new(Mutex::new(r#"{"keys":[]}"#.to_owned()))).await
    }

    #[tokio::test]
    async fn a_key_that_takes_the_name_of_another_is_fetched_when_a_token_of_it_comes_and_not_at_once_again()
    {
        for kid in [Some("e"), None] {
            let set = Arc::new(Mutex::new(tests::another_key(kid)));
            let (url, asked) = publishing(Arc::clone(&set)).await;
            let pause = Duration::from_millis(100);
            let source = Source { jwks: Some(format!("{url}/jwks")), pause, ..Source::of(&url) };
            let provider = Provider::start(source, false, egress::Settings::default(), Arc::default());
            while provider.known().is_err() {
                time::sleep(pause).await;
            }
            time::sleep(pause).await;
            *set.lock() = tests::our_key(kid);
            let text = tests::token_by(kid);
            let token = Signed::read(&text).unwrap();
            assert!(provider.signer(&token, Alg::Es256).await.is_ok(), "{kid:?}");
            assert_eq!(asked.load(Ordering::Relaxed), 2);
            // a forgery that follows has nobody asked until the pause is over
            let forged = format!("{}.AAAA", text.rsplit_once('.').unwrap().0);
            let forged = Signed::read(&forged).unwrap();
            let began = Instant::now();
            for _ in 0..20 {
                let refused = provider.signer(&forged, Alg::Es256).await.unwrap_err();
                assert_eq!(refused.code, Code::TokenSignatureInvalid);
            }
            let fetched = asked.load(Ordering::Relaxed);
            assert!(fetched == 2 || began.elapsed() >= pause, "{fetched}");
        }
    }

    #[tokio::test]
    async fn a_token_by_an_unknown_key_is_nobody_s_to_judge_while_the_provider_cannot_be_asked() {
        let set = Arc::new(Mutex::new(tests::our_key(Some("e"))));
        let (url, asked) = publishing(Arc::clone(&set)).await;
        let pause = Duration::from_millis(200);
        let source = Source { jwks: Some(format!("{url}/jwks")), pause, ..Source::of(&url) };
        let provider = Provider::start(source, false, egress::Settings::default(), Arc::default());
        while provider.known().is_err() {
            time::sleep(Duration::from_millis(5)).await;
        }
        let (good, new) = (tests::token_by(Some("e")), tests::token_by(Some("new")));
        let (good, new) = (Signed::read(&good).unwrap(), Signed::read(&new).unwrap());
        let code = async |token| provider.signer(token, Alg::Es256).await.err().map(|refused| refused.code);
        assert_eq!(code(&new).await, Some(Code::TokenKeyUnknown), "it has just said which keys there are");
        *set.lock() = "<html>".to_owned();
        time::sleep(pause).await;
        let (before, began) = (asked.load(Ordering::Relaxed), Instant::now());
        // a flood of forgeries asks no more often, and nobody else is told anything else by it
        for _ in 0..20 {
            assert_eq!(code(&new).await, Some(Code::ProviderUnreachable));
            assert_eq!(code(&good).await, None);
        }
        let most = 2 + began.elapsed().as_millis() / pause.as_millis();
        assert!(u128::from(asked.load(Ordering::Relaxed) - before) <= most);
        *set.lock() = tests::our_key(Some("new"));
        while code(&new).await == Some(Code::ProviderUnreachable) {
            time::sleep(pause).await;
        }
        assert_eq!(code(&new).await, None, "once it can be asked, the new key is known");
        assert_eq!(code(&good).await, Some(Code::TokenKeyUnknown));
    }

    #[tokio::test]
    async fn keys_that_the_provider_took_back_without_others_are_good_no_more() {
        let kid = Some("e");
        let set = Arc::new(Mutex::new(tests::our_key(kid)));
        let (url, _) = publishing(Arc::clone(&set)).await;
        let (pause, refresh) = (Duration::from_millis(20), Duration::from_millis(40));
        let source = Source { jwks: Some(format!("{url}/jwks")), pause, refresh, ..Source::of(&url) };
        let changes = Arc::new(AtomicU64::new(0));
        let provider = Provider::start(source, false, egress::Settings::default(), Arc::clone(&changes));
        while provider.known().is_err() {
            time::sleep(pause).await;
        }
        let text = tests::token_by(kid);
        let token = Signed::read(&text).unwrap();
        assert!(provider.signer(&token, Alg::Es256).await.is_ok());
        let before = changes.load(Ordering::Acquire);
        *set.lock() = r#"{"keys":[]}"#.to_owned();
        while changes.load(Ordering::Acquire) == before {
            time::sleep(pause).await;
        }
        let refused = provider.signer(&token, Alg::Es256).await.unwrap_err();
        assert_eq!(refused.code, Code::TokenKeyUnknown);
        // and what is no set at all takes nothing away
        *set.lock() = tests::our_key(kid);
        while provider.signer(&token, Alg::Es256).await.is_err() {
            time::sleep(pause).await;
        }
        *set.lock() = "<html>".to_owned();
        time::sleep(refresh * 3).await;
        assert!(provider.signer(&token, Alg::Es256).await.is_ok());
    }

    #[tokio::test]
    async fn a_provider_without_keys_that_is_asked_about_tokens_is_named_once_and_left_alone_longer() {
        for introspects in [true, false] {
            let (url, asked) = keyless().await;
            let log = Log::default();
            let writer = log.clone();
            let subscriber =
                tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
            let _here = tracing::subscriber::set_default(subscriber);
            let pause = Duration::from_millis(20);
            let source = Source { jwks: Some(format!("{url}/jwks")), pause, ..Source::of(&url) };
            let provider = Provider::start(source, introspects, egress::Settings::default(), Arc::default());
            let often = async {
                while asked.load(Ordering::Relaxed) <= 8 {
                    time::sleep(pause).await;
                }
            };
            let patience = Duration::from_secs(if introspects { 1 } else { 30 });
            let was_often = time::timeout(patience, often).await.is_ok();
            let asked = asked.load(Ordering::Relaxed);
            let said = String::from_utf8(std::mem::take(&mut *log.0.lock())).unwrap();
            let lines = |what: &str| said.lines().filter(|line| line.contains(what)).count();
            if introspects {
                assert!(!was_often && asked > 1, "{asked}");
                assert_eq!((lines("INFO"), lines("WARN")), (1, 0), "{said}");
                // a signed token does not wait for the next time
                assert_eq!(provider.refreshed().await, Refreshed::Failed, "it was not asked again");
            } else {
                assert!(was_often && lines("WARN") >= 8 && lines("INFO") == 0, "{said}");
            }
        }
    }

    #[test]
    fn a_listed_network_is_the_issuers_and_not_that_of_a_place_its_document_names() {
        let network = "10.0.0.0/8".parse().unwrap();
        let source = Source { networks: vec![network], ..Source::of("https://sso.corp") };
        let [sso, keys] =
            ["https://sso.corp", "https://keys.corp"].map(|url| Origin::of(&url.parse().unwrap()).unwrap());
        let expected = EgressPolicy::default()
            .with(Destination::declared(sso).within(network))
            .with(Destination::found(keys));
        assert_eq!(reachable(&source, Some("https://keys.corp/jwks")), expected);
    }
}
