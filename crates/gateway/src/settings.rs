//! What the data plane is told, parsed, defaulted and checked. `cli::settings` reads the file; this is what is meant.

pub use vault::backend::{Bootstrap, KvPlace, KvSettings, Login};

use decision::{AgentName, Environment, GroupName, SecretName, ServerName, TenantId};
use egress::{Destination, EgressPolicy, IpNet, Origin};
use identity::CertificateName;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use store::{AgentKind, NewAgent};

/// The data plane's settings. No `Option` stands for "use the default".
#[derive(Debug, Clone)]
pub struct Settings {
    pub tenant: TenantId,
    pub environment: Environment,
    pub listen: SocketAddr,
    /// Names accepted in `Host`, beside loopback names with the listening port.
    pub allowed_hosts: BTreeSet<String>,
    /// Pages accepted in `Origin`, beside loopback ones.
    pub allowed_origins: BTreeSet<String>,
    /// Who an HTTP caller without a token is, on loopback only. `None` asks everybody for a token.
    pub unauthenticated_loopback: Option<AgentName>,
    /// From where `/metrics` may be read, beside this machine.
    pub metrics_networks: Vec<IpNet>,
    /// Who speaks over a `wrap`ped standard input.
    pub stdio_agent: AgentName,
    pub limits: Limits,
    /// Whose access tokens are taken beside the gateway's own.
    pub oauth: Option<Arc<identity::oauth::Oauth>>,
    /// Private networks that whatever is connected to may be in.
    pub networks: Vec<IpNet>,
    pub vault: VaultSettings,
    /// Who signs assertions: their `iss`.
    pub issuer: String,
    pub servers: BTreeMap<ServerName, ServerSettings>,
    /// `None` listens without TLS, on loopback only.
    pub tls: Option<TlsSettings>,
    /// The operator says that TLS ends in front of an address that others can reach.
    pub tls_terminated_upstream: bool,
    /// Services that are known by their certificate.
    pub workloads: Vec<Workload>,
    pub approvals: Approvals,
    /// Amounts over time, in the order of the file.
    pub budgets: Vec<policy::Budget>,
    pub idempotency: Idempotency,
    pub registry: RegistrySettings,
}

/// What clients read of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    /// What stands before the slash of every name.
    pub namespace: String,
    /// Whether anybody may read which servers there are.
    pub public: bool,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self { namespace: "local.callgate".to_owned(), public: false }
    }
}

/// What becomes of a call that was made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// So long after its end a call stands under a key that its client gave.
    pub window: Duration,
    /// Larger answers are not kept to be given again.
    pub answer_bytes_max: usize,
}

impl Default for Idempotency {
    fn default() -> Self {
        Self { window: Duration::from_secs(24 * 3_600), answer_bytes_max: 256 << 10 }
    }
}

impl Settings {
    /// Where a browser finds the console of the gateway that listens on `address`: as the configuration says, else on
    /// this machine.
    pub fn console_base(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        if self.issuer != format!("{scheme}://{}", self.listen) {
            return self.issuer.trim_end_matches('/').to_owned();
        }
        match address.ip().to_canonical().is_loopback() && self.tls.is_none() {
            // a name of our own: under it no other program of this machine is sent the console's cookie
            true => format!("http://callgate.localhost:{}", address.port()),
            false => format!("{scheme}://{address}"),
        }
    }
}

/// How calls wait for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvals {
    /// For deciding and for using what was decided.
    pub valid_for: Duration,
    /// A call is held open for so long before its client is told to come again; at zero it is told at once.
    pub hold_for: Duration,
    /// After so long without a decision these people may decide for that group as well.
    pub escalations: BTreeMap<GroupName, (Duration, GroupName)>,
    /// Whether there are pages on which people see and decide them.
    pub pages: bool,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            valid_for: Duration::from_secs(30 * 60),
            hold_for: Duration::from_secs(45),
            escalations: BTreeMap::new(),
            pages: true,
        }
    }
}

/// Where the listener's certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The chain, in PEM form, the listener's own certificate first.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// `None` asks nobody for a certificate.
    pub clients: Option<ClientCertificates>,
}

/// Whose client certificates count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Authorities in PEM form. Each may stand for every workload.
    pub authorities: PathBuf,
    /// Nobody connects without one.
    pub required: bool,
}

/// A service, and the certificate it is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    pub name: AgentName,
    pub certificate: CertificateName,
    pub groups: BTreeSet<GroupName>,
}

impl Settings {
    /// Whose rows of the store these are.
    pub fn scope(&self) -> store::Scope {
        store::Scope::new(self.tenant.clone(), self.environment.clone())
    }

    /// Where the gateway may connect to: what is named here, and nothing else (requirement W7).
    pub fn reachable(&self) -> EgressPolicy {
        let servers = self.servers.values().filter_map(|server| match &server.reach {
            Reach::Http { url } | Reach::Sse { url } => Some((url, &server.networks)),
            Reach::Stdio { .. } => None,
        });
        let declared = servers.filter_map(|(url, networks)| {
            let origin = Origin::of(&url.as_str().parse().ok()?).ok()?;
            let networks = self.networks.iter().chain(networks).copied();
            Some(networks.fold(Destination::declared(origin), Destination::within))
        });
        declared.collect()
    }

    /// Servers that are gone in `now`, or reached in another way than here.
    pub(crate) fn moved(&self, now: &Self) -> Vec<ServerName> {
        let way = |settings: &Self, name: &ServerName| {
            let server = settings.servers.get(name)?;
            Some(format!("{:?} {:?} {:?}", server.reach, server.credentials, server.authority))
        };
        self.servers.keys().filter(|name| way(self, name) != way(now, name)).cloned().collect()
    }

    /// Who is named here: the agents over standard input and of this machine without a token, and the services that show a
    /// certificate.
    pub fn agents(&self) -> Vec<NewAgent> {
        let new = |name: &AgentName, kind, groups| NewAgent { name: name.clone(), kind, groups, user: None };
        let own = [Some(&self.stdio_agent), self.unauthenticated_loopback.as_ref()];
        let agents = own.into_iter().flatten().map(|name| new(name, AgentKind::Agent, BTreeSet::new()));
        let services =
            self.workloads.iter().map(|one| new(&one.name, AgentKind::Workload, one.groups.clone()));
        agents.chain(services).collect()
    }

    /// The secrets that are in a file or a variable, which an operator should not forget.
    pub fn from_development_sources(&self) -> impl Iterator<Item = (&ServerName, &SecretName)> {
        let credentials = self
            .servers
            .iter()
            .flat_map(|(server, one)| one.credentials.iter().map(move |credential| (server, credential)));
        let ours = credentials.filter(|(_, credential)| credential.source.is_for_development());
        ours.map(|(server, credential)| (server, &credential.secret))
    }
}

/// Bounds on everything that a peer can make large, slow or many.
#[derive(Debug, Clone)]
pub struct Limits {
    pub message_bytes_max: usize,
    pub result_bytes_max: usize,
    pub depth_max: usize,
    /// For a whole request body to arrive.
    pub read_timeout: Duration,
    /// For an upstream's answer, unless its server says otherwise.
    pub call_timeout: Duration,
    /// For a Host's answer to a server's question: a person may have to read it.
    pub question_timeout: Duration,
    pub calls_in_flight_max: usize,
    pub connections_max: usize,
    pub sessions_max: usize,
    /// A session nobody used for so long is ended.
    pub session_idle: Duration,
    /// A child nobody used for so long is stopped.
    pub child_idle: Duration,
    pub children_max: usize,
    /// For calls in flight when asked to stop.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 4 << 20,
            result_bytes_max: 16 << 20,
            depth_max: 64,
            read_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(60),
            question_timeout: Duration::from_secs(600),
            calls_in_flight_max: 1_024,
            connections_max: 1_024,
            sessions_max: 1_024,
            session_idle: Duration::from_secs(30 * 60),
            child_idle: Duration::from_secs(10 * 60),
            children_max: 64,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Whether a server's rules bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Enforce,
    /// Rules record what they would refuse and let pass. Never for authentication, the record or secrets.
    Observe,
}

/// One upstream, as the operator declared it.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub reach: Reach,
    pub environment: Environment,
    pub mode: Mode,
    pub call_timeout: Duration,
    pub authority: Authority,
    pub credentials: Vec<CredentialUse>,
    /// How the server is told for whom a call is made, where it is.
    pub assertion: Option<AssertionUse>,
    /// Tools whose author meant unknown fields to be allowed, and whose operator agrees.
    pub open_arguments: BTreeSet<String>,
    /// Keep argument values beside their commitments.
    pub keep_arguments: bool,
    /// Keep result values beside their commitments.
    pub keep_results: bool,
    /// Private networks that its name may resolve into.
    pub networks: Vec<IpNet>,
    pub declarations: catalog::Declarations,
    /// What the file says of it that only people know.
    pub record: catalog::record::Facts,
}

/// How an upstream is reached. A closed set, so an enum and not a trait.
#[derive(Debug, Clone, Hash)]
pub enum Reach {
    /// Streamable HTTP.
    Http {
        url: url::Url,
    },
    /// HTTP+SSE of 2024-11-05, at the address of its stream.
    Sse {
        url: url::Url,
    },
    Stdio {
        command: PathBuf,
        args: Vec<String>,
        env: BTreeMap<String, String>,
        cwd: Option<PathBuf>,
    },
}

/// In whose name a server is used. There is no falling back from one to the other (requirement D2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// One credential for everybody who may use the server.
    Shared,
    /// Each user's own (requirement I7).
    PerUser,
}

impl Authority {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::PerUser => "per-user",
        }
    }
}

/// How a server is told for whom a call is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssertionUse {
    pub header: http::HeaderName,
    /// What the server knows itself as: the `aud` it takes.
    pub audience: String,
    /// Say also which groups the user is in.
    pub groups: bool,
}

/// Where one secret comes from and where it goes when a call leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialUse {
    pub secret: SecretName,
    pub source: Source,
    pub place: Place,
}

/// Where a secret's value comes from. A closed set, so an enum and not a trait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Sealed in the store, with `callgate secret set`.
    Stored,
    /// At a path of the backend.
    Kv(KvPlace),
    /// A variable the gateway was started with. For development.
    Variable(String),
    /// A file. For development.
    File(PathBuf),
}

impl Source {
    /// Whether anybody who can start or look into the process can read it.
    pub fn is_for_development(&self) -> bool {
        match self {
            Self::Variable(_) | Self::File(_) => true,
            Self::Stored | Self::Kv(_) => false,
        }
    }

    /// As a decision names it beside the secret; nothing for the usual one.
    pub(crate) fn mark(&self) -> &'static str {
        match self {
            Self::Stored => "",
            Self::Kv(_) => ":from-backend",
            Self::Variable(_) => ":from-variable:DEVELOPMENT-ONLY",
            Self::File(_) => ":from-file:DEVELOPMENT-ONLY",
        }
    }
}

/// Where secrets are that are not in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VaultSettings {
    /// Files and variables may be sources: the operator said so.
    pub development_sources: bool,
    pub kv: Option<Backend>,
}

impl VaultSettings {
    /// The stored secret that the backend's login takes.
    pub fn stored_credential(&self) -> Option<&SecretName> {
        match &self.kv.as_ref()?.kv.login {
            Login::Token { token: Bootstrap::Stored(name) }
            | Login::AppRole { secret_id: Bootstrap::Stored(name), .. } => Some(name),
            Login::Token { token: Bootstrap::File(_) }
            | Login::AppRole { secret_id: Bootstrap::File(_), .. }
            | Login::Jwt { .. } => None,
        }
    }
}

/// HashiCorp Vault or OpenBao.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    pub kv: KvSettings,
    /// Private networks that its name may resolve into.
    pub networks: Vec<IpNet>,
    /// Certificates that are trusted beside the operating system's, for it alone.
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Header name and what stands before the secret, such as `Bearer `.
    Header {
        name: String,
        prefix: String,
    },
    Query {
        name: String,
    },
    Env {
        name: String,
    },
}
