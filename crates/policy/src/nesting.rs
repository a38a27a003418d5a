//! How deep a statement nests, told from its tokens.
//!
//! The engine and this crate walk expressions by recursion, and a stack that runs out ends the whole process: no
//! rule text may do that to a gateway that is running. So the depth is bounded before anything else reads the text.

use crate::source::{TokenKind, tokens};

/// Deepest statement that is read: brackets, and operands in a row, as `a && b && c` is three deep. The smallest
/// stack a gateway reads rules on bears more than a hundred, without any optimisation.
pub(crate) const DEPTH_MAX: usize = 64;

/// One pair of brackets, or the statement as a whole.
#[derive(Default)]
struct Level {
    /// The deepest of the elements before the last comma.
    elements: usize,
    /// Operands in a row, which the engine nests into one another.
    row: usize,
    /// The deepest operand of the row so far.
    operands: usize,
    /// Members, calls and arithmetic in a row in the operand that is being read.
    links: usize,
    /// The deepest brackets in it.
    inside: usize,
}

impl Level {
    fn operand(&mut self) {
        self.operands = self.operands.max(self.links + self.inside);
        (self.links, self.inside) = (0, 0);
    }
    fn element(&mut self) {
        self.operand();
        self.elements = self.elements.max(self.row + self.operands);
        (self.row, self.operands) = (0, 0);
    }
    fn depth(mut self) -> usize {
        self.element();
        self.elements
    }
}

/// How deep the expressions of a statement can nest; never less than they do.
pub(crate) fn depth(statement: &str) -> usize {
    let mut levels = vec![Level::default()];
    for token in tokens(statement) {
        let text = statement.get(token.span).unwrap_or_default();
        if token.kind != TokenKind::Other || text.starts_with('"') {
            continue;
        }
        let is_word = |c: char| c == '_' || c.is_alphanumeric();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                _ if rest.starts_with("&&") || rest.starts_with("||") => 2,
                _ => first.len_utf8(),
            };
            let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
            read(&mut levels, piece);
            rest = after;
        }
    }
    while levels.len() > 1 {
        close(&mut levels);
    }
    levels.pop().map_or(0, Level::depth)
}

fn read(levels: &mut Vec<Level>, piece: &str) {
    if matches!(piece, "(" | "[" | "{") {
        levels.push(Level::default());
        return;
    }
    let outermost = levels.len() == 1;
    let Some(level) = levels.last_mut() else { return };
    match piece {
        ")" | "]" | "}" if !outermost => close(levels),
        "," => level.element(),
        "&&" | "||" | "if" | "when" | "unless" => {
            level.operand();
            level.row += 1;
        }
        "." | "+" | "-" | "*" | "!" => level.links += 1,
        _ => {}
    }
}

/// An index or a call is one more link of what stands before it.
fn close(levels: &mut Vec<Level>) {
    let inner = levels.pop().map_or(0, Level::depth) + 1;
    if let Some(outer) = levels.last_mut() {
        outer.inside = outer.inside.max(inner);
        outer.links += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(condition: &str) -> usize {
        depth(&format!(
            "@id(\"a\") @because(\"((((\") forbid(principal, action, resource) when {{ {condition} }};"
        ))
    }

    #[test]
    fn whatever_nests_or_stands_in_a_row_counts() {
        let deep = |n: usize| {
            [
                format!("{}true{}", "(".repeat(n), ")".repeat(n)),
                format!("{}true{}", "!(".repeat(n), ")".repeat(n)),
                vec!["true"; n + 1].join(" && "),
                vec!["true"; n + 1].join("||"),
                vec!["1"; n + 1].join("+"),
                format!("{}true{}", "if true then ".repeat(n), " else true".repeat(n)),
                format!("{}{}", "[".repeat(n), "]".repeat(n)),
                format!("{}1{}", "{a:".repeat(n), "}".repeat(n)),
                format!("context{}", ".a".repeat(n)),
                format!("context{}", "[\"a\"]".repeat(n)),
                format!("[1]{}", ".contains(1)".repeat(n)),
                format!("{} true", "true } when {".repeat(n)),
                // the first operand lies under all the others
                format!("(((true))) {}", "&& true ".repeat(n)),
            ]
        };
        for condition in deep(50) {
            assert!((50..=3 * 50 + 20).contains(&of(&condition)), "{}: {condition}", of(&condition));
        }
    }

    #[test]
    fn what_stands_side_by_side_does_not() {
        let wide = vec!["\"a && b\"".to_owned(); 1000].join(", ");
        assert!(of(&format!("[{wide}].contains(context.host)")) < 12);
        assert!(of("true // ((((((((((((((((((((((((((((((((((((((\n") < 12);
        assert!(of(&vec!["context.args.a.b > 1"; 20].join(" && ")) < 32);
    }

    #[test]
    fn brackets_that_do_not_match_are_counted_as_far_as_they_go() {
        assert!(depth(&"(".repeat(1000)) >= 1000);
        assert_eq!(depth(&")".repeat(1000)), 0);
        assert_eq!(depth(""), 0);
    }
}
