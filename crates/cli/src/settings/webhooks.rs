//! `[[webhooks]]`: addresses that are told what becomes of approvals.

use super::{
    effective::{list, text},
    networks,
    problem::Crossing,
};
use console::hooks::{Form, Hook};
use decision::SecretName;
use egress::IpNet;
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::{Spanned, Table, Value};

/// One address.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Webhook {
    /// What it is called, also in the address of its callback.
    #[schemars(with = "String")]
    pub(crate) name: Spanned<String>,
    /// Where events are posted.
    #[schemars(with = "String")]
    pub(crate) url: Spanned<String>,
    /// The stored secret that signs: `whsec_` and the base64 of 24 to 64 bytes.
    #[schemars(with = "String")]
    pub(crate) secret: Spanned<String>,
    /// `generic` unless said otherwise, or `slack`.
    pub(crate) format: Option<Format>,
    /// Whether callbacks of whoever holds the secret count as decisions of the people they name.
    #[serde(default)]
    pub(crate) decides: bool,
    /// Private networks that the name may resolve into, beside those of `egress`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) networks: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    Generic,
    Slack,
}

/// `taken`: whether the console is there, whose address takes callbacks.
pub(super) fn cross(
    crossing: &mut Crossing<'_>,
    written: &[Webhook],
    everywhere: &[IpNet],
    taken: bool,
) -> Vec<Hook> {
    let mut names = BTreeSet::new();
    for one in written.iter().filter(|one| one.decides && !taken) {
        let name = one.name.get_ref();
        let message = format!("webhook `{name}` decides, and the console, which takes its callbacks, is off");
        let help = "take `decides = true` or `console.enabled = false` away";
        crossing.problem(one.name.span(), message, Some(help));
    }
    written.iter().filter_map(|one| hook(crossing, one, everywhere, &mut names)).collect()
}

fn hook(
    crossing: &mut Crossing<'_>,
    one: &Webhook,
    everywhere: &[IpNet],
    names: &mut BTreeSet<String>,
) -> Option<Hook> {
    let name = one.name.get_ref().clone();
    // it stands in an address and in columns
    if decision::ServerName::new(name.clone()).is_err() {
        let help = "write 1 to 40 of a-z, 0-9 and single hyphens, starting with a letter";
        crossing.problem(one.name.span(), format!("`{name}` cannot be a name here"), Some(help));
        return None;
    }
    if !names.insert(name.clone()) {
        crossing.problem(one.name.span(), format!("there are two webhooks `{name}`"), None);
        return None;
    }
    let url: Option<http::Uri> = one.url.get_ref().parse().ok();
    let url = url.filter(|url| egress::Origin::of(url).is_ok());
    if url.is_none() {
        let message = format!("`{}` is not an address", one.url.get_ref());
        crossing.problem(one.url.span(), message, Some("write it as `https://hooks.example.com/callgate`"));
    }
    if let Some(url) = url.as_ref().filter(|url| one.decides && is_in_the_clear(url)) {
        let host = url.host().unwrap_or_default();
        let message = format!("webhook `{name}` decides, and is told over plain HTTP what it decides about");
        let help = format!("write `https://`: whoever is on the way to {host} could show it something else");
        crossing.problem(one.url.span(), message, Some(&help));
    }
    let secret = SecretName::new(one.secret.get_ref().clone());
    if let Err(error) = &secret {
        crossing.problem(one.secret.span(), error.to_string(), None);
    }
    let own = networks::networks(crossing, &one.networks);
    Some(Hook {
        name,
        url: url?,
        form: match one.format {
            Some(Format::Slack) => Form::Slack,
            Some(Format::Generic) | None => Form::Generic,
        },
        secret: secret.ok()?,
        decides: one.decides,
        networks: everywhere.iter().copied().chain(own).collect(),
    })
}

/// Whether an address outside this machine is told without TLS.
pub(crate) fn is_in_the_clear(url: &http::Uri) -> bool {
    let is_here = url.host().is_some_and(egress::means_this_machine);
    url.scheme() == Some(&http::uri::Scheme::HTTP) && !is_here
}

pub(super) fn effective(hooks: &[Hook]) -> Value {
    let one = |hook: &Hook| {
        let rows = [
            ("name", text(&hook.name)),
            ("url", text(&hook.url)),
            ("secret", text(&hook.secret)),
            ("format", text(hook.form.as_str())),
            ("decides", Value::Boolean(hook.decides)),
            ("networks", list(&hook.networks)),
        ];
        Value::Table(rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Table>())
    };
    Value::Array(hooks.iter().map(one).collect())
}
