//! Many rows in one statement.

use crate::db::{Arg, Outcome, Row, Tx};
use std::sync::OnceLock;

/// Rows per statement: few different texts, so that both engines keep them prepared.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// A statement that takes rows, for each number of them: with numbered arguments, and with plain ones.
#[derive(Debug)]
pub(crate) struct Text {
    columns: usize,
    before: String,
    after: String,
    // made when they are first needed: a store speaks to one engine, and they are long
    numbered: OnceLock<[String; SIZES.len()]>,
    plain: OnceLock<[String; SIZES.len()]>,
}

impl Text {
    /// `before` and `after` are what stands around the rows.
    pub(crate) fn new(columns: usize, before: &str, after: &str) -> Self {
        let (before, after) = (before.to_owned(), after.to_owned());
        Self { columns, before, after, numbered: OnceLock::new(), plain: OnceLock::new() }
    }

    fn of(&self, numbered: bool) -> &[String; SIZES.len()] {
        let texts = if numbered { &self.numbered } else { &self.plain };
        let make = |rows| text(self.columns, &self.before, &self.after, rows, numbered);
        texts.get_or_init(|| SIZES.map(make))
    }

    #[cfg(test)]
    pub(crate) fn plain(&self, rows: usize) -> String {
        SIZES.iter().position(|size| *size == rows).and_then(|n| self.of(false).get(n).cloned()).unwrap()
    }
}

fn text(columns: usize, before: &str, after: &str, rows: usize, numbered: bool) -> String {
    let mark = |n: usize| if numbered { format!("${n}") } else { "?".to_owned() };
    let row = |row: usize| {
        let marks: Vec<String> = (1..=columns).map(|n| mark(row * columns + n)).collect();
        format!("({})", marks.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("{before} {} {after}", rows.join(", "))
}

/// Rows that wait to be written.
#[derive(Debug)]
pub(crate) struct Bulk {
    text: &'static Text,
    cells: Vec<Arg>,
}

impl Bulk {
    pub(crate) fn new(text: &'static Text) -> Self {
        Self { text, cells: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Arg>) {
        self.cells.extend(cells);
    }

    /// Whether they fill a statement.
    pub(crate) fn is_full(&self) -> bool {
        self.cells.len() >= SIZES.iter().max().copied().unwrap_or_default() * self.text.columns
    }

    /// Writes what waits; returns what the statements give back.
    pub(crate) async fn write(&mut self, tx: &mut Tx) -> Outcome<Vec<Row>> {
        let texts = self.text.of(tx.numbers_arguments());
        let (mut rest, mut back) = (self.cells.as_slice(), Vec::new());
        for (size, text) in SIZES.into_iter().zip(texts) {
            while let Some((rows, later)) = rest.split_at_checked(size * self.text.columns) {
                back.extend(tx.rows(text.as_str(), rows).await?);
                rest = later;
            }
        }
        self.cells.clear();
        Ok(back)
    }
}
