//! Nouns of money: what is paid, what is owed, and what only speaks of it.

/// What a noun has to do with money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Money {
    /// To make one, to finish it or to stop it moves money or commits to paying.
    Moves,
    /// It is about money, which only some verbs move.
    About,
    /// What is paid on and on, or to whom: to change it is to commit to paying.
    Pays,
}

/// The first money noun of an object. `billed` says that amounts, prices or customers are near.
pub(super) fn money(words: &[String], billed: bool) -> Option<(Money, String)> {
    words.iter().enumerate().find_map(|(at, word)| {
        let next = words.get(at + 1).map(String::as_str).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|at| words.get(at)).map(String::as_str).unwrap_or_default();
        let about = matches!(
            next,
            "link"
                | "method"
                | "page"
                | "term"
                | "template"
                | "reminder"
                | "plan"
                | "note"
                | "item"
                | "setting"
                | "reason"
                | "timesheet"
                | "calendar"
        );
        // `orders_notes_create`: what is written beside it
        if matches!(next, "note" | "notes" | "comment" | "tag" | "attachment") && word != "credit" {
            return None;
        }
        let advertises =
            |word: &String| matches!(word.as_str(), "campaign" | "adgroup" | "adset" | "ad" | "ads");
        let money = match word.as_str() {
            // what is spent on advertising, from then on
            "budget" | "bid" if words.iter().any(advertises) => Money::Pays,
            "payment" | "refund" | "payout" | "withdrawal" | "disbursement" | "payroll" | "remittance"
            | "reimbursement" | "settlement" | "mandate" | "donation" | "wire" | "purchase"
            | "chargeback" | "repayment" | "prepayment" | "topup" | "bounty" => Money::Moves,
            "salary" | "wage" | "payee" | "beneficiary" | "compensation" => Money::Pays,
            "deposit" if before == "direct" => Money::Pays,
            "account" if before == "bank" => Money::Pays,
            "card" if before == "gift" => Money::Moves,
            "debit" | "order"
                if matches!(before, "direct" | "standing" | "buy" | "sell" | "market" | "limit") =>
            {
                Money::Moves
            }
            "charge" | "transfer" | "deposit" | "trade" | "order" | "checkout" | "dispute"
            | "transaction" | "reservation" | "booking" | "flight" | "hotel" | "loan" | "bid" | "swap"
            | "stake" | "mile" | "allowance" | "escrow"
                if billed =>
            {
                Money::Moves
            }
            "subscription"
                if billed && !matches!(before, "notification" | "webhook" | "event" | "push" | "topic") =>
            {
                Money::Moves
            }
            "invoice" | "price" | "coupon" | "discount" | "quote" | "billing" | "tax" | "expense"
            | "ledger" | "voucher" | "bill" | "fee" | "debt" | "receivable" | "budget" | "bonus" => {
                Money::About
            }
            "wallet" if billed => Money::About,
            "balance" if billed => Money::About,
            "note" if before == "credit" => Money::About,
            "journal" if matches!(before, "manual" | "general" | "accounting") => Money::About,
            _ => return None,
        };
        let money = if about && money == Money::Moves { Money::About } else { money };
        Some((money, word.clone()))
    })
}

/// A money noun that says how much somebody has to pay.
pub(super) fn priced(noun: &str) -> bool {
    matches!(noun, "price" | "tax" | "discount" | "fee" | "budget" | "bonus" | "billing" | "journal")
}
