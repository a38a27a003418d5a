//! What the file says of the registry that clients read.

use super::problem::Crossing;
use gateway::settings::RegistrySettings;
use serde::Deserialize;
use toml::{Spanned, Table, Value};

/// The list of servers that clients read at `/registry`.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Written {
    /// What stands before the slash of every name, such as `com.example.tools`; made of `public-url` unless said otherwise.
    #[schemars(with = "Option<String>")]
    pub(crate) namespace: Option<Spanned<String>>,
    /// Whether anybody may read which servers there are, without saying who they are; not unless said otherwise.
    #[serde(default)]
    pub(crate) public: bool,
}

const NAMESPACE_BYTES_MAX: usize = 120;

pub(super) fn cross(crossing: &mut Crossing<'_>, written: &Written, public_url: &str) -> RegistrySettings {
    let namespace = match &written.namespace {
        None => namespace_of(public_url),
        Some(given) if fits(given.get_ref()) => given.get_ref().clone(),
        Some(given) => {
            let help = "letters, digits, dots and hyphens, such as `com.example.tools`";
            crossing.problem(given.span(), "names of a registry cannot begin with this", Some(help));
            String::new()
        }
    };
    RegistrySettings { namespace, public: written.public }
}

/// As the registry's schema has it (server.json of 2025-12-11, `name`).
fn fits(text: &str) -> bool {
    (1..=NAMESPACE_BYTES_MAX).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}

/// The host's own name, turned round.
fn namespace_of(public_url: &str) -> String {
    let host = url::Url::parse(public_url).ok().and_then(|url| match url.host() {
        Some(url::Host::Domain(name)) if name.contains('.') => Some(name.to_owned()),
        Some(url::Host::Domain(_) | url::Host::Ipv4(_) | url::Host::Ipv6(_)) | None => None,
    });
    let turned = host.map(|name| name.rsplit('.').collect::<Vec<_>>().join("."));
    turned.filter(|name| fits(name)).unwrap_or_else(|| RegistrySettings::default().namespace)
}

pub(super) fn effective(registry: &RegistrySettings) -> Table {
    let rows = [
        ("namespace", Value::String(registry.namespace.clone())),
        ("public", Value::Boolean(registry.public)),
    ];
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_the_host_turned_round_where_it_has_one() {
        assert_eq!(namespace_of("https://gate.example.com:8443"), "com.example.gate");
        for other in ["http://127.0.0.1:7420", "http://[::1]:7420", "http://localhost:7420", ""] {
            assert_eq!(namespace_of(other), "local.callgate", "{other}");
        }
        assert!(!fits("") && !fits("com/example") && !fits("com example") && fits("com.example-2"));
    }
}
