//! Counters for Prometheus. Labels are names the operator gave or closed sets, never a peer's words.

use crate::record::Labels;
use crate::upstream::Pool;
use decision::{Decision, Ending};
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

/// All metrics of one gateway.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    calls: Family<CallLabels, Counter>,
    observed: Family<ServerLabels, Counter>,
    duration: Family<ServerLabels, Histogram>,
    entries: Gauge,
    sessions: Gauge,
    connections: Gauge,
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0])
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("callgate");
        let calls = Family::default();
        let observed = Family::default();
        let duration = Family::<ServerLabels, Histogram>::new_with_constructor(seconds);
        let (entries, sessions, connections) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("calls", "Requests decided, by server, method, ending and code", calls.clone());
        registry.register("would_refuse", "Requests that observe mode let pass", observed.clone());
        registry.register("call_duration_seconds", "From arrival to decision", duration.clone());
        registry.register("ledger_entries", "Durable entries of the ledger", entries.clone());
        registry.register("sessions", "Open sessions", sessions.clone());
        registry.register("upstream_connections", "Open connections to servers", connections.clone());
        Self { registry: Mutex::new(registry), calls, observed, duration, entries, sessions, connections }
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
        // a method that is not in the table is a peer's word
        let known = wire::METHODS.iter().any(|method| method.name == labels.method);
        let method = if known { labels.method.clone() } else { "other".to_owned() };
        let server = ServerLabels { server: labels.server.clone() };
        let call = CallLabels { server: labels.server.clone(), method, ending, code };
        self.calls.get_or_create(&call).inc();
        if decision.observed {
            self.observed.get_or_create(&server).inc();
        }
        let micros = decision.closed_at.since(decision.opened_at);
        self.duration.get_or_create(&server).observe(std::time::Duration::from_micros(micros).as_secs_f64());
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
