//! Names taken apart.

/// The words of a name, in small letters: `rowsAffected`, `rows_affected` and `Rows-Affected` have the same. An acronym is one
/// word with what follows it.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && small) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_name_has_the_same_words_in_every_casing() {
        for name in ["rowsAffected", "rows_affected", "Rows-Affected", "ROWS..AFFECTED", "_rows affected_"] {
            assert_eq!(words(name), ["rows", "affected"], "{name}");
        }
        assert_eq!(words("userIDs"), ["user", "ids"]);
        assert_eq!(words("2faCode"), ["2fa", "code"]);
        assert_eq!(words("_-."), Vec::<String>::new());
    }
}
