//! Support tickets.

use super::args::{Args, Fault};
use super::{ADDS, DESTROYS, READS, SETS, Service, closed, tool};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug)]
struct Ticket {
    title: String,
    customer: String,
    status: &'static str,
    assignee: Option<String>,
    comments: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Tickets(BTreeMap<String, Ticket>);

impl Tickets {
    pub(super) fn new() -> Self {
        let tickets = [
            ("T-88", "Grinder arrived broken", "C-1001", "open"),
            ("T-89", "Water filter leaks", "C-1002", "open"),
            ("T-90", "Where is my milk jug?", "C-1003", "closed"),
        ];
        let ticket = |(id, title, customer, status): (&str, &str, &str, &'static str)| {
            let ticket = Ticket {
                title: title.to_owned(),
                customer: customer.to_owned(),
                status,
                assignee: None,
                comments: Vec::new(),
            };
            (id.to_owned(), ticket)
        };
        Self(tickets.into_iter().map(ticket).collect())
    }

    fn ticket(&mut self, args: &Args<'_>) -> Result<(String, &mut Ticket), Fault> {
        let id = args.text("id")?.to_owned();
        match self.0.get_mut(&id) {
            Some(ticket) => Ok((id, ticket)),
            None => Err(Fault::NotFound("ticket", id)),
        }
    }
}

fn shown(id: &str, ticket: &Ticket) -> Value {
    let Ticket { title, customer, status, assignee, comments } = ticket;
    json!({
        "id": id, "title": title, "customer": customer, "status": status,
        "assignee": assignee, "comments": comments,
    })
}

impl Service for Tickets {
    fn name(&self) -> &'static str {
        "tickets"
    }

    fn instructions(&self) -> &'static str {
        "Support tickets. Comments are seen by the customer."
    }

    fn tools(&self) -> Vec<Value> {
        let text = json!({ "type": "string" });
        let id = json!({ "type": "string", "description": "such as T-88" });
        let one = closed(json!({ "id": id }), &["id"]);
        let status = json!({ "status": { "type": "string", "enum": ["open", "closed"], "default": "open" } });
        let comment = closed(json!({ "id": id, "text": text }), &["id", "text"]);
        let create = closed(json!({ "title": text, "customer": text }), &["title", "customer"]);
        let assign = closed(json!({ "id": id, "assignee": text }), &["id", "assignee"]);
        vec![
            tool(
                "list_tickets",
                "List tickets",
                "Tickets that are open, or closed.",
                closed(status, &[]),
                READS,
            ),
            tool("get_ticket", "Get ticket", "One ticket with its comments.", one.clone(), READS),
            tool(
                "comment_ticket",
                "Comment on a ticket",
                "Adds a comment, which the customer sees.",
                comment,
                ADDS,
            ),
            tool("create_ticket", "Create ticket", "Opens a ticket for a customer.", create, ADDS),
            tool("close_ticket", "Close ticket", "Closes a ticket.", one.clone(), SETS),
            tool(
                "delete_ticket",
                "Delete ticket",
                "Deletes a ticket with its comments. Cannot be undone.",
                one,
                DESTROYS,
            ),
            tool("assign_ticket", "Assign ticket", "Gives a ticket to a colleague.", assign, SETS),
        ]
    }

    fn call(&mut self, tool: &str, args: &Args<'_>) -> Result<Value, Fault> {
        match tool {
            "list_tickets" => {
                let status = args.text_or("status", "open")?;
                let some = self.0.iter().filter(|(_, ticket)| ticket.status == status);
                Ok(json!({ "tickets": some.map(|(id, one)| shown(id, one)).collect::<Vec<_>>() }))
            }
            "get_ticket" => {
                let (id, ticket) = self.ticket(args)?;
                Ok(shown(&id, ticket))
            }
            "comment_ticket" => {
                let text = args.text("text")?.to_owned();
                let (id, ticket) = self.ticket(args)?;
                ticket.comments.push(text);
                Ok(shown(&id, ticket))
            }
            "create_ticket" => {
                let (title, customer) = (args.text("title")?.to_owned(), args.text("customer")?.to_owned());
                let id = format!("T-{}", 88 + self.0.len());
                let ticket = Ticket { title, customer, status: "open", assignee: None, comments: Vec::new() };
                let result = shown(&id, &ticket);
                self.0.insert(id, ticket);
                Ok(result)
            }
            "close_ticket" => {
                let (id, ticket) = self.ticket(args)?;
                ticket.status = "closed";
                Ok(shown(&id, ticket))
            }
            "delete_ticket" => {
                let (id, _) = self.ticket(args)?;
                self.0.remove(&id);
                Ok(json!({ "deleted": id }))
            }
            "assign_ticket" => {
                let assignee = args.text("assignee")?.to_owned();
                let (id, ticket) = self.ticket(args)?;
                ticket.assignee = Some(assignee);
                Ok(shown(&id, ticket))
            }
            _ => Err(Fault::UnknownTool),
        }
    }
}
