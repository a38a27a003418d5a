//! Which name was probably meant.

/// The known name that is nearest to this one, if one is near: a slip, and no other name.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let far = |known: &str| distance(known, name);
    let nearest = known.into_iter().min_by_key(|known| (far(known), *known))?;
    (far(nearest) <= 2.max(name.len() / 4)).then_some(nearest)
}

/// Edits from one name to another (Levenshtein), over bytes: names are ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let above = *slot;
            left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            *slot = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_known_and_another_name_is_not_taken_for_one() {
        let known = ["payments", "payment", "crm"];
        assert_eq!(nearest("paymnets", known), Some("payments"));
        assert_eq!(nearest("payments", known), Some("payments"));
        assert_eq!(nearest("weather", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
