//! What is said of a name that names nothing.

use crate::say::one_line;
use std::collections::BTreeSet;

/// Most names that are listed.
const LISTED_MAX: usize = 20;

/// The sentence `nothing`, with the name that was probably meant, or with all that there are.
pub(crate) fn none(nothing: &str, name: &str, known: &BTreeSet<String>) -> String {
    let quoted = |one: &String| format!("`{}`", one_line(one));
    if let Some(meant) = policy::nearest(name, known.iter().map(String::as_str)) {
        return format!("{nothing}: did you mean `{}`?", one_line(meant));
    }
    let listed = known.iter().take(LISTED_MAX).map(quoted).collect::<Vec<_>>().join(", ");
    match known.len() {
        0 => format!("{nothing}: there are none yet"),
        1..=LISTED_MAX => format!("{nothing}: there is {listed}"),
        many => format!("{nothing}: there is {listed} and {} more", many - LISTED_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_named_or_all_there_is() {
        let known = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let said = |name: &str, names: &[&str]| none("no", name, &known(names));
        assert_eq!(said("ntoes", &["crm", "notes"]), "no: did you mean `notes`?");
        assert_eq!(said("weather", &["crm", "notes"]), "no: there is `crm`, `notes`");
        assert_eq!(said("weather", &[]), "no: there are none yet");
        let many: Vec<String> = (0..23).map(|i| format!("server-{i:02}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(said("weather", &many).ends_with("`server-19` and 3 more"));
    }
}
