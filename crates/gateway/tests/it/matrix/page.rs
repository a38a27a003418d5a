//! `docs/matrix.md`, as far as it is generated: from the first table to the last.

use super::carriers::{Carrier, SERVERS};
use super::cells::{Act, Defect, Mark, Outcome, Row, rows};
use super::client::{CLIENTS, DOORS};
use super::{Cell, is_sound};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const BEGIN: &str = "<!-- written by the test: begin -->\n";
pub(super) const END: &str = "<!-- written by the test: end -->\n";

fn row_name(row: Row) -> String {
    let act = match row.act {
        Act::Asks(method) => format!("`{method}`"),
        Act::Listens => "updates of a resource ¹".to_owned(),
        Act::Leaves => "no more updates ²".to_owned(),
        Act::IsAsked("elicitation") => "`elicitation/create`".to_owned(),
        Act::IsAsked("sampling") => "`sampling/createMessage`".to_owned(),
        Act::IsAsked(_) => "`roots/list`".to_owned(),
        Act::IsTold => "log lines and progress".to_owned(),
        Act::Batched => "`tools/call` in a batch ³".to_owned(),
        Act::Decided(true) => return "`tools/call` · held, then a yes ⁴".to_owned(),
        Act::Decided(false) => return "`tools/call` · held, then a no".to_owned(),
        Act::Spends => return "`tools/call` · one more than its budget ⁵".to_owned(),
        Act::Repeats if row.outcome == Outcome::Allow => {
            return "`tools/call` · twice under one key ⁶".to_owned();
        }
        Act::Repeats => return "`tools/call` · another under the same key ⁶".to_owned(),
        Act::Fails(defect) => return defect_name(defect).to_owned(),
    };
    let outcome = match row.outcome {
        Outcome::Allow => "allow",
        Outcome::Hide => "hide",
        Outcome::Refuse => "refuse",
        Outcome::Redact => "redact",
        Outcome::Hold => "hold",
    };
    format!("{act} · {outcome}")
}

fn defect_name(defect: Defect) -> &'static str {
    match defect {
        Defect::TwoNames => "a name that stands there twice",
        Defect::Task => "`tasks/result`",
        Defect::Stranger => "an agent that was disabled",
        Defect::Unlisted => "a tool that was never listed",
        Defect::Misfit => "arguments that do not fit",
        Defect::NoRecord => "no room for the record",
        Defect::Broken => "a result that breaks its promise",
    }
}

fn sign(mark: &Mark) -> &'static str {
    match mark {
        Mark::Served => "✔",
        Mark::Hidden => "○",
        Mark::Refused => "✘",
        Mark::Masked => "▒",
        Mark::Held => "◷",
        Mark::Nothing(_) => "–",
    }
}

/// The tables. `words` is what the record says of each row.
pub(super) fn tables(cells: &[Cell], words: &BTreeMap<Row, BTreeSet<String>>) -> String {
    let mut page = String::new();
    let by: BTreeMap<_, _> = cells
        .iter()
        .map(|cell| ((cell.row, cell.client, cell.door, (cell.era, cell.carrier)), cell))
        .collect();
    for (era, carrier) in SERVERS {
        let over = match carrier {
            Carrier::Stdio => "stdio",
            Carrier::Http => "HTTP",
            Carrier::Sse => "HTTP+SSE",
        };
        page += &format!("## A {} server over {over}\n\n| |", format!("{era:?}").to_lowercase());
        for client in CLIENTS {
            page += &format!(" {} {} |", client.revision, format!("{:?}", client.transport).to_lowercase());
        }
        page += &format!("\n|---|{}\n", "---|".repeat(CLIENTS.len()));
        for row in rows() {
            page += &format!("| {} |", row_name(row));
            for client in CLIENTS {
                let signs = DOORS.map(|door| {
                    let cell = by.get(&(row, client, door, (era, carrier)));
                    let sign =
                        cell.and_then(|cell| cell.mark.as_ref().ok().filter(|_| is_sound(cell)).map(sign));
                    sign.unwrap_or("**not as it should be**")
                });
                let [own, all] = signs;
                page += &if own == all { format!(" {own} |") } else { format!(" {own} {all} |") };
            }
            page += "\n";
        }
        page += "\n";
    }
    page += "## What the record says\n\nOf each row the same, but for what the test names.\n\n| | the call ended |\n|---|---|\n";
    for row in rows() {
        let said = words.get(&row).map(|all| all.iter().cloned().collect::<Vec<_>>().join("; or "));
        page += &format!(
            "| {} | {} |\n",
            row_name(row),
            said.unwrap_or_else(|| "nothing: nothing left".to_owned())
        );
    }
    page + "\n"
}
