//! Where the secrets of a server go: each to a place of its own.

use super::{file, problem::Crossing};
use gateway::settings::{AssertionUse, CredentialUse, Place};
use std::ops::Range;

/// Of two for one place only one would be sent, and the record would have both.
pub(super) fn apart(
    crossing: &mut Crossing<'_>,
    written: &file::Server,
    credentials: &[(Range<usize>, CredentialUse)],
    assertion: Option<&AssertionUse>,
) {
    for (index, (at, one)) in credentials.iter().enumerate() {
        let others = credentials.iter().take(index);
        if let Some((_, other)) = others.into_iter().find(|(_, other)| same(&one.place, &other.place)) {
            let (first, second, place) = (&other.secret, &one.secret, named(&one.place));
            let message = format!("the secrets `{first}` and `{second}` both go into {place}");
            crossing.problem(at.clone(), message, Some("name a place of its own for each, or take one out"));
        }
        let Place::Header { name, .. } = &one.place else { continue };
        if let Some(assertion) = assertion.filter(|it| it.header.as_str().eq_ignore_ascii_case(name)) {
            let at = written.assertion.as_ref().map_or_else(|| at.clone(), |it| it.header.span());
            let message = format!(
                "the secret `{}` and the assertion both go into the header `{}`",
                one.secret, assertion.header
            );
            crossing.problem(
                at,
                message,
                Some("name another header for the assertion, such as `X-Callgate-Assertion`"),
            );
        }
    }
}

/// Names of headers are compared without case (RFC 9110, 5.1), those of parameters and variables as they are.
fn same(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Header { name, .. }, Place::Header { name: other, .. }) => name.eq_ignore_ascii_case(other),
        (Place::Query { name }, Place::Query { name: other })
        | (Place::Env { name }, Place::Env { name: other }) => name == other,
        (Place::Header { .. } | Place::Query { .. } | Place::Env { .. }, _) => false,
    }
}

fn named(place: &Place) -> String {
    match place {
        Place::Header { name, .. } => format!("the header `{name}`"),
        Place::Query { name } => format!("the parameter `{name}`"),
        Place::Env { name } => format!("the variable `{name}`"),
    }
}
