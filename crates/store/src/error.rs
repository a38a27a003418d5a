//! What can go wrong with the database, said so that somebody can act on it.

use std::sync::Arc;

/// A fault of the store. Never carries a secret, a token, a hash or a database password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("this is not a store address ({reason}): write `sqlite:PATH` or `postgres://USER@HOST/DATABASE`")]
    Address { reason: &'static str },
    #[error(
        "the database {place} cannot be used ({detail}): check that it runs, the address, and that this user may read and write there"
    )]
    Unavailable { place: Arc<str>, detail: String },
    #[error("another gateway{} is using the database {place}: stop that one, or give this one a file of its own", owner(*.pid))]
    Claimed { place: Arc<str>, pid: Option<u32> },
    /// Two that append to copies of one log would each have half of the record.
    #[error(
        "another gateway writes the log `{log}` beside the database {place} (log-claimed): it runs on a copy of this state folder, or this folder is the copy; stop that one, or give this one a state folder of its own"
    )]
    LogClaimed { place: Arc<str>, log: String },
    /// Somebody else with the same key has filled the index.
    #[error(
        "the log `{log}` and what the database {place} has of it have parted (log-parted): another gateway wrote a copy of it; stop both, find out which has what, and go on with one"
    )]
    LogParted { place: Arc<str>, log: String },
    #[error(
        "the database {place} stayed locked by somebody else: try again, or find and stop the process that holds it"
    )]
    Busy { place: Arc<str> },
    #[error(
        "the database {place} is damaged or is not a database ({detail}): stop the gateway, keep a copy of the file and restore a backup"
    )]
    Corrupt { place: Arc<str>, detail: String },
    /// One of its files was moved, removed or replaced while it was open.
    #[error(
        "the file `{file}` of the database {place} was moved, removed or replaced while it was open (database-replaced): put it back, or stop the gateway and start it with the one it is to have"
    )]
    Replaced { place: Arc<str>, file: String },
    /// It is not there, and something that only stands beside one is.
    #[error(
        "the database {place} is not there, and {left} is (database-missing): it was moved or removed, and none is begun in its place; {cure}"
    )]
    Away { place: Arc<str>, left: String, cure: &'static str },
    #[error(
        "the database {place} belongs to another program: give callgate a file, or a PostgreSQL database or schema, of its own"
    )]
    Foreign { place: Arc<str> },
    /// A trigger runs with every statement and can undo it; a view can stand for something else.
    #[error(
        "the database {place} has a {kind} `{name}`, which callgate did not make and which can undo what is decided: find out who put it there, drop it, and compare what the database says with the record"
    )]
    Planted { place: Arc<str>, kind: String, name: String },
    #[error(
        "the database {place} took a change and does not have it ({what}): nothing was done; look for triggers and rules in it"
    )]
    Undone { place: Arc<str>, what: &'static str },
    #[error(
        "the database {place} was written by a newer callgate (schema {found}, this one knows {known}): install that version, or restore a backup made before the upgrade"
    )]
    Newer { place: Arc<str>, found: i64, known: i64 },
    /// Gateways that know only that schema may be working with it.
    #[error(
        "the database {place} was written by an older callgate (schema {found}, this one writes {known}): `callgate serve` of this version brings it up to date, once no older gateway works with it"
    )]
    Older { place: Arc<str>, found: i64, known: i64 },
    #[error("the database {place} is empty: `callgate serve` begins it")]
    Nothing { place: Arc<str> },
    #[error(
        "the schema of the database {place} was altered at step {version}: restore a backup, this callgate did not write it"
    )]
    Altered { place: Arc<str>, version: i64 },
    #[error("there is no room left for the database {place}: free some space and try again")]
    Full { place: Arc<str> },
    #[error("the database {place} refused a statement: {detail}")]
    Refused { place: Arc<str>, detail: String },
    /// A stored value that this version cannot read, which means that something else wrote it.
    #[error(
        "the database {place} holds an unreadable `{column}` in `{table}`: restore a backup, this callgate did not write it"
    )]
    Unreadable { place: Arc<str>, table: String, column: &'static str },
    #[error("the {what} `{name}` exists already: remove it first, or choose another name")]
    Exists { what: &'static str, name: String },
    /// A name whose ban outlived its agent.
    #[error(
        "the agent `{name}` was removed while it was disabled, and its name stays refused: `callgate agent enable {name}` lifts that"
    )]
    Banned { name: String },
    #[error("there is no {what} `{name}`: {}", shown_by(.what))]
    Missing { what: &'static str, name: String },
    /// An item that nobody saw its server offer.
    #[error(
        "the server `{server}` has shown no {} `{}`: `callgate registry list {server}` names what it offers", .item.kind.as_str(), .item.name
    )]
    NotShown { server: String, item: decision::Item },
    /// A step that the state of a server's record does not allow.
    #[error("the server `{server}` cannot be put on `{step}`: {why}", step = .step.as_str())]
    Step { server: String, step: catalog::record::Step, why: String },
    #[error("the {what} is not acceptable: {rule}")]
    Unacceptable { what: &'static str, rule: &'static str },
    #[error("the {what} `{name}` has changed since you looked at it: look again, then decide")]
    Moved { what: &'static str, name: String },
    /// A no to what nobody shows: whoever takes note of it has it withheld should it come back.
    #[error(
        "the {} `{}` is gone, so there is nothing to refuse: `callgate registry approve {server} {}` takes note of it, and should it come back, it is new and waits",
        .item.kind.as_str(), .item.name, .item.typed()
    )]
    Gone { server: String, item: decision::Item },
    #[error(
        "the log `{log}` is indexed up to entry {expected}, so {found} cannot be next: send those between first, or rebuild the index"
    )]
    Gap { log: String, expected: u64, found: u64 },
}

/// The command that says what there is.
fn shown_by(what: &str) -> &'static str {
    match what {
        "agent" | "token" => "`callgate agent list` shows all",
        "user" => "`callgate user list` shows all",
        "secret" => "`callgate secret list` shows all",
        "server" => "`callgate registry list` shows all that are known",
        "delivery that was given up" => "`callgate approvals deliveries` shows all",
        _ => "check the spelling",
    }
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

impl StoreError {
    /// Whether the database cannot be written at all now, whatever is to be written. It may be there for whoever reads.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full { .. } | Self::Corrupt { .. })
    }
}

/// Turns a driver's error into ours. Only codes and the short message are used: PostgreSQL's
/// detail lines quote row contents.
pub(crate) fn classify(place: &Arc<str>, error: &sqlx::Error) -> StoreError {
    let place = Arc::clone(place);
    if let sqlx::Error::Database(fault) = error {
        let detail = fault.message().replace(['\n', '\r'], " ");
        let code = fault.code().unwrap_or_default();
        return match Kind::of(&code) {
            Kind::Busy => StoreError::Busy { place },
            Kind::Corrupt => StoreError::Corrupt { place, detail },
            Kind::Full => StoreError::Full { place },
            Kind::Unavailable => StoreError::Unavailable { place, detail },
            Kind::Other => StoreError::Refused { place, detail },
        };
    }
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return StoreError::Busy { place };
    }
    let detail = error.to_string().replace(['\n', '\r'], " ");
    let lost = matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed);
    if lost || matches!(error, sqlx::Error::WorkerCrashed) {
        return StoreError::Unavailable { place, detail };
    }
    StoreError::Refused { place, detail }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Busy,
    Corrupt,
    Full,
    Unavailable,
    Other,
}

impl Kind {
    /// A SQLite extended result code is a number of at most four digits, a PostgreSQL SQLSTATE has five characters.
    fn of(code: &str) -> Self {
        if code.len() == 5 { Self::postgres(code) } else { Self::sqlite(code) }
    }

    /// <https://www.sqlite.org/rescode.html>; the low byte is the primary code.
    fn sqlite(code: &str) -> Self {
        match code.parse::<u32>().unwrap_or_default() & 0xff {
            5 | 6 => Self::Busy,
            11 | 26 => Self::Corrupt,
            13 => Self::Full,
            3 | 8 | 10 | 14 | 23 => Self::Unavailable,
            _ => Self::Other,
        }
    }

    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    fn postgres(code: &str) -> Self {
        match code {
            "40001" | "40P01" | "55P03" | "57014" => Self::Busy,
            "XX001" | "XX002" => Self::Corrupt,
            "53100" => Self::Full,
            // 25006: a standby, or a server that was set to read only
            "25006" | "3D000" | "42501" => Self::Unavailable,
            _ if ["08", "28", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) => {
                Self::Unavailable
            }
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_can_act_on_has_a_name_of_its_own() {
        let kinds = |codes: &[&str]| codes.iter().map(|code| Kind::of(code)).collect::<Vec<_>>();
        assert!(
            kinds(&["5", "261", "517", "6", "40001", "40P01", "55P03", "57014"])
                .iter()
                .all(|k| *k == Kind::Busy)
        );
        assert!(kinds(&["11", "267", "26", "XX001", "XX002"]).iter().all(|k| *k == Kind::Corrupt));
        assert!(kinds(&["13", "53100"]).iter().all(|k| *k == Kind::Full));
        let unavailable = [
            "8", "1032", "10", "778", "14", "23", "28P01", "3D000", "42501", "53300", "57P01", "08006",
            "25006", "58030",
        ];
        assert!(kinds(&unavailable).iter().all(|k| *k == Kind::Unavailable));
        assert!(kinds(&["", "1", "19", "2067", "23505", "42P01", "x"]).iter().all(|k| *k == Kind::Other));
    }
}
