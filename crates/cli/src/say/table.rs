//! A table on a terminal, as wide as that is; as wide as it likes to be where nobody looks.

use super::one_line;
use std::iter;
use textwrap::core::display_width;

/// Between two columns.
const GAP: usize = 2;
/// Less than this, and what gives way stands beneath what does not.
const NARROW: usize = 16;
/// How far to the right what stands beneath is.
const INDENT: usize = 4;

/// How a column gives way where a terminal is too narrow for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Whole,
    Wrapped,
    Cut,
}

/// The head of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'h> {
    head: &'h str,
    fit: Fit,
}

/// Never broken: what somebody copies, such as an id, and what is short.
pub(crate) fn whole(head: &str) -> Column<'_> {
    Column { head, fit: Fit::Whole }
}

/// To be read to its end, on several lines if it must.
pub(crate) fn wrapped(head: &str) -> Column<'_> {
    Column { head, fit: Fit::Wrapped }
}

/// What another command shows whole.
pub(crate) fn cut(head: &str) -> Column<'_> {
    Column { head, fit: Fit::Cut }
}

/// What stands in a table, as it was said: what steers a terminal is taken out here, before anything is coloured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    colour: Option<u8>,
}

impl Cell {
    /// In a colour, as [`super::Say::paint`] names them.
    pub(crate) fn painted(colour: u8, text: impl Into<String>) -> Self {
        Self { text: text.into(), colour: Some(colour) }
    }

    fn width(&self) -> usize {
        display_width(&self.text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, colour: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// Where it is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    /// Columns, where it has an edge.
    pub(super) width: Option<usize>,
    pub(super) colour: bool,
}

/// The lines of it.
pub(super) fn lines(head: &[Column<'_>], rows: Vec<Vec<Cell>>, terminal: Terminal) -> Vec<String> {
    let heading = head.iter().map(|column| Cell::from(column.head.to_uppercase())).collect();
    let clean = |cell: Cell| Cell { text: one_line(&cell.text), ..cell };
    let rows = rows.into_iter().map(|row| row.into_iter().map(clean).collect());
    let rows: Vec<Vec<Cell>> = iter::once(heading).chain(rows).collect();
    let natural: Vec<usize> = (0..head.len())
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(Cell::width).max().unwrap_or(0))
        .collect();
    let shape = Shape { head, terminal };
    match terminal.width.map_or(Some(natural.clone()), |width| shape.widths(&natural, width)) {
        Some(widths) => rows.iter().flat_map(|row| shape.beside(row, &widths)).collect(),
        None => rows.iter().flat_map(|row| shape.beneath(row, &natural)).collect(),
    }
}

#[derive(Debug, Clone, Copy)]
struct Shape<'h> {
    head: &'h [Column<'h>],
    terminal: Terminal,
}

impl Shape<'_> {
    /// How wide each column is, if there is room for all of them beside one another.
    fn widths(&self, natural: &[usize], width: usize) -> Option<Vec<usize>> {
        let taken = 1 + GAP * self.head.len().saturating_sub(1);
        let is_whole = |at: &usize| self.head.get(*at).is_some_and(|column| column.fit == Fit::Whole);
        let fixed: usize =
            natural.iter().enumerate().filter(|(at, _)| is_whole(at)).map(|(_, width)| width).sum();
        let mut room = width.checked_sub(taken + fixed)?;
        let mut widths = natural.to_vec();
        // whoever needs the least is served first, and what that leaves is for the others
        let mut yielding: Vec<usize> = (0..natural.len()).filter(|at| !is_whole(at)).collect();
        yielding.sort_by_key(|at| natural.get(*at).copied());
        let mut left = yielding.len();
        for at in yielding {
            let (wish, share) = (natural.get(at).copied()?, room / left);
            let width = wish.min(share);
            if width < wish.min(NARROW) {
                return None;
            }
            *widths.get_mut(at)? = width;
            (room, left) = (room - width, left - 1);
        }
        Some(widths)
    }

    /// One row, its cells beside one another.
    fn beside(&self, row: &[Cell], widths: &[usize]) -> Vec<String> {
        let cells: Vec<Vec<String>> = row
            .iter()
            .zip(self.head)
            .zip(widths)
            .map(|((cell, column), width)| self.given_way(cell, column.fit, *width))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        let line = |at: usize| {
            let parts = cells.iter().zip(widths).map(|(cell, width)| {
                let part = cell.get(at).map_or("", String::as_str);
                // what colours a text has no width
                format!("{part}{}", " ".repeat(width.saturating_sub(display_width(part))))
            });
            format!(" {}", parts.collect::<Vec<_>>().join(&" ".repeat(GAP))).trim_end().to_owned()
        };
        (0..height.max(1)).map(line).collect()
    }

    /// One row: what is never broken on its line, and the rest beneath it.
    fn beneath(&self, row: &[Cell], natural: &[usize]) -> Vec<String> {
        let pairs = || row.iter().zip(self.head).zip(natural);
        let whole = pairs().filter(|((_, column), _)| column.fit == Fit::Whole).map(|((cell, _), width)| {
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            format!("{}{pad}", self.paint(cell, &cell.text))
        });
        let first = format!(" {}", whole.collect::<Vec<_>>().join(&" ".repeat(GAP)));
        let rest = pairs()
            .filter(|((cell, column), _)| column.fit != Fit::Whole && !cell.text.is_empty())
            .flat_map(|((cell, column), _)| {
                let width = self.terminal.width.unwrap_or(usize::MAX).saturating_sub(INDENT);
                self.given_way(cell, column.fit, width.max(NARROW))
            })
            .map(|line| format!("{}{line}", " ".repeat(INDENT)));
        iter::once(first.trim_end().to_owned()).chain(rest).collect()
    }

    fn given_way(&self, cell: &Cell, fit: Fit, width: usize) -> Vec<String> {
        let lines: Vec<String> = match fit {
            _ if cell.width() <= width => vec![cell.text.clone()],
            Fit::Whole => vec![cell.text.clone()],
            Fit::Wrapped => textwrap::wrap(&cell.text, width).into_iter().map(Into::into).collect(),
            Fit::Cut => vec![shortened(&cell.text, width)],
        };
        lines.iter().map(|line| self.paint(cell, line)).collect()
    }

    fn paint(&self, cell: &Cell, line: &str) -> String {
        super::painted(cell.colour.filter(|_| self.terminal.colour), line)
    }
}

/// The beginning of it, and a sign that there is more.
fn shortened(text: &str, width: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += display_width(c.encode_utf8(&mut [0; 4]));
        used < width
    };
    format!("{}…", text.chars().take_while(fits).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "call_01m8gj7k8ykcwn7nzfqr3e389j";

    fn shown(width: Option<usize>, colour: bool) -> Vec<String> {
        let head = [whole("call"), cut("what"), wrapped("because"), whole("state")];
        let because = "the rules of this place have it so, since yesterday";
        let row = vec![
            ID.into(),
            "tools/call notes\x1b[2J drop_note".into(),
            because.into(),
            Cell::painted(31, "refused"),
        ];
        lines(&head, vec![row], Terminal { width, colour })
    }

    #[test]
    fn where_nobody_looks_a_row_is_a_line() {
        let lines = shown(None, false);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains("notes\\u{1b}[2J drop_note"), "{lines:?}");
        assert!(lines[1].ends_with("since yesterday  refused"), "{lines:?}");
    }

    #[test]
    fn what_gives_way_is_cut_or_wrapped_and_ids_are_whole() {
        // beside one another as long as each has room to be read, and beneath where it has none
        let wide = shown(Some(110), false);
        assert!(wide[1].contains('…') && wide[2].trim_start().starts_with("so, since"), "{wide:?}");
        let narrow = shown(Some(60), false);
        assert!(narrow[3].starts_with(&format!(" {ID}  refused")), "{narrow:?}");
        assert!(narrow[4].starts_with("    tools/call notes"), "{narrow:?}");
        for width in 1..140 {
            assert!(shown(Some(width), false).join("\n").contains(ID), "{width}");
        }
        for width in 60..140 {
            assert!(shown(Some(width), false).iter().all(|line| display_width(line) <= width), "{width}");
        }
    }

    #[test]
    fn colours_are_ours_and_take_no_room() {
        let (plain, coloured) = (shown(Some(120), false), shown(Some(120), true));
        assert_eq!(coloured[1].matches('\x1b').count(), 2, "{coloured:?}");
        assert_eq!(coloured[1].replace("\x1b[31m", "").replace("\x1b[0m", ""), plain[1]);
    }
}
