//! Where in a backend a secret is, as a template that a user's name can be put into and never break out of.

use decision::UserName;
use std::fmt;
use std::str::FromStr;

/// A path below a mount: segments, of which one or more may be `{user}`.
///
/// A user's name fills exactly one segment. There is no template that leads to a shared secret for
/// one caller and to a user's own for another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathTemplate(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Fixed(String),
    User,
}

/// Why a path cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error(
        "`{0}` is not a path; write names and `{{user}}` between single slashes, such as `users/{{user}}/github`"
    )]
    Template(String),
    #[error("no user is behind the asker, and the path is one of users")]
    NoUser,
    #[error("the user name `{0}` cannot be a part of a path")]
    User(UserName),
}

impl FromStr for PathTemplate {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let segment = |segment: &str| match segment {
            "{user}" => Some(Segment::User),
            fixed if is_plain(fixed) => Some(Segment::Fixed(fixed.to_owned())),
            _ => None,
        };
        let segments: Option<Vec<_>> = text.split('/').map(segment).collect();
        segments.map(Self).ok_or_else(|| PathError::Template(text.to_owned()))
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, segment) in self.0.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { "/" })?;
            f.write_str(match segment {
                Segment::Fixed(text) => text,
                Segment::User => "{user}",
            })?;
        }
        Ok(())
    }
}

impl PathTemplate {
    /// Whether it leads to a secret of each user's own.
    pub fn is_per_user(&self) -> bool {
        self.0.contains(&Segment::User)
    }

    /// The path for this user, percent-encoded. Errors: [`PathError`]; never the path of somebody else.
    pub(super) fn fill(&self, user: Option<&UserName>) -> Result<String, PathError> {
        let mut out = String::new();
        for segment in &self.0 {
            let text = match segment {
                Segment::Fixed(text) => text,
                Segment::User => {
                    let user = user.ok_or(PathError::NoUser)?;
                    if !is_plain(user.as_str()) {
                        return Err(PathError::User(user.clone()));
                    }
                    user.as_str()
                }
            };
            if !out.is_empty() {
                out.push('/');
            }
            encode(text, &mut out);
        }
        Ok(out)
    }
}

/// One segment for every server and proxy on the way. A server that decodes `%2f` before it splits would
/// find two, `..` is resolved by some, and a dot at the end is refused by the backend itself.
fn is_plain(segment: &str) -> bool {
    !segment.is_empty()
        && segment.len() <= 128
        && !segment.ends_with('.')
        && segment.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'+' | b':')
        })
}

/// Everything but the unreserved characters of RFC 3986.
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(name: &str) -> UserName {
        UserName::new(name).unwrap()
    }

    fn template(text: &str) -> PathTemplate {
        text.parse().unwrap()
    }

    #[test]
    fn a_user_name_never_leaves_its_segment() {
        let path = template("users/{user}/github");
        for name in ["..", ".", "a/b", "/", "../admin", "a/../b", "alice.", "...", "a/"] {
            assert_eq!(path.fill(Some(&user(name))), Err(PathError::User(user(name))), "{name}");
        }
        // these cannot be user names at all, so they never get this far
        for name in ["a%2fb", "%2e%2e", "a\\b", "a?b", "a#b", "a b", "\u{e4}", ""] {
            assert!(UserName::new(name).is_err(), "{name}");
        }
        assert_eq!(path.fill(Some(&user("alice"))).unwrap(), "users/alice/github");
        assert_eq!(path.fill(Some(&user("a+b@x.org:1"))).unwrap(), "users/a%2Bb%40x.org%3A1/github");
    }

    #[test]
    fn a_path_of_users_leads_nowhere_without_one_and_a_shared_path_is_no_users() {
        assert_eq!(template("users/{user}/k").fill(None), Err(PathError::NoUser));
        assert!(template("users/{user}/k").is_per_user());
        let shared = template("payments/stripe");
        assert!(!shared.is_per_user());
        assert_eq!(shared.fill(Some(&user("alice"))), shared.fill(None));
    }

    #[test]
    fn a_template_is_plain_segments() {
        for text in [
            "",
            "/",
            "a//b",
            "/a",
            "a/",
            "..",
            "a/../b",
            "a/./b",
            "a/{user",
            "a/{users}/b",
            "a/x{user}",
            "a b",
            "a%2fb",
            "a?b",
            "a#b",
            "a\\b",
            "a/{user}{user}",
            "a.",
        ] {
            assert_eq!(text.parse::<PathTemplate>(), Err(PathError::Template(text.to_owned())), "{text}");
        }
        for text in ["a", "{user}", "a/{user}", "team-1/x_y.z/k@v"] {
            assert_eq!(template(text).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn two_users_never_share_a_path_and_none_adds_a_segment(
            one in "[A-Za-z0-9._@+:/-]{1,12}", other in "[A-Za-z0-9._@+:/-]{1,12}",
        ) {
            let path = template("users/{user}/k");
            let [one, other] = [one, other].map(|name| (name.clone(), path.fill(Some(&user(&name)))));
            if let Ok(filled) = &one.1 {
                prop_assert_eq!(filled.split('/').count(), 3);
                prop_assert!(!filled.split('/').any(|segment| segment == "." || segment == ".."));
            }
            if let (Ok(a), Ok(b)) = (one.1, other.1) {
                prop_assert_eq!(a == b, one.0 == other.0);
            }
        }
    }
}
