//! Objects that matter: secrets, who may do what, money, people to reach, what is in service.

/// A singular noun that names a secret, and no password that is good once, among the words of an object: `api key`, but not `key`; `token`, but not
/// `page token`.
pub(super) fn credential(words: &[String]) -> Option<String> {
    words.iter().enumerate().find_map(|(at, word)| {
        let before = at.checked_sub(1).and_then(|at| words.get(at)).map(String::as_str).unwrap_or_default();
        let next = words.get(at + 1).map(String::as_str).unwrap_or_default();
        let secret = match word.as_str() {
            "password" if matches!(next, "protection" | "policy" | "manager") => false,
            // what a credential has to look like is no credential
            "credential" | "secret" if matches!(next, "schema" | "type" | "template") => false,
            // a whole environment, and none of what is in it
            "env" if matches!(next, "status" | "info" | "name" | "id" | "list" | "health") => false,
            "secret" | "password" | "passwd" | "passphrase" | "credential" | "kubeconfig" | "keystore"
            | "keypair" | "env" | "dotenv" | "apikey" | "keyvault" | "envvar" => {
                !matches!(before, "dev" | "prod" | "test" | "virtual" | "reset" | "one-time" | "onetime")
            }
            "token" => {
                !matches!(
                    before,
                    "page"
                        | "next"
                        | "sync"
                        | "max"
                        | "continuation"
                        | "search"
                        | "count"
                        | "design"
                        | "nft"
                        | "crypto"
                        | "erc20"
                        | "native"
                ) && !matches!(next, "status" | "expiry" | "usage" | "limit" | "holder" | "supply")
            }
            "key" => matches!(
                before,
                "api"
                    | "access"
                    | "ssh"
                    | "encryption"
                    | "signing"
                    | "private"
                    | "secret"
                    | "service"
                    | "deploy"
                    | "account"
                    | "license"
                    | "master"
                    | "webhook"
                    | "client"
                    | "gpg"
                    | "pgp"
                    | "signature"
                    | "connection"
                    | "storage"
                    | "kms"
                    | "host"
            ),
            "phrase" => matches!(before, "seed" | "recovery" | "pass"),
            "mnemonic" | "passcode" | "psk" | "jwt" | "dsn" => true,
            "pin" => matches!(before, "card" | "device" | "user" | "account" | "door"),
            "code" => {
                matches!(before, "recovery" | "bypass" | "backup" | "unlock" | "access" | "authorization")
            }
            "string" | "uri" => before == "connection",
            "var" | "variable" => matches!(before, "env" | "environment" | "config"),
            "certificate" | "cert" => matches!(before, "client" | "private" | "signing"),
            "profile" => before == "login",
            _ => false,
        };
        secret.then(|| if before.is_empty() { word.clone() } else { format!("{before} {word}") })
    })
}

/// Whether words name a secret, for acts that depend on it.
pub(super) fn credential_words(words: impl Iterator<Item = String>) -> bool {
    credential(&words.collect::<Vec<_>>()).is_some()
}

/// Who may do what, and what is exposed to whom.
pub(super) fn administrative(words: &[String]) -> Option<String> {
    let has = |word: &str| words.iter().any(|said| said == word);
    words.iter().enumerate().find_map(|(at, word)| {
        let next = words.get(at + 1).map(String::as_str).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|at| words.get(at)).map(String::as_str).unwrap_or_default();
        let ends = matches!(next, "" | "to" | "from" | "in" | "account" | "access" | "batch" | "bulk");
        let counts = match word.as_str() {
            "role" | "permission" | "acl" | "privilege" | "entitlement" | "collaborator"
            | "administrator" | "firewall" | "allowlist" | "whitelist" | "denylist" | "blocklist"
            | "rbac" | "iam" | "sso" | "mfa" | "saml" | "scim" | "membership" | "ingress" | "dns" | "vpn"
            | "peering" | "encryption" | "waf" | "tunnel" | "sharing" | "oidc" | "2fa" | "nsg"
            | "authenticator" | "passkey" | "totp" | "nameserver" | "ssid" | "egress" | "nacl"
            | "superuser" | "impersonation" | "federation" | "idp" | "ldap" | "cors" | "csp" | "captcha"
            | "exemption" | "exclusion" | "ioc" | "quarantined" | "delegate" | "delegation" => true,
            // what was found, and no setting
            "security" => !matches!(
                next,
                "alert"
                    | "event"
                    | "finding"
                    | "issue"
                    | "incident"
                    | "advisory"
                    | "vulnerability"
                    | "hotspot"
                    | "data"
                    | "report"
                    | "score"
            ),
            "policy" => !of_business(before),
            // in front, it may be where an interface is reached
            "admin" => {
                before != "as" && at > 0
                    || matches!(next, "" | "user" | "role" | "account" | "right" | "setting")
            }
            "factor" => {
                matches!(before, "" | "mfa" | "auth" | "authentication" | "second" | "user" | "login")
            }
            "grant" => true,
            // a key to somebody else's service lets nobody in here
            "key" if has("provider") => false,
            "key" => matches!(
                before,
                "api" | "access" | "ssh" | "deploy" | "service" | "public" | "authorized" | "signing"
            ),
            "token" => matches!(before, "access" | "api"),
            // what is read on its way, and what is seen from outside
            "ssl" | "tls" | "https" | "hsts" | "upnp" | "dmz" => next != "status",
            "wifi" | "wlan" => before == "guest",
            "proxy" => matches!(before, "tcp" | "udp" | "reverse"),
            "lan" => next == "access",
            "access" => before != "early" && !matches!(next, "log" | "point" | "tier" | "key" | "token"),
            // what goes to somebody is about neither who they are nor what they may do
            "user" | "member" if matches!(before, "to" | "for") => false,
            "user" | "member" | "invitation" | "invite" => ends,
            "account" => matches!(before, "service" | "user" | "system"),
            "group" => {
                matches!(before, "security" | "user" | "iam" | "org" | "organization")
                    || has("user")
                    || has("member")
            }
            "rule" => matches!(before, "security" | "nat" | "firewall" | "access" | "inbound" | "outbound"),
            "protection" => matches!(before, "branch" | "deletion" | "password" | "login" | "access"),
            "identity" => ends,
            "organization" | "tenant" | "workspace" => next == "member" || next == "user",
            word => signing_in(before, word, next),
        };
        counts.then(|| word.clone())
    })
}

/// Policies by which nobody may do more or less: how long something is kept, what is paid, when is tried again.
fn of_business(before: &str) -> bool {
    matches!(
        before,
        "retention"
            | "lifecycle"
            | "refund"
            | "return"
            | "privacy"
            | "alert"
            | "notification"
            | "backup"
            | "scaling"
            | "escalation"
            | "cancellation"
            | "pricing"
            | "shipping"
            | "leave"
            | "insurance"
            | "ilm"
            | "cache"
            | "sampling"
            | "merge"
            | "upgrade"
            | "restart"
            | "retry"
            | "fulfillment"
            | "fulfilment"
            | "payment"
            | "delivery"
            | "warranty"
            | "replication"
            | "rotation"
            | "break"
            | "overtime"
            | "pto"
            | "vacation"
            | "holiday"
            | "attendance"
            | "booking"
            | "tipping"
            | "discount"
    )
}

/// How people sign in, and what is let through.
fn signing_in(before: &str, word: &str, next: &str) -> bool {
    match word {
        "origin" => matches!(before, "trusted" | "allowed" | "cors"),
        "auth" | "authentication" | "authorization" | "oauth" | "login" => matches!(
            next,
            "method"
                | "provider"
                | "backend"
                | "config"
                | "setting"
                | "flow"
                | "connection"
                | "client"
                | "app"
                | "server"
                | "factor"
                | "request"
        ),
        "provider" => matches!(before, "identity" | "oauth" | "sso"),
        "forward" | "forwarding" => before == "port",
        // which way traffic goes decides what it reaches
        "route" => before == "static" || next == "table",
        "gateway" => matches!(before, "default" | "nat" | "internet" | "transit" | "vpn"),
        "port" => matches!(next, "forward" | "forwarding"),
        "zone" => before == "trust",
        // what a guard looks for, and whom it lets be
        "malware" | "virus" | "antivirus" | "phishing" | "spyware" | "ransomware" | "threat" => {
            matches!(
                next,
                "setting" | "protection" | "policy" | "config" | "exclusion" | "exception" | "scanner"
            )
        }
        "url" | "ip" | "domain" | "host" | "address" | "sender" => {
            matches!(before, "malicious" | "blocked" | "allowed" | "trusted" | "exempt" | "banned")
        }
        "allow" | "deny" | "block" | "access" if next == "list" => true,
        _ => false,
    }
}

/// What is written to people, so that adding one reaches them.
pub(super) fn message(words: &[String]) -> Option<String> {
    words.iter().enumerate().find_map(|(at, word)| {
        let next = words.get(at + 1).map(String::as_str).unwrap_or_default();
        let still = matches!(
            next,
            "template"
                | "address"
                | "alias"
                | "domain"
                | "label"
                | "filter"
                | "queue"
                | "setting"
                | "list"
                | "id"
                | "reaction"
                | "rule"
                | "channel"
                | "policy"
                | "preference"
                | "subscription"
                | "group"
                | "type"
                | "service"
                | "integration"
                | "draft"
                | "provider"
                | "thread"
                | "topic"
                | "account"
                | "server"
                | "flag"
                | "visibility"
        );
        let counts = matches!(
            word.as_str(),
            "comment"
                | "message"
                | "email"
                | "mail"
                | "sms"
                | "tweet"
                | "announcement"
                | "invitation"
                | "reply"
                | "dm"
                | "newsletter"
                | "notification"
        );
        (counts && !still).then(|| word.clone())
    })
}

/// What runs, so that stopping it or putting it into service is felt.
pub(super) fn in_service(words: &[String]) -> Option<String> {
    let counts = |word: &&String| {
        matches!(
            word.as_str(),
            "cluster"
                | "pod"
                | "vm"
                | "instance"
                | "server"
                | "service"
                | "deployment"
                | "app"
                | "application"
                | "dyno"
                | "container"
                | "database"
                | "db"
                | "node"
                | "machine"
                | "virtualmachine"
                | "site"
                | "environment"
                | "stack"
                | "function"
                | "worker"
                | "droplet"
                | "resource"
                | "process"
                | "chart"
                | "helm"
                | "production"
                | "host"
                | "cache"
                | "broker"
                | "workload"
                | "replica"
                | "project"
                | "switch"
                | "router"
                | "gateway"
                | "endpoint"
                | "daemon"
                | "balancer"
                | "nodepool"
                | "lambda"
                | "webserver"
                | "website"
                | "appliance"
                | "controller"
                | "proxy"
                | "hypervisor"
                | "firmware"
                | "warehouse"
                | "workflow"
                | "automation"
                | "runtime"
        )
    };
    words.iter().find(counts).cloned()
}

/// What is only related to something else, so that removing it deletes nothing for good.
pub(super) fn relation(words: &[String]) -> bool {
    words.iter().any(|word| {
        matches!(
            word.as_str(),
            "label"
                | "tag"
                | "reaction"
                | "star"
                | "assignee"
                | "reviewer"
                | "element"
                | "sub"
                | "subtask"
                | "child"
                | "parent"
                | "dependency"
                | "follower"
                | "watcher"
                | "attendee"
                | "participant"
                | "favorite"
                | "favourite"
                | "bookmark"
                | "item"
                | "relation"
                | "relationship"
                | "association"
                | "link"
                | "track"
                | "song"
        )
    })
}

/// Personal or otherwise sensitive, so that reading it is of tier high (K6).
pub(super) fn sensitive(words: &[String]) -> Option<String> {
    let counts = |word: &&String| {
        matches!(
            word.as_str(),
            "email"
                | "mail"
                | "gmail"
                | "message"
                | "inbox"
                | "contact"
                | "patient"
                | "salary"
                | "payroll"
                | "medical"
                | "health-record"
                | "passport"
                | "card"
                | "bank"
                | "payment"
                | "customer"
                | "employee"
                | "audit"
                | "vulnerability"
                | "conversation"
                | "chat"
                | "sms"
                | "calendar"
                | "location"
                | "diagnosis"
                | "ssn"
                | "tax"
                | "kyc"
                | "transcript"
                | "recording"
        )
    };
    words.iter().find(counts).cloned()
}

/// Open to everybody, so that reading it is of tier low (K4).
pub(super) fn public(words: &[String]) -> Option<String> {
    let counts = |word: &&String| {
        matches!(
            word.as_str(),
            "documentation"
                | "docs"
                | "doc"
                | "web"
                | "public"
                | "time"
                | "timezone"
                | "weather"
                | "pricing"
                | "knowledge"
                | "region"
                | "tutorial"
                | "guide"
                | "news"
                | "wikipedia"
                | "advisory"
                | "version"
                | "help"
                | "sum"
                | "unit"
                | "currency"
                | "example"
        )
    };
    words.iter().find(counts).cloned()
}
