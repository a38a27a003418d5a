//! What the file says of the door itself: TLS, and the services that are known by their certificate.

use super::{
    file::{self, File},
    problem::Crossing,
};
use decision::{AgentName, GroupName};
use gateway::settings::{ClientCertificates, TlsSettings, Workload};
use identity::{
    CertificateName,
    oauth::{Issuer, Oauth},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
};
use toml::Spanned;

pub(super) fn tls(crossing: &mut Crossing<'_>, file: &File, base: &Path) -> Option<TlsSettings> {
    let written = file.tls.as_ref()?;
    let clients = match (&written.client_ca, &written.client_certificates) {
        (Some(authorities), asked) => Some(ClientCertificates {
            authorities: base.join(authorities.get_ref()),
            required: asked.as_ref().is_none_or(|asked| *asked.get_ref() == file::Asked::Required),
        }),
        (None, Some(asked)) => {
            let help = "add `client-ca` with the authorities whose certificates count";
            crossing.problem(asked.span(), "nobody could show a certificate that counts", Some(help));
            None
        }
        (None, None) => None,
    };
    let (certificate, key) = (base.join(written.certificate.get_ref()), base.join(written.key.get_ref()));
    Some(TlsSettings { certificate, key, clients })
}

/// Where the files of the listener are named, for whoever finds one missing.
pub(super) fn lines(crossing: &Crossing<'_>, file: &File, base: &Path) -> BTreeMap<PathBuf, usize> {
    let named =
        file.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key].into_iter().chain(&tls.client_ca));
    named.map(|one| (base.join(one.get_ref()), crossing.line(one.span().start))).collect()
}

/// A name as `Host` has it. What can be no such name is refused: a pattern or an address would let nobody in, and an
/// empty name whoever sends none.
pub(super) fn host(crossing: &mut Crossing<'_>, written: &Spanned<String>) -> Option<String> {
    let text = written.get_ref();
    let help = if text.contains("://") || text.contains('/') {
        "write the name alone, with its port where it is not the usual one: `gate.example.com` or `gate.example.com:8443`"
    } else if text.contains('*') {
        "there are no patterns here: write each name in full"
    } else if !is_host(text) {
        "write a name as browsers send it: `gate.example.com`, `gate.example.com:8443` or `[fd12::1]:8443`"
    } else {
        return Some(text.to_ascii_lowercase());
    };
    crossing.problem(
        written.span(),
        format!("`{text}` is no name that a request could have in `Host`"),
        Some(help),
    );
    None
}

/// A name or an address in brackets, and a port if one is named.
fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<http::uri::Authority>() else { return false };
    let (host, port) = (authority.host(), authority.port_u16());
    let is_port = |rest: &str| rest.is_empty() || port.is_some() && rest.starts_with(':');
    let labels = host.strip_suffix('.').unwrap_or(host).split('.').all(|label| !label.is_empty());
    labels && text.strip_prefix(host).is_some_and(is_port)
}

/// Tokens do not travel in the clear, unless the operator says loudly that they do not.
pub(super) fn exposed(crossing: &mut Crossing<'_>, file: &File, listen: SocketAddr) {
    let elsewhere = file.tls_terminated_upstream.as_ref().filter(|said| *said.get_ref());
    match (&file.tls, elsewhere) {
        (Some(_), Some(said)) => {
            let help = "take one of the two out";
            crossing.problem(said.span(), "TLS ends either here, as `[tls]` says, or in front", Some(help));
        }
        (None, None) if !listen.ip().to_canonical().is_loopback() => {
            let at = file.listen.as_ref().map(Spanned::span).unwrap_or_default();
            crossing.problem(
                at,
                "others can reach this address, and tokens would travel to it in the clear",
                Some(
                    "add `[tls]` with `certificate` and `key`, or say `tls-terminated-upstream = true` where TLS ends in front of the gateway",
                ),
            );
        }
        (Some(_), None) | (None, _) => {}
    }
}

pub(super) fn workloads(crossing: &mut Crossing<'_>, file: &File, oauth: Option<&Oauth>) -> Vec<Workload> {
    let mut out: Vec<Workload> = Vec::new();
    let asks = file.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    for written in &file.workloads {
        let at = written.name.span();
        if !asks {
            let help = "add `client-ca` under `[tls]`";
            crossing.problem(at.clone(), "nobody is asked for a certificate", Some(help));
        }
        let name = AgentName::new(written.name.get_ref().clone())
            .map_err(|e| crossing.problem(at.clone(), e.to_string(), None));
        let groups = groups(crossing, &written.groups);
        let (Ok(name), Some(certificate)) = (name, certificate(crossing, written)) else { continue };
        if out.iter().any(|one| one.name == name || one.certificate == certificate) {
            crossing.problem(at, "this name or this certificate is another workload's already", None);
            continue;
        }
        if let Some(issuer) = oauth.and_then(|oauth| oauth.issuers.iter().find(|one| may_name(one, &name))) {
            let named = issuer.mapping.agents.values().any(|agent| *agent == name);
            let issuer = &issuer.source.issuer;
            let message =
                format!("a client of `{issuer}` that is called so would be taken for this workload");
            let help = if named {
                "call that client otherwise under `claims.agents`: a token is no certificate"
            } else {
                "give the issuer a `claims.prefix` that this name does not begin with, or list its clients under `claims.agents`"
            };
            crossing.problem(at, message, Some(help));
            continue;
        }
        out.push(Workload { name, certificate, groups });
    }
    out
}

/// Whether some client of this issuer may get that name.
fn may_name(issuer: &Issuer, name: &AgentName) -> bool {
    let agents = &issuer.mapping.agents;
    if agents.is_empty() {
        return name.as_str().starts_with(&issuer.mapping.prefix);
    }
    agents.values().any(|agent| agent == name)
}

fn groups(crossing: &mut Crossing<'_>, written: &[Spanned<String>]) -> BTreeSet<GroupName> {
    let mut group = |one: &Spanned<String>| {
        GroupName::new(one.get_ref().clone())
            .map_err(|e| crossing.problem(one.span(), e.to_string(), None))
            .ok()
    };
    written.iter().filter_map(&mut group).collect()
}

fn certificate(crossing: &mut Crossing<'_>, written: &file::Workload) -> Option<CertificateName> {
    match (&written.spiffe, &written.dns, &written.common_name) {
        (Some(id), None, None) => match id.get_ref().parse() {
            Ok(id) => Some(CertificateName::Spiffe(id)),
            Err(e) => {
                let e: identity::SpiffeError = e;
                crossing.problem(id.span(), format!("`{}` names no workload: {e}", id.get_ref()), None);
                None
            }
        },
        (None, Some(dns), None) => Some(CertificateName::Dns(dns.to_ascii_lowercase())),
        (None, None, Some(name)) => Some(CertificateName::CommonName(name.clone())),
        _ => {
            let help = "exactly one of `spiffe`, `dns` and `common-name`";
            crossing.problem(written.name.span(), "say by what its certificate is known", Some(help));
            None
        }
    }
}
