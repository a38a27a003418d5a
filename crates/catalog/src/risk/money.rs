//! Whether money moves, or somebody commits to paying.

use super::Effect;
use super::lexicon::Act;
use super::schema::Argument;
use super::stakes::Scale;
use super::sums::{self, Money};
use super::words::{singular, split};
use crate::Category;
use std::borrow::Cow;

impl Scale<'_, '_> {
    pub(super) fn money(&mut self) {
        let billed = self.billed();
        let find = |words: &[String]| sums::money(words, billed);
        let whole: Vec<String> = self.reading.name.words.iter().map(|word| singular(word)).collect();
        let named = find(&self.named).or_else(|| find(&whole).filter(|(_, word)| !self.is_verb(word)));
        let found = named
            .map(|found| ("/name", found))
            .or_else(|| find(&self.described).map(|found| ("/description", found)));
        let charged = |word: &String| word.starts_with("charg");
        let verbs = self.reading.deeds.iter().map(|deed| &deed.word);
        if verbs.chain(&self.reading.name.words).any(charged) && self.reading.fills_a_battery() {
            return;
        }
        let drafts = self.reading.says("draft") && self.finishes().is_none() && !self.publishes();
        if let Some(deed) = self.does(&[Act::Pay]).filter(|_| !drafts).cloned()
            && (surely(&deed.word) || billed || found.is_some() || self.charges(&deed.word))
        {
            self.moves(deed.place.clone(), format!("`{}` moves money", deed.word));
            return;
        }
        if let Some(place) = self.commits().filter(|_| !self.reading.name.acts.is_empty()) {
            self.moves(place, "what was open is settled by it".to_owned());
            return;
        }
        if let Some(place) = self.trades() {
            self.moves(place, "something of worth is given for it".to_owned());
            return;
        }
        if self.reading.prose.says_paid && !drafts && !self.reading.deeds.is_empty() {
            self.moves("/description", "it says that money is taken or paid".to_owned());
            return;
        }
        let spends = |word: &String| matches!(word.as_str(), "spender" | "allowance");
        if let Some(argument) =
            self.reading.arguments.iter().find(|argument| argument.words.iter().any(spends))
        {
            self.moves(argument.pointer.clone(), "it lets somebody else spend".to_owned());
            return;
        }
        let makes = self.does(&[Act::Add, Act::Run, Act::Deploy]).is_some();
        if makes && self.reading.prose.says_costs() && self.reading.prose.says_from_now_on() {
            self.moves("/description", "it costs from the moment it is made".to_owned());
            return;
        }
        if let Some(place) = self.promises() {
            self.moves(place, "it promises pay to whoever does the work".to_owned());
            return;
        }
        if let Some((place, (money, noun))) = found {
            self.about(place, money, &noun, drafts);
        }
        if !self.reading.deeds.is_empty() && !self.categories.contains(&Category::Financial) {
            self.beside();
        }
    }

    /// What is paid for work that is asked for: an amount in a currency that is no price of something, where pay is spoken of.
    fn promises(&self) -> Option<Cow<'static, str>> {
        let currency =
            |word: &str| matches!(word, "usd" | "eur" | "gbp" | "usdc" | "usdt" | "sats" | "cents");
        let pay = |word: &str| {
            matches!(
                word,
                "budget"
                    | "prize"
                    | "pay"
                    | "bounty"
                    | "reward"
                    | "tip"
                    | "bonus"
                    | "stipend"
                    | "compensation"
            )
        };
        let promised = |argument: &&Argument<'_>| {
            argument.words.last().is_some_and(|last| currency(last))
                && argument.words.iter().any(|word| pay(word))
        };
        let asks = || self.does(&[Act::Add, Act::Send]).is_some() && self.reading.prose.speaks_of_pay();
        let promised = self.reading.arguments.iter().find(promised).filter(|_| asks())?;
        Some(Cow::Owned(promised.pointer.clone()))
    }

    /// Money that the deed is not about: a line that is sold, a card that pays, what is said to cost.
    fn beside(&mut self) {
        let line = self.takes(&["unit_price", "unit_amount", "unit_cost"])
            && self.takes(&["quantity", "qty"])
            && self.does(&[Act::Add, Act::Change]).is_some();
        let card = self.reading.bills
            && self.named.last().is_some_and(|last| last == "card")
            && self.does(&[Act::Add, Act::Halt, Act::Remove, Act::Flip]).is_some();
        let because = if line {
            "what is sold has its price"
        } else if card {
            "a card pays"
        } else if self.reading.prose.says_costs() {
            "it says that it may cost"
        } else {
            return;
        };
        self.found(Category::Financial, "/description", because.to_owned());
    }

    fn about(&mut self, place: &'static str, money: Money, noun: &str, drafts: bool) {
        let adds = self.does(&[Act::Add, Act::Run, Act::Halt, Act::Remove]).is_some();
        let starts = adds || self.does(&[Act::Send]).is_some() || self.finishes().is_some();
        let flips = self.does(&[Act::Flip]).is_some();
        let finishes = self.finishes().is_some_and(|word| word != "submit" && word != "place");
        let priced = self.takes(&["amount", "price", "currency", "unit_amount", "quantity", "total"]);
        let changes = self.does(&[Act::Change]).is_some();
        let keeps_books = self.reading.deeds.iter().all(|deed| {
            let verb = deed.word.trim_end_matches('s');
            matches!(
                verb,
                "record"
                    | "log"
                    | "track"
                    | "register"
                    | "note"
                    | "mark"
                    | "import"
                    | "match"
                    | "reconcile"
                    | "tag"
            )
        });
        match money {
            Money::Moves if noun == "dispute" && self.reading.says("evidence") => {}
            Money::About if noun == "invoice" && self.publishes() => {
                self.moves(place, "an invoice that is out is to be paid".to_owned())
            }
            Money::Moves if drafts => {}
            Money::Moves if keeps_books => {
                self.found(Category::Financial, place, format!("`{noun}` is about money"))
            }
            Money::Pays if changes => self.moves(place, format!("it changes what is paid: `{noun}`")),
            Money::Pays if adds || flips => {
                self.found(Category::Financial, place, format!("`{noun}` is about money"))
            }
            Money::Moves if noun == "subscription" && changes && self.buys_more() => {
                self.moves(place, "it changes how much is paid on and on".to_owned())
            }
            Money::Moves if matches!(noun, "subscription" | "dispute") && changes => {
                self.found(Category::Financial, place, format!("it changes a `{noun}`"))
            }
            Money::Moves if starts => self.moves(place, format!("it makes, finishes or stops a `{noun}`")),
            Money::About if finishes => self.moves(place, format!("it finishes a `{noun}`")),
            Money::Moves if priced && changes && matches!(noun, "order" | "trade" | "bid") => {
                self.moves(place, format!("it changes what a `{noun}` commits to"))
            }
            Money::Moves if priced => {
                self.found(Category::Financial, place, format!("it changes the amount of a `{noun}`"))
            }
            Money::About if adds || flips || priced || (changes && sums::priced(noun)) => {
                self.found(Category::Financial, place, format!("`{noun}` is about money"))
            }
            Money::Moves | Money::About | Money::Pays => {}
        }
    }

    /// The verb that makes an agreement of what was only an offer, or ends it.
    fn finishes(&self) -> Option<&str> {
        let finishing = |deed: &&super::effect::Deed| {
            matches!(
                deed.word.trim_end_matches('s'),
                "finalize"
                    | "finalise"
                    | "void"
                    | "pay"
                    | "approve"
                    | "accept"
                    | "confirm"
                    | "capture"
                    | "complete"
                    | "submit"
                    | "place"
                    | "checkout"
                    | "book"
                    | "reserve"
                    | "authorize"
                    | "activate"
                    | "sign"
                    | "issue"
                    | "write"
            )
        };
        self.reading.deeds.iter().find(finishing).map(|deed| deed.word.trim_end_matches('s'))
    }

    pub(super) fn publishes(&self) -> bool {
        self.reading.deeds.iter().any(|deed| deed.word.starts_with("publish"))
    }

    /// A card or a customer is charged, and no battery.
    fn charges(&self, verb: &str) -> bool {
        let whom = ["card", "customer", "buyer", "client", "guest", "passenger"];
        let points = ["mile", "point", "reward", "voucher", "coupon", "credit"];
        match verb.trim_end_matches('s') {
            "charge" | "debit" | "bill" => whom.iter().any(|word| self.reading.says(word)),
            "redeem" => points.iter().any(|word| self.reading.says(word)),
            _ => false,
        }
    }

    /// Coins and money that are exchanged, and terms that are renewed.
    fn trades(&self) -> Option<Cow<'static, str>> {
        let near = |nouns: &[&str]| {
            self.named.iter().chain(&self.described).any(|word| nouns.contains(&word.as_str()))
        };
        let traded = |deed: &&super::effect::Deed| match deed.word.trim_end_matches('s') {
            "exchange" | "swap" | "bridge" => near(&["token", "money", "currency", "coin", "crypto"]),
            "renew" => near(&["domain", "subscription", "license", "licence", "membership", "plan"]),
            _ => false,
        };
        self.reading.deeds.iter().find(traded).map(|deed| deed.place.clone())
    }

    /// Seats, a plan or a price of a subscription, at any depth of its arguments.
    fn buys_more(&self) -> bool {
        let named = |words: &[String]| {
            words.iter().any(|word| {
                matches!(singular(word).as_str(), "seat" | "plan" | "price" | "quantity" | "tier" | "license")
            })
        };
        let within = |argument: &Argument<'_>| {
            let inner = argument.schema.get("properties").and_then(serde_json::Value::as_object);
            inner.is_some_and(|inner| inner.keys().any(|name| named(&split(name))))
        };
        self.reading.arguments.iter().any(|argument| named(&argument.words) || within(argument))
    }

    /// Positions that are closed and orders that are completed, whether or not amounts are near.
    fn commits(&self) -> Option<Cow<'static, str>> {
        let last = self.named.last().or(self.described.last()).map(String::as_str).unwrap_or_default();
        let names = |words: &[&str]| words.iter().any(|word| self.named.iter().any(|said| said == word));
        let job =
            ["job", "cursor", "scroll", "work", "sort", "window"].iter().any(|word| self.reading.says(word));
        let settles = |deed: &&super::effect::Deed| match deed.word.trim_end_matches('s') {
            "close" | "exit" => matches!(last, "position" | "trade"),
            "complete" | "finalize" | "finalise" => last == "order" && !names(&["item", "line"]),
            _ => false,
        };
        self.reading.deeds.iter().find(settles).filter(|_| !job).map(|deed| deed.place.clone())
    }

    fn is_verb(&self, word: &str) -> bool {
        self.reading.name.acts.iter().any(|(_, verb)| verb == word)
    }

    /// Amounts and prices are near.
    fn billed(&self) -> bool {
        let argument = |argument: &Argument<'_>| {
            argument.ends(&[
                "amount",
                "currency",
                "price",
                "iban",
                "coupon",
                "salary",
                "budget",
                "beneficiary",
                "payee",
                "fare",
            ]) || argument.is(&[
                "customer",
                "customer_id",
                "plan_id",
                "price_id",
                "payment_id",
                "payment_method",
                "account_number",
                "routing_number",
                "card_id",
                "symbol",
                "ticker",
                "gas",
                "gas_price",
                "chain_id",
                "validator",
            ])
        };
        let said = [
            "payment",
            "billing",
            "money",
            "price",
            "currency",
            "invoice",
            "merchant",
            "fund",
            "buyer",
            "bank",
            "wage",
            "salary",
            "crypto",
            "trading",
            "brokerage",
            "portfolio",
            "fee",
            "fare",
            "buy",
            "sell",
            "pay",
            "cash",
            "refund",
        ];
        self.reading.bills
            || self.reading.arguments.iter().any(argument)
            || said.iter().any(|word| self.reading.says(word))
    }

    fn moves(&mut self, place: impl Into<Cow<'static, str>>, because: String) {
        let place = place.into();
        self.found(Category::Financial, place.clone(), because.clone());
        self.critical(place, because);
        self.effect = Effect::Irreversible;
    }
}

/// Verbs that have no other meaning than to move money.
fn surely(verb: &str) -> bool {
    !matches!(
        verb.trim_end_matches('s'),
        "transfer"
            | "settle"
            | "credit"
            | "debit"
            | "bill"
            | "charge"
            | "deposit"
            | "stake"
            | "unstake"
            | "redeem"
            | "invest"
            | "tip"
            | "bid"
            | "fund"
            | "underwrite"
            | "tender"
            | "trade"
            | "wager"
            | "withdraw"
            | "sell"
    )
}
