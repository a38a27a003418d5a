//! Whether anybody could ever call a tool: what its definition asks of arguments and results has to be enforceable.

use super::{Prepared, Unknown, input_of};
use catalog::Definition;
use decision::ItemKind;

/// Most work for the tools of one server, in bytes as [`super::Steps::work`] has them: a second or two. Of those beyond,
/// the first call shows it.
const WORK_MAX: u64 = 64 << 20;

/// Looks at the tools of one server.
#[derive(Debug)]
pub(crate) struct Judge {
    left: u64,
}

impl Default for Judge {
    fn default() -> Self {
        Self { left: WORK_MAX }
    }
}

impl Judge {
    /// Why every call of this would be refused, or its answer withheld, whoever makes it. Only tools have such reasons.
    pub(crate) fn problem(&mut self, definition: &Definition, unknown: Unknown) -> Option<String> {
        if definition.kind() != ItemKind::Tool || self.left == 0 {
            return None;
        }
        let input = input_of(definition);
        if let Err(e) = wire::headers::Annotations::read(input.as_bytes()) {
            return Some(e.to_string());
        }
        if let Err(e) = self.compiles(input, unknown) {
            return Some(format!("its arguments cannot be checked: {e}"));
        }
        let output = self.compiles(definition.output_schema()?, Unknown::Allow);
        output.err().map(|e| format!("its results cannot be checked: {e}"))
    }

    fn compiles(&mut self, raw: &str, unknown: Unknown) -> Result<(), super::SchemaError> {
        let prepared = Prepared::read(raw, unknown);
        let work = prepared.as_ref().map_or(0, |prepared| prepared.steps.work());
        self.left = self.left.saturating_sub(work.saturating_add(raw.len() as u64));
        prepared?.compile().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::ServerName;
    use serde_json::{Value, json};

    fn tool(input: &Value, more: (&str, Value)) -> Definition {
        let mut raw = json!({ "name": "go", "inputSchema": input });
        raw[more.0] = more.1;
        let raw = raw.to_string().into();
        Definition::new(ServerName::new("crm").unwrap(), ItemKind::Tool, raw).unwrap()
    }

    #[test]
    fn a_tool_that_nobody_could_call_is_known_before_anybody_does() {
        let plain = json!({ "type": "object", "properties": { "to": { "type": "string" } } });
        let none = ("title", json!("Go"));
        let problem = |input: &Value, more: &(&str, Value)| {
            Judge::default().problem(&tool(input, more.clone()), Unknown::Refuse).unwrap_or_default()
        };
        assert_eq!(problem(&plain, &none), "");
        for (schema, why) in [
            (json!({ "properties": { "a": { "pattern": "(?=x)y" } } }), "does not compile"),
            (json!({ "$ref": "https://example.com/schema" }), "outside of it"),
            (json!({ "properties": { "a": { "$ref": "#/$defs/none" } } }), "no one such place"),
        ] {
            let told = problem(&schema, &none);
            assert!(told.starts_with("its arguments cannot be checked: ") && told.contains(why), "{told}");
            let told = problem(&plain, &("outputSchema", schema));
            assert!(told.starts_with("its results cannot be checked: ") && told.contains(why), "{told}");
        }
        for header in [json!("no header"), json!(7)] {
            let schema = json!({ "type": "object", "properties": { "to": { "type": "string", "x-mcp-header": header } } });
            assert_eq!(problem(&schema, &none), "an `x-mcp-header` is not a header name");
        }
    }

    #[test]
    fn what_a_server_costs_is_bounded_however_much_it_offers() {
        // each level doubles what is compiled
        let unfolds = |times: usize| {
            let mut defs = json!({ "a12": { "title": times.to_string() } });
            for level in 0..12 {
                let next = json!({ "$ref": format!("#/$defs/a{}", level + 1) });
                defs[format!("a{level}")] = json!({ "allOf": [next, next] });
            }
            json!({ "type": "object", "$ref": "#/$defs/a0", "$defs": defs })
        };
        let (mut judge, mut looked) = (Judge::default(), 0);
        while judge.left > 0 && looked < 1_000 {
            assert_eq!(judge.problem(&tool(&unfolds(looked), ("title", json!("Go"))), Unknown::Allow), None);
            looked += 1;
        }
        assert!((8..200).contains(&looked), "{looked}");
        let dead = json!({ "properties": { "a": { "$ref": "#/$defs/none" } } });
        assert_eq!(
            judge.problem(&tool(&dead, ("title", json!("Go"))), Unknown::Refuse),
            None,
            "a call shows it"
        );
    }
}
