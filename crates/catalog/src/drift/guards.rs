//! Arguments that hold a call back, and those that let it do more, by their names: a server that means harm says nothing of
//! it.

use super::fields::object;
use crate::names::words;
use serde_json::Value;

/// What it does to be true, or to be given at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It holds a call back: what is done is less, looked at before, or undone more easily.
    Guards,
    /// It lets a call do more, or without being asked.
    Opens,
}

const GUARDS: &[&str] = &[
    "confirm",
    "confirmed",
    "confirmation",
    "confirms",
    "approval",
    "approvals",
    "approve",
    "approved",
    "approver",
    "consent",
    "authorization",
    "verify",
    "verified",
    "verification",
    "validate",
    "validation",
    "dryrun",
    "preview",
    "simulate",
    "simulation",
    "draft",
    "safe",
    "safety",
    "safeguards",
    "sandbox",
    "sandboxed",
    "isolated",
    "redact",
    "redacted",
    "redaction",
    "mask",
    "masked",
    "sanitize",
    "sanitized",
    "anonymize",
    "escape",
    "encrypt",
    "encrypted",
    "encryption",
    "tls",
    "ssl",
    "secure",
    "signed",
    "signature",
    "mfa",
    "strict",
    "restrict",
    "restricted",
    "readonly",
    "private",
    "protect",
    "protected",
    "protection",
    "guard",
    "guardrails",
    "moderation",
    "audit",
    "backup",
    "reviewed",
    "warn",
];
/// Two words that guard together.
const GUARD_PAIRS: &[(&str, &str)] =
    &[("dry", "run"), ("read", "only"), ("what", "if"), ("check", "only"), ("no", "op"), ("four", "eyes")];
const OPENS: &[&str] = &[
    "force",
    "recursive",
    "recurse",
    "all",
    "everyone",
    "everything",
    "overwrite",
    "override",
    "bypass",
    "unsafe",
    "insecure",
    "unrestricted",
    "unlimited",
    "public",
    "admin",
    "root",
    "sudo",
    "elevated",
    "privileged",
    "permanent",
    "permanently",
    "hard",
    "purge",
    "cascade",
    "global",
    "danger",
    "dangerous",
    "dangerously",
    "external",
    "immediate",
    "immediately",
];
/// What turns a guard round when it stands before it.
const UNDOES: &[&str] = &[
    "skip", "no", "not", "disable", "disabled", "bypass", "ignore", "without", "omit", "auto", "allow",
    "include", "suppress", "un",
];
/// What turns round what opens.
const HOLDS: &[&str] =
    &["no", "not", "disable", "disallow", "avoid", "never", "prevent", "deny", "block", "without", "exclude"];
/// Arguments that say of what a call takes hold: without one it may be of everything.
const BOUNDS: &[&str] = &[
    "filter",
    "filters",
    "where",
    "condition",
    "conditions",
    "criteria",
    "selector",
    "scope",
    "query",
    "match",
    "tenant",
    "workspace",
    "project",
    "owner",
    "since",
    "before",
    "after",
    "until",
    "older",
    "ids",
    "id",
    "limit",
];
/// Arguments that say how much is given away or done.
const SUMS: &[&str] = &[
    "amount",
    "price",
    "total",
    "sum",
    "quantity",
    "qty",
    "budget",
    "spend",
    "payment",
    "fee",
    "shares",
    "units",
    "cents",
    "cost",
    "discount",
    "credit",
    "credits",
    "refund",
    "rate",
    "percent",
    "percentage",
];

/// What an argument of this name does to a call, where its name says so.
pub(super) fn turn(name: &str) -> Option<Turn> {
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let pair = |pair: &[&str]| matches!(pair, [a, b] if GUARD_PAIRS.contains(&(*a, *b)));
    let guard =
        words.iter().position(|word| GUARDS.contains(word)).or_else(|| words.windows(2).position(pair));
    if let Some(at) = guard {
        let undone = words.iter().take(at).any(|word| UNDOES.contains(word));
        return Some(if undone { Turn::Opens } else { Turn::Guards });
    }
    let at = words.iter().position(|word| OPENS.contains(word))?;
    let held = words.iter().take(at).any(|word| HOLDS.contains(word));
    Some(if held { Turn::Guards } else { Turn::Opens })
}

/// Whether it says of what a call takes hold.
pub(super) fn bounds(name: &str) -> bool {
    words(name).iter().any(|word| BOUNDS.contains(&word.as_str()))
}

/// Whether it says how much is given away or done.
pub(super) fn is_sum(name: &str) -> bool {
    words(name).iter().any(|word| SUMS.contains(&word.as_str()))
}

/// Whether it names what is done: its values are deeds.
pub(super) fn is_deed(name: &str) -> bool {
    let last = words(name).pop().unwrap_or_default();
    ["action", "actions", "operation", "op", "command", "mode", "method", "task", "verb", "function"]
        .contains(&last.as_str())
}

/// Why nobody should give it unseen, of a new argument of a tool that may be critical: it is acted as somebody else, what holds a call back is passed by, or
/// whatever is in it goes on as it is.
pub(super) fn grants(name: &str, schema: &Value, critical: bool) -> Option<&'static str> {
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let has = |some: &[&str]| words.iter().any(|word| some.contains(word));
    let ends = |some: &[&str]| words.last().is_some_and(|last| some.contains(last));
    let takes = |of: &str| {
        schema.get("type").is_none_or(|given| given == of) || !object(Some(schema)).contains_key("type")
    };
    let people = [
        "user",
        "users",
        "role",
        "owner",
        "admin",
        "root",
        "account",
        "accounts",
        "tenant",
        "tenants",
        "member",
        "members",
        "customer",
        "customers",
        "workspaces",
        "organizations",
        "orgs",
        "org",
        "projects",
        "team",
        "teams",
        "mailboxes",
    ];
    let somebody = matches!(words.as_slice(), ["as", who, ..] | ["act" | "run" | "acting" | "login" | "sign", "as", who, ..] if people.contains(who))
        || matches!(words.as_slice(), ["act" | "run" | "execute" | "login", "as"] | ["acting", "user"])
        || has(&["impersonate", "impersonated", "impersonation", "behalf", "sudo", "runas", "asuser"]);
    if somebody || words.windows(2).any(|pair| matches!(pair, ["assume", "role"])) {
        return Some("by its name it acts as somebody else");
    }
    if words.first() == Some(&"all") && ends(&people) {
        return Some("by its name it reaches what is others'");
    }
    let undone = turn(name) == Some(Turn::Opens) && has(GUARDS);
    if undone
        || has(&["force", "bypass", "override", "insecure", "unsafe", "unrestricted", "dangerously"])
        || (critical && turn(name) == Some(Turn::Opens))
    {
        return Some("by its name it passes by what holds a call back");
    }
    if (ends(&["headers", "cookies"]) && !schema.get("type").is_some_and(|of| of == "boolean"))
        || (ends(&["proxy"]) && takes("string"))
    {
        return Some("by its name whatever is in it goes along with the request, or the request through it");
    }
    let raw =
        matches!(words.as_slice(), ["where"] | ["where", "clause"] | ["having"] | ["raw", ..] | [.., "raw"]);
    if raw && takes("string") {
        return Some("by its name what is in it becomes part of a command");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_tells_what_holds_a_call_back() {
        for name in [
            "dry_run",
            "dryRun",
            "confirm",
            "verify_tls",
            "redact",
            "require_approval",
            "approval_id",
            "no_overwrite",
        ] {
            assert_eq!(turn(name), Some(Turn::Guards), "{name}");
        }
        for name in [
            "force",
            "recursive",
            "skip_verification",
            "noConfirm",
            "include_private",
            "auto_approve",
            "delete_all",
        ] {
            assert_eq!(turn(name), Some(Turn::Opens), "{name}");
        }
        for name in ["limit", "sort", "skip", "include", "path", "auto"] {
            assert_eq!(turn(name), None, "{name}");
        }
    }

    #[test]
    fn an_argument_that_nobody_should_give_unseen_is_told_by_its_name() {
        let text = json!({ "type": "string" });
        for name in [
            "as_user",
            "impersonate",
            "on_behalf_of",
            "runAs",
            "force",
            "bypass_approval",
            "headers",
            "proxy",
            "all_tenants",
            "where",
            "assume_role",
            "skip_validation",
        ] {
            assert!(grants(name, &text, false).is_some(), "{name}");
        }
        for name in [
            "per_page",
            "recursive",
            "header_row",
            "as_of",
            "all_day",
            "filter",
            "format",
            "reason",
            "user",
            "asset",
        ] {
            assert_eq!(grants(name, &text, false), None, "{name}");
        }
        assert!(grants("recursive", &text, true).is_some());
        assert_eq!(grants("headers", &json!({ "type": "boolean" }), false), None);
    }
}
