//! Phrases by which a description says what no verb of it does.

use super::prose::Prose;

impl Prose {
    pub(super) fn statements(&mut self, text: &str) {
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        // what a trial run leaves alone says nothing of the others
        let whole: Vec<&str> = text.split(". ").filter(|part| !trial(part)).collect();
        let throughout = |phrases: &[&str]| phrases.iter().any(|p| whole.iter().any(|part| part.contains(p)));
        self.says_read_only = throughout(&[
            "read-only",
            "read only",
            "readonly",
            "does not modify",
            "doesn't modify",
            "without modifying",
            "does not change",
            "no side effect",
            "changes nothing",
            "without changing",
            "does not write",
            "doesn't write",
            "never writes",
            "writes nothing",
            "nothing is changed",
            "nothing is written",
            "makes no changes",
            "only select",
            "select queries only",
            "select statements only",
        ]) || says(&["sql select", "a select query", "a select statement"])
            && !says(&["insert", "update ", "delete", "ddl"]);
        self.says_final = says(&[
            "permanently",
            "permanent delet",
            "permanent remov",
            "permanent loss",
            "permanent action",
            "permanent operation",
            "is permanent",
            "are permanent",
            "be permanent",
            "irreversibl",
            "cannot be undone",
            "can't be undone",
            "can not be undone",
            "unrecoverable",
            "irrecoverabl",
            "not recoverable",
            "cannot be recovered",
            "cannot be reversed",
            "can't be reversed",
            "no way back",
            "will be lost",
            "is lost",
            "are lost",
        ]);
        self.keeps(text);
        self.consequences(text);
    }

    /// What it says is still there afterwards.
    fn keeps(&mut self, text: &str) {
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        let undoes = says(&[
            "reversible via",
            "reversible by",
            "reversible with",
            "is reversible",
            "can be undone",
            "can be reverted",
            "can be reversed",
        ]);
        let keeps = says(&[
            "is not lost",
            "are not lost",
            "retaining all history",
            "retains all history",
            "history is kept",
            "history is preserved",
            "earlier versions are kept",
            "previous version is kept",
        ]);
        self.says_undone = (undoes || keeps) && !self.says_final;
        self.says_soft = says(&[
            "soft-delete",
            "soft delete",
            "to trash",
            "to the trash",
            "recycle bin",
            "can be restored",
            "can be recovered",
            "no hard delete",
            "not a hard delete",
        ]) && !self
            .first
            .iter()
            .any(|word| word.starts_with("permanent") || word.starts_with("irrevers"));
        self.says_stays = stays(text);
        self.returns_secret = text.split(['.', '\n', ';']).any(returns_secret);
    }

    /// It speaks of paying, whoever pays and when.
    pub(super) fn speaks_of_pay(&self) -> bool {
        [" paid", " pay ", " pays ", "payment", "payout"].iter().any(|word| self.whole.contains(word))
    }

    /// It says that something costs.
    pub(super) fn says_costs(&self) -> bool {
        const COSTS: &[(&str, &[&str])] = &[
            ("bill", &["billable", "billing charge"]),
            ("rated", &["prorated", "pro-rated"]),
            ("incur", &["incur charge", "incur fee", "incurs charge", "incurs fee"]),
        ];
        COSTS.iter().any(|(hint, phrases)| {
            self.whole.contains(hint) && phrases.iter().any(|phrase| self.whole.contains(phrase))
        })
    }

    /// It costs as long as it is there.
    pub(super) fn says_from_now_on(&self) -> bool {
        [
            "from creation",
            "until stop",
            "until it is stopped",
            "hourly",
            "per hour",
            "per minute",
            "per month",
        ]
        .iter()
        .any(|phrase| self.whole.contains(phrase))
    }

    /// What it shows has a secret in it.
    pub(super) fn includes_secret(&self) -> bool {
        self.whole.contains("includ") && self.whole.split(['.', '\n', ';']).any(includes_secret)
    }

    /// What it shows has no secret in it, though its name speaks of one.
    pub(super) fn withholds_secret(&self) -> bool {
        withholds_secret(&self.whole)
    }

    /// What happens to money and people beside the deed itself.
    fn consequences(&mut self, text: &str) {
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        self.says_paid = says(&[
            "is charged",
            "are charged",
            "charges the",
            "be charged",
            "is refunded",
            "be refunded",
            "is debited",
            "be debited",
            "are paid",
            "be paid",
            "get paid",
            "gets paid",
            "paid automatically",
            "is billed",
            "be billed",
            "and refund",
            "moves money",
            "complete the payment",
            "complete a payment",
            "completes the payment",
            "complete the purchase",
            "complete the transaction",
            "complete the order",
            "confirm the payment",
            "finalize the payment",
            "authorize the payment",
        ]);
        self.says_told = says(&[
            "email is sent",
            "emails are sent",
            "invitation is sent",
            "message is sent",
            "notification is sent",
            "is paged",
            "are paged",
            "be paged",
            "is invited",
            "are invited",
            "be invited",
            "is notified",
            "are notified",
            "be notified",
            "is emailed",
            "are emailed",
            "be emailed",
            "notifies the",
            "receive an email",
            "sends an email",
            "sends a notification",
            "sends them",
            "and email",
            "and notify",
            "emails the",
        ]);
        // `notifies the system that`: nobody is told
        let to_machines = ["notifies the system", "notifies the server", "notifies the api"];
        self.says_told = self.says_told && !to_machines.iter().any(|phrase| text.contains(phrase));
        self.says_discards = discards(text);
        self.says_dropped = drops_what_is_left_out(text);
        self.says_overwrites = self.says_dropped || overwrites(text);
    }
}

/// What a thing is taken off, and the thing itself, are there as before.
fn stays(text: &str) -> bool {
    ["still exist", "will remain in", "remain in the", "remains in the", "without deleting", "itself is kept"]
        .iter()
        .any(|phrase| text.contains(phrase))
}

fn trial(sentence: &str) -> bool {
    ["dry_run", "dry-run", "dry run", "dryrun"].iter().any(|word| sentence.contains(word))
}

/// How a sentence says that something is held back.
const HELD: &[&str] =
    &["no ", "not ", "n't ", "never", "without", "omit", "mask", "redact", "hidden", "except"];

/// A sentence by which a secret is handed over, and none is held back.
fn returns_secret(sentence: &str) -> bool {
    const SECRETS: &[&str] =
        &["credentials", "api key", "secret key", "client secret", "access token", "private key", "password"];
    let has = |words: &[&str]| words.iter().any(|word| sentence.contains(word));
    sentence.contains("return") && has(SECRETS) && !has(HELD)
}

/// What is shown, as a list of what is in it has it: `details including the name and the api key`.
fn includes_secret(sentence: &str) -> bool {
    const SECRETS: &[&str] =
        &["api key", "api_key", "client secret", "client_secret", "access token", "private key"];
    let Some((_, listed)) = sentence.split_once("includ") else {
        return false;
    };
    SECRETS.iter().any(|secret| {
        // what stands behind it would say of what kind a setting is
        listed.split_once(secret).is_some_and(|(before, after)| {
            let ends = after.is_empty()
                || after.starts_with([',', ')', '`', '\'', '"'])
                || after.starts_with(" and ");
            ends && !HELD.iter().any(|held| before.contains(held))
        })
    })
}

/// Of secrets only what is known about them is shown.
fn withholds_secret(text: &str) -> bool {
    const NEVER: &[&str] = &[
        "metadata only",
        "only metadata",
        "names only",
        "only the names",
        "without values",
        "without their values",
    ];
    const SECRET: &[&str] = &["secret", "value", "key", "token"];
    const SHOWN: &[&str] = &["retriev", "return", "shown", "reveal", "includ", "exposed"];
    let never = |part: &str| {
        let has = |words: &[&str]| words.iter().any(|word| part.contains(word));
        has(SECRET) && has(SHOWN) && (part.contains("never") || part.contains(" not "))
    };
    NEVER.iter().any(|phrase| text.contains(phrase)) || text.split(['.', '\n', ';', '(']).any(never)
}

/// What is not among what is given is deleted.
fn drops_what_is_left_out(text: &str) -> bool {
    let left_out = |part: &str| {
        ["omitted", "not included", "left out", "not listed", "missing from"]
            .iter()
            .any(|phrase| part.contains(phrase))
            && ["are removed", "is removed", "be removed", "are deleted", "is deleted", "be deleted"]
                .iter()
                .any(|phrase| part.contains(phrase))
    };
    (text.contains("removed") || text.contains("deleted")) && text.split(['.', '\n', ';']).any(left_out)
}

/// What is lost beside the deed itself, in a clause of its own: `resets the branch, discarding local changes`.
fn discards(text: &str) -> bool {
    const LOSING: &[&str] = &["discarding", "destroying", "wiping", "erasing", "purging"];
    const NEVER: &[&str] = &[
        "not",
        "without",
        "never",
        "instead",
        "of",
        "than",
        "before",
        "avoid",
        "prevent",
        "for",
        "after",
        "support",
        "supports",
        "including",
        "about",
        "from",
        "against",
    ];
    let words: Vec<&str> = text.split_whitespace().take(400).collect();
    words.iter().enumerate().any(|(at, word)| {
        let before = words.get(at.saturating_sub(2)..at).unwrap_or_default();
        let plain = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        LOSING.contains(word) && !before.iter().any(|word| NEVER.contains(&plain(word).as_str()))
    })
}

/// Whether it says that it overwrites, and not that it does not.
fn overwrites(text: &str) -> bool {
    let overwrites = [
        "overwrites an",
        "overwrites the",
        "overwrites all",
        "overwrite the",
        "overwrite existing",
        "overwrites existing",
        "overwriting existing",
        "overwriting any",
        "completely overwrite",
        "overwritten",
        "replaces all",
        "replaces any",
        "replaces existing",
        "replaces the entire",
        "replaces the whole",
        "replace the entire",
        "replace all existing",
        "replacing all",
        "replacing any existing",
    ];
    overwrites.iter().any(|phrase| {
        let before = text.find(phrase).map(|at| text.get(..at).unwrap_or_default());
        before.is_some_and(|before| {
            let near = before.split_whitespace().rev().take_while(|word| !word.ends_with(['.', ';', ':']));
            !near.take(3).any(|word| matches!(word, "not" | "without" | "never") || word.ends_with("n't"))
        })
    })
}
