//! Phrases by which a description says what no verb of it does.

use super::prose::Prose;

impl Prose {
    pub(super) fn statements(&mut self, text: &str) {
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        self.says_read_only = says(&[
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
            "nothing is changed",
            "nothing is written",
            "makes no changes",
            "only select",
            "select queries only",
            "select statements only",
        ]);
        self.says_final = says(&[
            "permanent",
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
        self.consequences(text);
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
        self.says_overwrites = overwrites(text);
    }
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
            !["not ", "n't ", "without ", "never ", "not be "].iter().any(|no| before.ends_with(no))
        })
    })
}
