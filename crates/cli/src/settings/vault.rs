//! Secrets that are not in the store: what is written about a backend, and what it means.

use super::{
    effective::{list, text, time},
    file, networks,
    problem::Crossing,
};
use gateway::settings::{Backend, KvPlace, Source, VaultSettings};
use serde::Deserialize;
use std::{path::Path, path::PathBuf, time::Duration};
use toml::{Spanned, Table, Value};
use vault::backend::{Bootstrap, KvSettings, Login, PathTemplate};

/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// A value is not used longer than this without asking again, whatever is written.
const CACHE_MAX: Duration = Duration::from_secs(300);

/// HashiCorp Vault or OpenBao: the key-value secrets engine, version 2.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Kv {
    /// Its address: `https://vault.example.com:8200`.
    #[schemars(with = "String")]
    address: Spanned<String>,
    /// The namespace all of it is in.
    #[schemars(with = "Option<String>")]
    namespace: Option<Spanned<String>>,
    /// Where the engine is mounted; by default `secret`.
    #[schemars(with = "Option<String>")]
    mount: Option<Spanned<String>>,
    /// How long a value may be used without asking again; by default 30s, at most 5m.
    #[schemars(with = "Option<String>")]
    cache: Option<Spanned<String>>,
    /// Private networks that its name may resolve into, beside those of `egress`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    networks: Vec<Spanned<String>>,
    /// Certificates in PEM that are trusted beside the operating system's; relative to this file.
    ca_file: Option<String>,
    /// How the gateway logs in.
    #[schemars(with = "KvLogin")]
    login: Spanned<KvLogin>,
}

/// A way to log in, and the one credential it takes.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct KvLogin {
    method: KvMethod,
    /// Where the method is enabled, if not under its own name.
    #[schemars(with = "Option<String>")]
    mount: Option<Spanned<String>>,
    /// The role; for `app-role` its id.
    role: Option<String>,
    /// Where the token, the secret id or the signed token is. Never here.
    #[schemars(with = "Option<KvCredential>")]
    credential: Option<Spanned<KvCredential>>,
    /// The secret id comes wrapped: the credential is a wrapping token, which is good for one start.
    #[serde(default)]
    wrapped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum KvMethod {
    Token,
    AppRole,
    Kubernetes,
    Jwt,
}

/// Either `file` or `secret`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct KvCredential {
    /// A file that only its owner can read, or one that systemd or Kubernetes hands out; relative to this file.
    file: Option<String>,
    /// A secret stored with `callgate secret set`.
    secret: Option<String>,
}

/// Where a credential comes from that is not in the store: exactly one of `kv`, `env` and `file`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct WrittenSource {
    /// A path below the mount of `vault.kv`, such as `users/{user}/github`.
    kv: Option<String>,
    /// The field at that path.
    field: Option<String>,
    /// Its version; by default the latest.
    version: Option<u32>,
    /// A variable the gateway was started with. For development only.
    env: Option<String>,
    /// A file that only its owner can read. For development only.
    file: Option<String>,
}

/// `[vault]`: what is not in the store.
pub(super) fn vault(crossing: &mut Crossing<'_>, written: &file::Vault, base: &Path) -> VaultSettings {
    let kv = written.kv.as_ref().and_then(|kv| backend(crossing, kv, base));
    VaultSettings { development_sources: written.development_sources, kv }
}

fn backend(crossing: &mut Crossing<'_>, written: &Kv, base: &Path) -> Option<Backend> {
    let address = address(crossing, &written.address);
    let namespace = written.namespace.as_ref().map(|given| (given, plain(crossing, given, "a namespace")));
    let mount = written.mount.as_ref().map(|given| plain(crossing, given, "a mount"));
    let mount = mount.unwrap_or_else(|| "secret".parse().ok());
    let cache = crossing.duration(written.cache.as_ref(), Duration::from_secs(30));
    if let Some(given) = written.cache.as_ref().filter(|_| cache > CACHE_MAX) {
        crossing.problem(given.span(), "a value may be kept for 5m at most", Some("write `5m` or less"));
    }
    let networks = networks::networks(crossing, &written.networks);
    let login = login(crossing, &written.login, base);
    Some(Backend {
        kv: KvSettings {
            address: address?,
            namespace: namespace.map(|(given, _)| given.get_ref().clone()),
            mount: mount?,
            login: login?,
            cache,
        },
        networks,
        ca_file: written.ca_file.as_ref().map(|file| base.join(file)),
    })
}

/// An origin that nobody on the way can read along with.
fn address(crossing: &mut Crossing<'_>, given: &Spanned<String>) -> Option<String> {
    let text = given.get_ref().trim_end_matches('/');
    let origin =
        text.parse::<http::Uri>().ok().filter(|uri| matches!(uri.path(), "" | "/") && uri.query().is_none());
    let Some(origin) = origin.and_then(|uri| egress::Origin::of(&uri).ok()) else {
        let help = "write scheme, host and port: `https://vault.example.com:8200`";
        crossing.hidden(given.span(), "this is not the address of a backend", Some(help));
        return None;
    };
    if !origin.is_https() && !origin.is_local() {
        let help = "write `https://`, with `ca-file` where its certificate is your own";
        crossing.problem(given.span(), "secrets would travel unencrypted", Some(help));
        return None;
    }
    Some(text.to_owned())
}

/// Names between single slashes, without a place for a user.
fn plain(crossing: &mut Crossing<'_>, given: &Spanned<String>, what: &str) -> Option<PathTemplate> {
    let parsed = given.get_ref().parse::<PathTemplate>().ok().filter(|path| !path.is_per_user());
    if parsed.is_none() {
        let message = format!("`{}` is not {what}", given.get_ref());
        crossing.problem(given.span(), message, Some("write names between single slashes: `team/kv`"));
    }
    parsed
}

fn login(crossing: &mut Crossing<'_>, spanned: &Spanned<KvLogin>, base: &Path) -> Option<Login> {
    let written = spanned.get_ref();
    let named = match written.method {
        KvMethod::Token => "token",
        KvMethod::AppRole => "approle",
        KvMethod::Kubernetes => "kubernetes",
        KvMethod::Jwt => "jwt",
    };
    let mount = match &written.mount {
        Some(given) => plain(crossing, given, "a mount")?.to_string(),
        None => named.to_owned(),
    };
    let credential = match &written.credential {
        Some(given) => Some(bootstrap(crossing, given, base)?),
        None => None,
    };
    if written.wrapped && written.method != KvMethod::AppRole {
        crossing.problem(spanned.span(), "only the secret id of `app-role` comes wrapped", None);
    }
    match (written.method, &written.role, credential) {
        (KvMethod::Token, None, Some(token)) => Some(Login::Token { token }),
        (KvMethod::AppRole, Some(role_id), Some(secret_id)) => {
            Some(Login::AppRole { mount, role_id: role_id.clone(), secret_id, wrapped: written.wrapped })
        }
        (KvMethod::Kubernetes, Some(role), None) => {
            Some(Login::Jwt { mount, role: role.clone(), jwt: PathBuf::from(SERVICE_ACCOUNT) })
        }
        (KvMethod::Kubernetes | KvMethod::Jwt, Some(role), Some(Bootstrap::File(jwt))) => {
            Some(Login::Jwt { mount, role: role.clone(), jwt })
        }
        (method, _, _) => {
            let help = match method {
                KvMethod::Token => "`token` takes a `credential` and no `role`",
                KvMethod::AppRole => "`app-role` takes its id as `role`, and its secret id as `credential`",
                KvMethod::Kubernetes => {
                    "`kubernetes` takes a `role`, and a `credential.file` if it is not in its usual place"
                }
                KvMethod::Jwt => "`jwt` takes a `role` and a `credential.file`, which is read at every login",
            };
            crossing.problem(spanned.span(), "this is not all that the login takes, or more", Some(help));
            None
        }
    }
}

fn bootstrap(crossing: &mut Crossing<'_>, given: &Spanned<KvCredential>, base: &Path) -> Option<Bootstrap> {
    match (&given.get_ref().file, &given.get_ref().secret) {
        (Some(file), None) => Some(Bootstrap::File(base.join(file))),
        (None, Some(secret)) => {
            let name = secret.parse().map_err(|e: decision::NameError| {
                crossing.problem(given.span(), e.to_string(), None);
            });
            name.ok().map(Bootstrap::Stored)
        }
        (None, None) | (Some(_), Some(_)) => {
            let help = "write `{ file = \"…\" }` or `{ secret = \"…\" }`";
            crossing.problem(given.span(), "a credential is in one place", Some(help));
            None
        }
    }
}

/// What a credential may come from, beside the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) development: bool,
    /// A backend is written, whatever is wrong with it.
    pub(super) backend: bool,
    pub(super) base: &'a Path,
}

/// Where a credential comes from. `per_user` says whether each user has their own.
pub(super) fn source(
    crossing: &mut Crossing<'_>,
    given: Option<&Spanned<WrittenSource>>,
    sources: Sources<'_>,
    per_user: bool,
) -> Option<Source> {
    let Some(given) = given else { return Some(Source::Stored) };
    let written = given.get_ref();
    let mut wrong = |message: &str, help: &str| crossing.problem(given.span(), message, Some(help));
    let source = match (&written.kv, &written.env, &written.file) {
        (Some(path), None, None) => return kv_source(crossing, given, path, sources, per_user),
        (None, Some(name), None) => Source::Variable(name.clone()),
        (None, None, Some(file)) => Source::File(sources.base.join(file)),
        _ => {
            wrong(
                "a secret has one source",
                "write exactly one of `kv`, `env` and `file`, or none where it is stored",
            );
            return None;
        }
    };
    if written.field.is_some() || written.version.is_some() {
        wrong("`field` and `version` are of `kv`", "take them out");
        return None;
    }
    if !sources.development {
        wrong(
            "a secret in a file or a variable is for development only",
            "store it with `callgate secret set`, or write `development-sources = true` under `[vault]`",
        );
        return None;
    }
    if per_user {
        wrong(
            "a file or a variable is not each user's own",
            "store each user's secret, or use `kv` with `{user}`",
        );
        return None;
    }
    Some(source)
}

fn kv_source(
    crossing: &mut Crossing<'_>,
    given: &Spanned<WrittenSource>,
    path: &str,
    sources: Sources<'_>,
    per_user: bool,
) -> Option<Source> {
    let written = given.get_ref();
    let mut wrong = |message: String, help: &str| {
        crossing.problem(given.span(), message, Some(help));
        None
    };
    let path: PathTemplate = match path.parse() {
        Ok(path) => path,
        Err(e) => {
            return wrong(vault::backend::PathError::to_string(&e), "one user's name fills one segment");
        }
    };
    let Some(field) = written.field.clone().filter(|field| !field.is_empty()) else {
        return wrong("`kv` needs a `field`".to_owned(), "name the field at that path");
    };
    if written.version == Some(0) {
        return wrong("there is no version 0".to_owned(), "leave `version` out for the latest");
    }
    if !sources.backend {
        return wrong(
            "no backend is configured".to_owned(),
            "write a table `[vault.kv]` with `address` and `login`",
        );
    }
    match (path.is_per_user(), per_user) {
        (true, true) | (false, false) => Some(Source::Kv(KvPlace { path, field, version: written.version })),
        (false, true) => wrong(
            "this path is the same for every user".to_owned(),
            "write `{user}` as a segment of it, or take `authority = \"per-user\"` out",
        ),
        (true, false) => wrong(
            "this path is each user's own, and the server is used with one credential for all".to_owned(),
            "write `authority = \"per-user\"` for the server",
        ),
    }
}

/// As it would be written with every default filled in.
pub(super) fn effective(vault: &VaultSettings) -> Table {
    let mut out = Table::new();
    out.insert("development-sources".to_owned(), Value::Boolean(vault.development_sources));
    let Some(Backend { kv, networks, ca_file }) = &vault.kv else { return out };
    let mut table = Table::new();
    let mut put = |key: &str, value: Value| drop(table.insert(key.to_owned(), value));
    put("address", text(&kv.address));
    if let Some(namespace) = &kv.namespace {
        put("namespace", text(namespace));
    }
    put("mount", text(&kv.mount));
    put("cache", time(kv.cache));
    put("networks", list(networks));
    if let Some(file) = ca_file {
        put("ca-file", text(file.display()));
    }
    put("login", Value::Table(effective_login(&kv.login)));
    out.insert("kv".to_owned(), Value::Table(table));
    out
}

fn effective_login(login: &Login) -> Table {
    let (method, mount, role, credential, wrapped) = match login {
        Login::Token { token } => ("token", None, None, token.clone(), false),
        Login::AppRole { mount, role_id, secret_id, wrapped } => {
            ("app-role", Some(mount), Some(role_id), secret_id.clone(), *wrapped)
        }
        // the two methods differ in the names of their defaults only, which are written out here
        Login::Jwt { mount, role, jwt } => {
            ("jwt", Some(mount), Some(role), Bootstrap::File(jwt.clone()), false)
        }
    };
    let credential = match credential {
        Bootstrap::File(path) => ("file", path.display().to_string()),
        Bootstrap::Stored(name) => ("secret", name.to_string()),
    };
    let credential = Table::from_iter([(credential.0.to_owned(), text(credential.1))]);
    let mut out = Table::new();
    out.insert("method".to_owned(), text(method));
    out.extend(mount.map(|mount| ("mount".to_owned(), text(mount))));
    out.extend(role.map(|role| ("role".to_owned(), text(role))));
    out.insert("credential".to_owned(), Value::Table(credential));
    if wrapped {
        out.insert("wrapped".to_owned(), Value::Boolean(true));
    }
    out
}

/// `None` for what is stored, which is not written.
pub(super) fn effective_source(source: &Source) -> Option<Table> {
    let mut out = Table::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    match source {
        Source::Stored => return None,
        Source::Variable(name) => put("env", text(name)),
        Source::File(path) => put("file", text(path.display())),
        Source::Kv(KvPlace { path, field, version }) => {
            put("kv", text(path));
            put("field", text(field));
            if let Some(version) = version {
                put("version", Value::Integer(i64::from(*version)));
            }
        }
    }
    Some(out)
}
