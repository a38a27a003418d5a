//! `[console]`: which groups have which role, and how long a session lasts.

use super::{
    effective::{list, time},
    problem::Crossing,
};
use console::Settings;
use decision::GroupName;
use policy::Role;
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::{Spanned, Table, Value};

/// The pages on which people decide approvals and search decisions.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Console {
    /// Whether there are pages at all; true unless said otherwise.
    pub(crate) enabled: Option<bool>,
    /// Groups whose people see everything and decide nothing.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) viewers: Vec<Spanned<String>>,
    /// Groups whose people decide what waits for a group of theirs.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) approvers: Vec<Spanned<String>>,
    /// Groups whose people take back what others decided.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) administrators: Vec<Spanned<String>>,
    /// Groups whose people decide which servers may be used.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) registry_administrators: Vec<Spanned<String>>,
    /// After which an unused session ends.
    #[schemars(with = "Option<String>")]
    pub(crate) session_idle: Option<Spanned<String>>,
    /// After which every session ends.
    #[schemars(with = "Option<String>")]
    pub(crate) session_max: Option<Spanned<String>>,
}

pub(super) fn cross(crossing: &mut Crossing<'_>, written: &Console) -> Settings {
    let by_default = Settings::default();
    let mut groups = |names: &[Spanned<String>]| -> BTreeSet<GroupName> {
        let mut group = |name: &Spanned<String>| match GroupName::new(name.get_ref().clone()) {
            Ok(group) => Some(group),
            Err(error) => {
                crossing.problem(name.span(), error.to_string(), None);
                None
            }
        };
        names.iter().filter_map(&mut group).collect()
    };
    let roles = [
        (Role::Viewer, groups(&written.viewers)),
        (Role::Approver, groups(&written.approvers)),
        (Role::Administrator, groups(&written.administrators)),
        (Role::RegistryAdministrator, groups(&written.registry_administrators)),
    ];
    Settings {
        enabled: written.enabled.unwrap_or(by_default.enabled),
        roles: roles.into_iter().collect(),
        idle: crossing.duration(written.session_idle.as_ref(), by_default.idle),
        longest: crossing.duration(written.session_max.as_ref(), by_default.longest),
        ..by_default
    }
}

pub(super) fn effective(settings: &Settings) -> Table {
    let of = |role| list(settings.roles.get(&role).into_iter().flatten());
    let rows = [
        ("enabled", Value::Boolean(settings.enabled)),
        ("viewers", of(Role::Viewer)),
        ("approvers", of(Role::Approver)),
        ("administrators", of(Role::Administrator)),
        ("registry-administrators", of(Role::RegistryAdministrator)),
        ("session-idle", time(settings.idle)),
        ("session-max", time(settings.longest)),
    ];
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
