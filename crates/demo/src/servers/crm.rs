//! The customer file.

use super::args::{Args, Fault, money};
use super::{ADDS, DESTROYS, READS, SETS, Service, closed, tool};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
struct Customer {
    name: String,
    email: String,
    plan: String,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Order {
    customer: String,
    item: &'static str,
    cents: i64,
    status: &'static str,
}

#[derive(Debug)]
pub(super) struct Crm {
    customers: BTreeMap<String, Customer>,
    orders: BTreeMap<&'static str, Order>,
}

impl Crm {
    pub(super) fn new() -> Self {
        let customers = [
            ("C-1001", "Ada Lindqvist", "ada@lindqvist.example", "business"),
            ("C-1002", "Bruno Keller", "bruno.keller@keller-bau.example", "business"),
            ("C-1003", "Chiara Conti", "chiara@conti.example", "personal"),
            ("C-1004", "Bruno Keller", "b.keller@keller-bau.example", "personal"),
            ("C-1005", "Dorota Nowak", "dorota@nowak.example", "personal"),
        ];
        let orders = [
            ("O-501", "C-1001", "espresso machine", 54_000, "delivered"),
            ("O-502", "C-1001", "grinder", 18_900, "returned"),
            ("O-503", "C-1002", "water filter", 4_000, "delivered"),
            ("O-504", "C-1003", "milk jug", 2_450, "shipped"),
        ];
        let customer = |(id, name, email, plan): (&str, &str, &str, &str)| {
            let notes = Vec::new();
            (id.to_owned(), Customer { name: name.into(), email: email.into(), plan: plan.into(), notes })
        };
        let order =
            |(id, customer, item, cents, status): (&'static str, &str, &'static str, i64, &'static str)| {
                (id, Order { customer: customer.to_owned(), item, cents, status })
            };
        Self {
            customers: customers.into_iter().map(customer).collect(),
            orders: orders.into_iter().map(order).collect(),
        }
    }

    fn customer(&mut self, args: &Args<'_>, name: &'static str) -> Result<(String, &mut Customer), Fault> {
        let id = args.text(name)?.to_owned();
        match self.customers.get_mut(&id) {
            Some(customer) => Ok((id, customer)),
            None => Err(Fault::NotFound("customer", id)),
        }
    }

    fn update(&mut self, args: &Args<'_>) -> Result<Value, Fault> {
        let (id, customer) = self.customer(args, "id")?;
        customer.name = args.text_or("name", &customer.name)?.to_owned();
        customer.email = args.text_or("email", &customer.email)?.to_owned();
        customer.plan = args.text_or("plan", &customer.plan)?.to_owned();
        Ok(shown(&id, customer))
    }

    fn merge(&mut self, args: &Args<'_>) -> Result<Value, Fault> {
        let (keep, from) = (args.text("keep")?.to_owned(), args.text("from")?.to_owned());
        if keep == from {
            return Err(Fault::Impossible("a customer cannot be merged into itself".to_owned()));
        }
        if !self.customers.contains_key(&keep) {
            return Err(Fault::NotFound("customer", keep));
        }
        let Some(gone) = self.customers.remove(&from) else {
            return Err(Fault::NotFound("customer", from));
        };
        for order in self.orders.values_mut().filter(|order| order.customer == from) {
            order.customer.clone_from(&keep);
        }
        let Some(kept) = self.customers.get_mut(&keep) else {
            return Err(Fault::NotFound("customer", keep));
        };
        kept.notes.extend(gone.notes);
        Ok(shown(&keep, kept))
    }
}

fn shown(id: &str, customer: &Customer) -> Value {
    let Customer { name, email, plan, notes } = customer;
    json!({ "id": id, "name": name, "email": email, "plan": plan, "notes": notes })
}

fn order(id: &str, order: &Order) -> Value {
    let Order { customer, item, cents, status } = order;
    json!({
        "id": id, "customer": customer, "item": item,
        "total": money(*cents), "currency": "EUR", "status": status,
    })
}

impl Service for Crm {
    fn name(&self) -> &'static str {
        "crm"
    }

    fn instructions(&self) -> &'static str {
        "Customers and their orders. Look a customer up by id, or search by a part of the name or address."
    }

    fn tools(&self) -> Vec<Value> {
        let id = json!({ "type": "string", "description": "such as C-1001" });
        let one = closed(json!({ "id": id }), &["id"]);
        let text = json!({ "type": "string" });
        let plan = json!({ "type": "string", "enum": ["personal", "business"] });
        // the author forgot `additionalProperties` here, as authors do
        let query = json!({
            "type": "object",
            "properties": { "query": { "type": "string", "description": "a part of the name or address" } },
            "required": ["query"],
        });
        let changes = json!({ "id": id, "name": text, "email": text, "plan": plan });
        let by_order = closed(json!({ "id": { "type": "string", "description": "such as O-501" } }), &["id"]);
        let format = json!({ "format": { "type": "string", "enum": ["csv", "json"] } });
        vec![
            tool("get_customer", "Get customer", "One customer by id.", one.clone(), READS),
            tool(
                "search_customers",
                "Search customers",
                "Customers whose name or address has the text.",
                query,
                READS,
            ),
            tool(
                "list_orders",
                "List orders",
                "The orders of a customer.",
                closed(json!({ "customer": id }), &["customer"]),
                READS,
            ),
            tool("get_order", "Get order", "One order by id.", by_order, READS),
            tool(
                "add_note",
                "Add note",
                "Adds a note to a customer.",
                closed(json!({ "id": id, "note": text }), &["id", "note"]),
                ADDS,
            ),
            tool(
                "update_customer",
                "Update customer",
                "Changes name, address or plan of a customer.",
                closed(changes, &["id"]),
                SETS,
            ),
            tool(
                "merge_customers",
                "Merge customers",
                "Merges one customer into another. Cannot be undone.",
                closed(json!({ "keep": id, "from": id }), &["keep", "from"]),
                DESTROYS,
            ),
            tool(
                "delete_customer",
                "Delete customer",
                "Deletes a customer. Cannot be undone.",
                one,
                DESTROYS,
            ),
            tool(
                "export_customers",
                "Export customers",
                "Everything about every customer, as a file.",
                closed(format, &["format"]),
                READS,
            ),
        ]
    }

    fn call(&mut self, tool: &str, args: &Args<'_>) -> Result<Value, Fault> {
        match tool {
            "get_customer" => {
                let (id, customer) = self.customer(args, "id")?;
                Ok(shown(&id, customer))
            }
            "search_customers" => {
                let query = args.text("query")?.to_lowercase();
                let matches = |customer: &Customer| {
                    customer.name.to_lowercase().contains(&query) || customer.email.contains(&query)
                };
                let found = self.customers.iter().filter(|(_, customer)| matches(customer));
                Ok(json!({ "customers": found.map(|(id, one)| shown(id, one)).collect::<Vec<_>>() }))
            }
            "list_orders" => {
                let (customer, _) = self.customer(args, "customer")?;
                let own = self.orders.iter().filter(|(_, order)| order.customer == customer);
                Ok(json!({ "orders": own.map(|(id, one)| order(id, one)).collect::<Vec<_>>() }))
            }
            "get_order" => {
                let id = args.text("id")?;
                let found = self.orders.get(id).ok_or_else(|| Fault::NotFound("order", id.to_owned()))?;
                Ok(order(id, found))
            }
            "add_note" => {
                let note = args.text("note")?.to_owned();
                let (id, customer) = self.customer(args, "id")?;
                customer.notes.push(note);
                Ok(shown(&id, customer))
            }
            "update_customer" => self.update(args),
            "merge_customers" => self.merge(args),
            "delete_customer" => {
                let (id, _) = self.customer(args, "id")?;
                self.customers.remove(&id);
                Ok(json!({ "deleted": id }))
            }
            "export_customers" => {
                let all = self.customers.iter().map(|(id, one)| shown(id, one)).collect::<Vec<_>>();
                let rows = |one: &Customer| format!("{},{},{}\n", one.name, one.email, one.plan);
                match args.text("format")? {
                    "csv" => Ok(json!({ "file": self.customers.values().map(rows).collect::<String>() })),
                    "json" => Ok(json!({ "file": Value::Array(all).to_string() })),
                    _ => Err(Fault::Argument("format")),
                }
            }
            _ => Err(Fault::UnknownTool),
        }
    }

    fn prompts(&self) -> Vec<Value> {
        vec![json!({
            "name": "write_apology",
            "title": "Apologise to a customer",
            "description": "A letter to a customer whose order went wrong.",
            "arguments": [
                { "name": "customer", "description": "Their name", "required": true },
                { "name": "reason", "description": "What went wrong", "required": false },
            ],
        })]
    }

    fn prompt(&self, name: &str, args: &Args<'_>) -> Option<Result<Value, Fault>> {
        (name == "write_apology").then(|| {
            let (customer, reason) = (args.text("customer")?, args.text_or("reason", "a late delivery")?);
            let text = format!("Write a short, honest apology to {customer} for {reason}. Promise nothing.");
            Ok(json!({
                "description": "A letter to a customer whose order went wrong.",
                "messages": [{ "role": "user", "content": { "type": "text", "text": text } }],
            }))
        })
    }

    fn resources(&self) -> Vec<Value> {
        let resource = |name: &str, title: &str| json!({ "uri": format!("crm://handbook/{name}"), "name": name, "title": title, "mimeType": "text/markdown" });
        vec![resource("refunds", "How refunds are handled"), resource("tone", "How we write to customers")]
    }

    fn resource(&self, uri: &str) -> Option<Value> {
        let text = match uri {
            "crm://handbook/refunds" => {
                "# Refunds\n\nUp to 100 euros support decides; above that, finance does.\n"
            }
            "crm://handbook/tone" => "# Tone\n\nShort, friendly, no excuses.\n",
            _ => return None,
        };
        Some(json!({ "contents": [{ "uri": uri, "mimeType": "text/markdown", "text": text }] }))
    }
}
