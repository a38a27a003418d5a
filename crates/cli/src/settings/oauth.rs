//! `[oauth]`, from what is written to what is meant.

use super::{
    file_oauth::{self, Scopes},
    problem::Crossing,
};
use decision::SecretName;
use egress::{IpNet, Origin};
use identity::{
    Scope,
    oauth::{Alg, ClientAuthentication, Introspection, Issuer, Mapping, Oauth, Source},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    ops::Range,
    str::FromStr,
    sync::Arc,
    time::Duration,
};
use toml::Spanned;

/// How far a provider's clock may be off, unless told otherwise, and at most.
const SKEW: Duration = Duration::from_secs(60);
const SKEW_MAX: Duration = Duration::from_secs(300);
/// How long what a provider says about an opaque token is used, unless told otherwise, and at most.
const INTROSPECTION_CACHE: Duration = Duration::from_secs(30);
const INTROSPECTION_CACHE_MAX: Duration = Duration::from_secs(60);

/// Scheme, host and port, without a slash at the end.
pub(super) fn public_url(
    crossing: &mut Crossing<'_>,
    given: Option<&Spanned<String>>,
    listen: SocketAddr,
    tls: bool,
) -> String {
    let default = format!("{}://{listen}", if tls { "https" } else { "http" });
    let Some(given) = given else {
        return default;
    };
    let text = given.get_ref().trim_end_matches('/');
    let plain = url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text);
    if plain && is_safe(text) {
        return text.to_owned();
    }
    let help = "write scheme, host and port as a browser would: `https://mcp.example.com`";
    crossing.problem(
        given.span(),
        format!("`{}` is not an https address without a path", given.get_ref()),
        Some(help),
    );
    default
}

/// The providers. Without any there is no sign-in, and saying so half is a problem.
pub(super) fn oauth(
    crossing: &mut Crossing<'_>,
    given: Option<&Spanned<file_oauth::Oauth>>,
    (public_url, said, listen): (String, bool, SocketAddr),
    networks: &[IpNet],
) -> Option<Arc<Oauth>> {
    let given = given?;
    let (at, written) = (given.span(), given.get_ref());
    if written.issuers.is_empty() {
        let help = "add `[[oauth.issuers]]` with `issuer = \"https://…\"`, or take `[oauth]` out";
        crossing.problem(at.clone(), "`oauth` names no issuer", Some(help));
    }
    if !said && !listen.ip().is_loopback() {
        let help = "add `public-url = \"https://…\"`: a token must be for the address that Hosts use";
        crossing.problem(at, "`oauth` on an address that others can reach needs `public-url`", Some(help));
    }
    let ask = written.ask.iter().filter_map(|scope| {
        let parsed = Scope::new(scope.get_ref());
        parsed.map_err(|e| crossing.problem(scope.span(), e.to_string(), None)).ok()
    });
    let ask = ask.collect();
    let mut issuers: Vec<_> = written.issuers.iter().map(|one| issuer(crossing, one)).collect();
    for one in &mut issuers {
        one.source.networks = networks.to_vec();
    }
    apart(crossing, &written.issuers, &issuers);
    one_is_asked(crossing, &written.issuers);
    let enforce_scopes = written.scopes == Some(Scopes::Enforce);
    Some(Arc::new(Oauth { public_url, enforce_scopes, ask, issuers }))
}

/// An address whose answers nobody on the way can change.
fn is_safe(url: &str) -> bool {
    let origin = url.parse().ok().and_then(|uri| Origin::of(&uri).ok());
    origin.is_some_and(|origin| origin.is_https() || origin.is_local())
}

/// An address at a provider.
fn place(crossing: &mut Crossing<'_>, given: &Spanned<String>, what: &str) -> String {
    let url = url::Url::parse(given.get_ref()).ok();
    let bare = |url: &url::Url| url.username().is_empty() && url.password().is_none();
    if url.as_ref().is_some_and(|url| !bare(url)) {
        // what it holds is not repeated
        let help = "take it out: providers publish this to everybody";
        crossing.hidden(given.span(), format!("`{what}` must not hold a name or a password"), Some(help));
    } else if url.is_none_or(|url| url.fragment().is_some()) || !is_safe(given.get_ref()) {
        let help = "write an https address; http is for this machine only";
        crossing.problem(given.span(), format!("`{what}` must be an https address"), Some(help));
    }
    given.get_ref().clone()
}

fn issuer(crossing: &mut Crossing<'_>, written: &file_oauth::Issuer) -> Issuer {
    let usual = Source::of(place(crossing, &written.issuer, "issuer"));
    let jwks = written.jwks_uri.as_ref().map(|uri| place(crossing, uri, "jwks-uri"));
    let refresh = crossing.duration(written.refresh.as_ref(), usual.refresh);
    let keys_max_age = crossing.duration(written.keys_max_age.as_ref(), usual.keys_max_age);
    // a fetch that fails is tried again after the pause, and not sooner
    if keys_max_age <= refresh + usual.pause {
        let at = written.keys_max_age.as_ref().or(written.refresh.as_ref()).unwrap_or(&written.issuer);
        let help = "let keys be good for several times as long as it takes until they are fetched anew";
        let pause = usual.pause.as_secs();
        let message =
            format!("`keys-max-age` is not longer than `refresh` and the {pause}s between two attempts");
        crossing.problem(at.span(), message, Some(help));
    }
    let skew = crossing.length(written.skew.as_ref(), SKEW);
    if let Some(given) = written.skew.as_ref().filter(|_| skew > SKEW_MAX) {
        let help = "set the clocks by NTP instead";
        crossing.problem(given.span(), "`skew` is longer than five minutes", Some(help));
    }
    for audience in written.audiences.iter().filter(|one| one.get_ref().is_empty()) {
        crossing.problem(audience.span(), "an audience is empty", None);
    }
    for audience in written.audiences.iter().filter(|one| one.get_ref().contains('*')) {
        let message = format!("`{}` is no audience that a token could have", audience.get_ref());
        crossing.problem(
            audience.span(),
            message,
            Some("there are no patterns here: write each audience in full"),
        );
    }
    Issuer {
        source: Source { jwks, refresh, keys_max_age, ..usual },
        algorithms: algorithms(crossing, written),
        accept_any_token_type: written.accept_any_token_type,
        audiences: written.audiences.iter().map(|one| one.get_ref().clone()).collect(),
        skew,
        mapping: mapping(crossing, &written.claims, written.issuer.span()),
        introspection: written.introspection.as_ref().and_then(|one| introspection(crossing, one.get_ref())),
    }
}

fn introspection(crossing: &mut Crossing<'_>, written: &file_oauth::Introspection) -> Option<Introspection> {
    let endpoint = written.endpoint.as_ref().map(|given| place(crossing, given, "endpoint"));
    let client_id = written.client_id.get_ref();
    // RFC 6749, appendix A.1
    if client_id.is_empty() || !client_id.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let message = "`client-id` is not one: it is empty, or holds a character that none has";
        crossing.problem(written.client_id.span(), message, None);
    }
    let authentication = match &written.authentication {
        None => ClientAuthentication::Basic,
        Some(given) => ClientAuthentication::parse(given.get_ref()).unwrap_or_else(|| {
            let all = ClientAuthentication::ALL.map(ClientAuthentication::as_str).join("` or `");
            let message = format!("the gateway cannot authenticate by `{}`", given.get_ref());
            crossing.problem(given.span(), message, Some(&format!("write `{all}`")));
            ClientAuthentication::Basic
        }),
    };
    let cache = crossing.duration(written.cache.as_ref(), INTROSPECTION_CACHE);
    if let Some(given) = written.cache.as_ref().filter(|_| cache > INTROSPECTION_CACHE_MAX) {
        let help = "write `60s` or less: a token that was revoked works for so long";
        crossing.problem(given.span(), "an answer may be used for 60s at most", Some(help));
    }
    let secret = client_secret(crossing, &written.secret)?;
    Some(Introspection { endpoint, client_id: client_id.clone(), secret, authentication, cache })
}

/// The name of a secret in the vault. The text may be the secret itself by mistake, so it is not repeated.
fn client_secret(crossing: &mut Crossing<'_>, given: &Spanned<String>) -> Option<SecretName> {
    let help = "write the name under which `callgate secret set` stores it, never its value";
    let Ok(name) = SecretName::new(given.get_ref().clone()) else {
        crossing.hidden(given.span(), "`secret` is not the name of a secret", Some(help));
        return None;
    };
    if vault::is_reserved(&name) {
        let message = "names that begin with `callgate/` are for the gateway's own secrets";
        crossing.problem(given.span(), message, None);
        return None;
    }
    Some(name)
}

/// A token must not be shown to a provider to find out whether it is one of its own.
fn one_is_asked(crossing: &mut Crossing<'_>, written: &[file_oauth::Issuer]) {
    let mut asked = written.iter().filter_map(|issuer| issuer.introspection.as_ref());
    asked.next();
    for one in asked {
        let help =
            "an opaque token does not say whose it is: let the other providers issue signed ones (JWT)";
        crossing.problem(one.span(), "only one issuer can be asked about opaque tokens", Some(help));
    }
}

fn algorithms(crossing: &mut Crossing<'_>, written: &file_oauth::Issuer) -> BTreeSet<Alg> {
    let Some(named) = &written.algorithms else {
        return Alg::usual();
    };
    if named.is_empty() {
        crossing.problem(written.issuer.span(), "`algorithms` is empty, so no token would do", None);
    }
    let mut allowed = BTreeSet::new();
    for name in named {
        match Alg::parse(name.get_ref()) {
            Some(alg) => drop(allowed.insert(alg)),
            None => {
                let all = Alg::ALL.map(Alg::as_str).join(", ");
                let help = format!("only signatures with a key pair can be checked here: {all}");
                crossing.problem(name.span(), format!("`{}` is not allowed", name.get_ref()), Some(&help));
            }
        }
    }
    allowed
}

fn mapping(crossing: &mut Crossing<'_>, written: &file_oauth::Claims, at: Range<usize>) -> Mapping {
    let usual = Mapping::default();
    let mut prefix = |given: &Option<Spanned<String>>| {
        let given = given.as_ref()?;
        if let Err(e) = decision::UserName::new(format!("{}x", given.get_ref())) {
            crossing.problem(given.span(), format!("no name can begin with this: {e}"), None);
        }
        Some(given.get_ref().clone())
    };
    let (names, groups) = (prefix(&written.prefix), prefix(&written.group_prefix));
    let names = names.unwrap_or_default();
    let about_groups = written.group_prefix.is_some()
        || written.groups_optional
        || written.group_names.is_some()
        || written.group_allow.is_some();
    if about_groups && written.groups.is_none() {
        let help = "name the claim: `groups = \"groups\"`";
        crossing.problem(
            at,
            "`claims` says something about groups, but not which claim has them",
            Some(help),
        );
    }
    Mapping {
        user: written.user.clone().unwrap_or(usual.user),
        users: map(crossing, "users", written.users.as_ref()),
        trust_unverified_email: written.trust_unverified_email,
        agent: written.agent.clone().unwrap_or(usual.agent),
        agents: map(crossing, "agents", written.agents.as_ref()),
        groups: written.groups.clone(),
        group_prefix: groups.unwrap_or_else(|| names.clone()),
        group_names: written.group_names.as_ref().map(|names| names_of(crossing, names)),
        group_allow: written.group_allow.as_ref().map(|names| names.iter().cloned().collect()),
        groups_optional: written.groups_optional,
        host: written.host.clone(),
        prefix: names,
    }
}

/// A closed map. An empty one, as a template may leave it, would let everybody in if it were taken for none.
fn map<T: FromStr>(
    crossing: &mut Crossing<'_>,
    key: &str,
    written: Option<&Spanned<BTreeMap<String, Spanned<String>>>>,
) -> BTreeMap<String, T>
where
    T::Err: std::fmt::Display,
{
    let Some(given) = written else { return BTreeMap::new() };
    if given.get_ref().is_empty() {
        let help = format!("take `{key}` out to let in everybody whom the provider names");
        crossing.problem(given.span(), format!("`{key}` is empty, so nobody could come in"), Some(&help));
    }
    names_of(crossing, given.get_ref())
}

fn names_of<T: FromStr>(
    crossing: &mut Crossing<'_>,
    written: &BTreeMap<String, Spanned<String>>,
) -> BTreeMap<String, T>
where
    T::Err: std::fmt::Display,
{
    let mut names = BTreeMap::new();
    for (value, name) in written {
        match name.get_ref().parse::<T>() {
            Ok(parsed) => drop(names.insert(value.clone(), parsed)),
            Err(e) => crossing.problem(name.span(), e.to_string(), None),
        }
    }
    names
}

/// Two issuers must not be able to name the same person: each needs names of its own.
fn apart(crossing: &mut Crossing<'_>, written: &[file_oauth::Issuer], meant: &[Issuer]) {
    for (at, (one, other)) in pairs(meant) {
        let Some(place) = written.get(at).map(|issuer| issuer.issuer.span()) else {
            continue;
        };
        if one.source.issuer == other.source.issuer {
            crossing.problem(place, "this issuer is named twice", None);
            continue;
        }
        let mixed = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
        let people = mixed(&one.mapping.prefix, &other.mapping.prefix);
        let both = one.mapping.groups.is_some() && other.mapping.groups.is_some();
        if people || (both && mixed(&one.mapping.group_prefix, &other.mapping.group_prefix)) {
            let message = format!("names of `{}` could be taken for names of this issuer", one.source.issuer);
            let help = "give each issuer a `claims.prefix` of its own, none the beginning of another";
            crossing.problem(place, message, Some(help));
        }
    }
}

/// Every issuer with every one before it, by the later one's place.
fn pairs(all: &[Issuer]) -> impl Iterator<Item = (usize, (&Issuer, &Issuer))> {
    all.iter()
        .enumerate()
        .flat_map(move |(at, later)| all.iter().take(at).map(move |earlier| (at, (earlier, later))))
}
