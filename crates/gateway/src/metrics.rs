//! Counters for Prometheus. Labels are names the operator gave or closed sets, never a peer's words.

use crate::record::Labels;
use crate::upstream::Pool;
use decision::{Decision, Ending, Timestamp};
use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    server: String,
    method: String,
    ending: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    server: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    ending: &'static str,
}

/// How a TLS handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    Done,
    /// One side did not take the other's certificate, version or form.
    Refused,
    /// Something else than TLS was spoken.
    Plain,
    TimedOut,
    /// As many were under way as may be.
    Busy,
    /// The peer hung up before it was over.
    Gone,
}

impl Handshake {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Plain => "plain",
            Self::TimedOut => "timed-out",
            Self::Busy => "busy",
            Self::Gone => "gone",
        }
    }
}

/// What a listener with TLS counts. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Handshakes {
    endings: Family<HandshakeLabels, Counter>,
    expires: Gauge,
}

impl Handshakes {
    pub fn count(&self, how: Handshake) {
        self.endings.get_or_create(&HandshakeLabels { ending: how.as_str() }).inc();
    }
    pub fn counted(&self, how: Handshake) -> u64 {
        self.endings.get_or_create(&HandshakeLabels { ending: how.as_str() }).get()
    }
    pub(crate) fn expire(&self, at: Timestamp) {
        self.expires.set(i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX));
    }
}

/// All metrics of one gateway.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    calls: Family<CallLabels, Counter>,
    observed: Family<ServerLabels, Counter>,
    masked: Family<ServerLabels, Counter>,
    duration: Family<ServerLabels, Histogram>,
    entries: Gauge,
    sessions: Gauge,
    connections: Gauge,
    pub(crate) files_refused: Gauge,
    pub(crate) ledger_away: Gauge,
    pub(crate) database_away: Gauge,
    pub(crate) handshakes: Handshakes,
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0])
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("callgate");
        let calls = Family::default();
        let observed = Family::default();
        let masked = Family::default();
        let duration = Family::<ServerLabels, Histogram>::new_with_constructor(seconds);
        let (entries, sessions, connections) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("calls", "Requests decided, by server, method, ending and code", calls.clone());
        registry.register("would_refuse", "Requests that observe mode let pass", observed.clone());
        registry.register(
            "secrets_masked",
            "A server's credentials taken out of what it said",
            masked.clone(),
        );
        registry.register("call_duration_seconds", "From arrival to decision", duration.clone());
        registry.register("ledger_entries", "Durable entries of the ledger", entries.clone());
        registry.register("sessions", "Open sessions", sessions.clone());
        registry.register("upstream_connections", "Open connections to servers", connections.clone());
        let files_refused = Gauge::default();
        registry.register(
            "files_refused",
            "1 while the newest configuration or policies do not hold and older ones are in force",
            files_refused.clone(),
        );
        let (ledger_away, database_away) = (Gauge::default(), Gauge::default());
        registry.register(
            "ledger_unavailable",
            "1 while the ledger cannot be written and calls are refused",
            ledger_away.clone(),
        );
        registry.register(
            "database_unavailable",
            "1 while the database cannot be used and calls are refused",
            database_away.clone(),
        );
        let handshakes = Handshakes::default();
        registry.register("tls_handshakes", "TLS handshakes, by how they ended", handshakes.endings.clone());
        registry.register(
            "tls_certificate_expires_seconds",
            "When the listener's certificate expires, in seconds since 1970; 0 without TLS",
            handshakes.expires.clone(),
        );
        Self {
            registry: Mutex::new(registry),
            calls,
            observed,
            masked,
            duration,
            entries,
            sessions,
            connections,
            files_refused,
            ledger_away,
            database_away,
            handshakes,
        }
    }

    /// Counts one decision.
    pub(crate) fn decided(&self, decision: &Decision, labels: &Labels) {
        let (ending, code) = match &decision.ending {
            Ending::Answered => ("answered", ""),
            Ending::Refused { code } => ("refused", code.as_str()),
            Ending::Failed { code } => ("failed", code.as_str()),
            Ending::Cancelled => ("cancelled", "cancelled"),
            Ending::Unknown => ("unknown", "outcome-unknown"),
        };
        // what clients are told alike is counted alike: whoever reads this must not tell what is hidden from what is not there
        let hidden = matches!(&decision.ending, Ending::Refused { code } if crate::reply::is_hidden(*code));
        let code = if hidden { decision::Code::ItemUnknown.as_str() } else { code };
        let of = if hidden { "" } else { labels.server.as_str() };
        // a method that is not in the table is a peer's word
        let known = wire::METHODS.iter().any(|method| method.name == labels.method);
        let method = if known { labels.method.clone() } else { "other".to_owned() };
        let server = ServerLabels { server: of.to_owned() };
        let call = CallLabels { server: of.to_owned(), method, ending, code };
        self.calls.get_or_create(&call).inc();
        if decision.observed {
            self.observed.get_or_create(&server).inc();
        }
        if labels.masked > 0 {
            self.masked(&labels.server, labels.masked);
        }
        let micros = decision.closed_at.since(decision.opened_at);
        self.duration.get_or_create(&server).observe(std::time::Duration::from_micros(micros).as_secs_f64());
    }

    /// Counts credentials that were taken out of what a server said.
    pub(crate) fn masked(&self, server: &str, times: u64) {
        self.masked.get_or_create(&ServerLabels { server: server.to_owned() }).inc_by(times);
    }

    /// The metrics in OpenMetrics text form.
    pub(crate) fn render(&self, ledger: &store::ledger::Ledger, sessions: usize, pool: &Pool) -> String {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.entries.set(i64::try_from(ledger.size()).unwrap_or(i64::MAX));
        self.sessions.set(count(sessions));
        self.connections.set(count(pool.len()));
        let mut text = String::new();
        match encode(&mut text, &self.registry.lock()) {
            Ok(()) => text,
            Err(e) => format!("# cannot be rendered: {e}\n"),
        }
    }
}
