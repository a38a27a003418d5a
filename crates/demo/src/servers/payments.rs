//! Payments, charges and refunds.

use super::args::{Args, Fault, money};
use super::{ADDS, DESTROYS, READS, Service, closed, tool};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug)]
struct Payment {
    customer: String,
    cents: i64,
    refunded: i64,
}

#[derive(Debug)]
pub(super) struct Payments {
    payments: BTreeMap<String, Payment>,
    subscriptions: BTreeMap<String, bool>,
    balance: i64,
    refunds: u32,
    payouts: u32,
}

impl Payments {
    pub(super) fn new() -> Self {
        let payments =
            [("P-7001", "C-1001", 54_000), ("P-7002", "C-1001", 18_900), ("P-7003", "C-1002", 4_000)];
        let payment = |(id, customer, cents): (&str, &str, i64)| {
            (id.to_owned(), Payment { customer: customer.to_owned(), cents, refunded: 0 })
        };
        Self {
            payments: payments.into_iter().map(payment).collect(),
            subscriptions: BTreeMap::from([("S-31".to_owned(), true), ("S-32".to_owned(), true)]),
            balance: 1_284_050,
            refunds: 0,
            payouts: 0,
        }
    }

    fn refund(&mut self, args: &Args<'_>) -> Result<Value, Fault> {
        let (id, cents) = (args.text("payment_id")?, args.cents("amount")?);
        let reason = args.text_or("reason", "")?;
        euros(args)?;
        let payment = self.payments.get_mut(id).ok_or_else(|| Fault::NotFound("payment", id.to_owned()))?;
        let left = payment.cents - payment.refunded;
        if cents > left {
            return Err(Fault::Impossible(format!("only {} EUR of `{id}` are left to refund", money(left))));
        }
        payment.refunded += cents;
        self.balance -= cents;
        self.refunds += 1;
        Ok(json!({
            "refund": format!("R-{}", 8_000 + self.refunds), "payment": id, "amount": money(cents),
            "currency": "EUR", "status": "paid", "reason": reason,
        }))
    }

    fn charge(&mut self, args: &Args<'_>) -> Result<Value, Fault> {
        let (customer, cents) = (args.text("customer")?.to_owned(), args.cents("amount")?);
        euros(args)?;
        let id = format!("P-{}", 7_001 + self.payments.len());
        self.balance += cents;
        let payment = Payment { customer, cents, refunded: 0 };
        let result = shown(&id, &payment);
        self.payments.insert(id, payment);
        Ok(result)
    }

    fn payout(&mut self, args: &Args<'_>) -> Result<Value, Fault> {
        let (cents, account) = (args.cents("amount")?, args.text("account")?);
        if cents > self.balance {
            return Err(Fault::Impossible("the balance does not cover this payout".to_owned()));
        }
        self.balance -= cents;
        self.payouts += 1;
        let id = format!("T-{}", 9_000 + self.payouts);
        Ok(json!({ "payout": id, "amount": money(cents), "account": account, "status": "sent" }))
    }
}

fn euros(args: &Args<'_>) -> Result<(), Fault> {
    match args.text("currency")? {
        "EUR" => Ok(()),
        other => Err(Fault::Impossible(format!("this account has no `{other}`, only EUR"))),
    }
}

fn shown(id: &str, payment: &Payment) -> Value {
    let Payment { customer, cents, refunded } = payment;
    json!({
        "id": id, "customer": customer, "amount": money(*cents),
        "refunded": money(*refunded), "currency": "EUR", "status": "settled",
    })
}

impl Service for Payments {
    fn name(&self) -> &'static str {
        "payments"
    }

    fn instructions(&self) -> &'static str {
        "Payments of customers. Amounts are in euros with at most two decimals."
    }

    fn tools(&self) -> Vec<Value> {
        let text = json!({ "type": "string" });
        let id = json!({ "type": "string", "description": "such as P-7001" });
        let amount = json!({ "type": "number", "exclusiveMinimum": 0, "description": "in the currency" });
        let currency = json!({ "type": "string", "enum": ["EUR", "USD", "GBP"] });
        let refund = json!({ "payment_id": id, "amount": amount, "currency": currency, "reason": text });
        let charge = json!({ "customer": text, "amount": amount, "currency": currency });
        let payout = closed(json!({ "amount": amount, "account": text }), &["amount", "account"]);
        let customer = json!({ "customer": { "type": "string", "description": "such as C-1001" } });
        vec![
            tool(
                "get_payment",
                "Get payment",
                "One payment by id.",
                closed(json!({ "id": id }), &["id"]),
                READS,
            ),
            tool(
                "list_payments",
                "List payments",
                "All payments of a customer.",
                closed(customer, &["customer"]),
                READS,
            ),
            tool("get_balance", "Get balance", "What is on the account.", closed(json!({}), &[]), READS),
            tool(
                "create_charge",
                "Charge a customer",
                "Takes money from a customer's card.",
                closed(charge, &["customer", "amount", "currency"]),
                ADDS,
            ),
            tool(
                "refund",
                "Refund a payment",
                "Pays a payment back, whole or in part. Cannot be undone.",
                closed(refund, &["payment_id", "amount", "currency", "reason"]),
                DESTROYS_ONCE,
            ),
            tool(
                "create_payout",
                "Pay out",
                "Sends money from the account to a bank account. Cannot be undone.",
                payout,
                DESTROYS_ONCE,
            ),
            tool(
                "cancel_subscription",
                "Cancel subscription",
                "Ends a subscription at once.",
                closed(json!({ "id": text }), &["id"]),
                DESTROYS,
            ),
        ]
    }

    fn call(&mut self, tool: &str, args: &Args<'_>) -> Result<Value, Fault> {
        match tool {
            "get_payment" => {
                let id = args.text("id")?;
                let found = self.payments.get(id).ok_or_else(|| Fault::NotFound("payment", id.to_owned()))?;
                Ok(shown(id, found))
            }
            "list_payments" => {
                let customer = args.text("customer")?;
                let own = self.payments.iter().filter(|(_, payment)| payment.customer == customer);
                Ok(json!({ "payments": own.map(|(id, one)| shown(id, one)).collect::<Vec<_>>() }))
            }
            "get_balance" => Ok(json!({ "balance": money(self.balance), "currency": "EUR" })),
            "create_charge" => self.charge(args),
            "refund" => self.refund(args),
            "create_payout" => self.payout(args),
            "cancel_subscription" => {
                let id = args.text("id")?;
                match self.subscriptions.get_mut(id) {
                    Some(active) => {
                        *active = false;
                        Ok(json!({ "subscription": id, "active": false }))
                    }
                    None => Err(Fault::NotFound("subscription", id.to_owned())),
                }
            }
            _ => Err(Fault::UnknownTool),
        }
    }
}

/// Destroys, and twice is not once.
const DESTROYS_ONCE: (bool, bool, bool) = (false, true, false);
