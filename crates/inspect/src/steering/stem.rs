//! A word without its ending, so that "sends", "sending" and "send" are one.

use std::borrow::Cow;

/// The stem, and whether the word is as a dictionary has it: "send" is, "sends" is not.
pub(crate) fn stem(word: &str) -> (Cow<'_, str>, bool) {
    if word.len() < 4 || !word.is_ascii() {
        return (Cow::Borrowed(word), true);
    }
    let word = word.strip_suffix("'s").filter(|base| base.len() > 3).unwrap_or(word);
    let (base, bare) = strip(word);
    // "include" and "including", "copy" and "copies", "put" and "putting" meet here
    let base = base.strip_suffix('e').filter(|base| base.len() > 2).unwrap_or(base);
    let doubled = !bare && {
        let mut last = base.bytes().rev();
        let pair = (last.next(), last.next());
        pair.0 == pair.1 && !matches!(pair.0, Some(b's' | b'l' | b'e' | b'o' | b'f'))
    };
    let base = if doubled { base.get(..base.len() - 1).unwrap_or(base) } else { base };
    match base.strip_suffix('i').or_else(|| base.strip_suffix('y')) {
        Some(short) if short.len() > 2 => (Cow::Owned(format!("{short}i")), bare),
        _ => (Cow::Borrowed(base), bare),
    }
}

fn strip(word: &str) -> (&str, bool) {
    let long = |base: &str| base.len() > 2 && base.bytes().any(|b| b"aeiouy".contains(&b));
    for ending in ["ing", "ied", "ies", "ed", "es", "s"] {
        if let Some(base) = word.strip_suffix(ending)
            && long(base)
            && !(ending == "s" && (base.ends_with('s') || base.ends_with('u') || base.ends_with('i')))
            && (ending != "es" || base.ends_with(['s', 'x', 'z', 'h', 'o']))
        {
            let kept = usize::from(matches!(ending, "ied" | "ies"));
            return (word.get(..base.len() + kept).unwrap_or(base), false);
        }
    }
    (word, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for forms in [
            "send sends sending",
            "include includes included including",
            "copy copies copied copying",
            "put puts putting",
            "forward forwards forwarded",
            "credential credentials",
            "pass passes passed passing",
            "approve approves approved approving",
        ] {
            let mut stems: Vec<_> = forms.split(' ').map(|form| stem(form).0).collect();
            stems.dedup();
            assert_eq!(stems.len(), 1, "{stems:?}");
        }
        assert_eq!(stem("bus").0, "bus");
        assert!(stem("send").1 && !stem("sends").1);
    }
}
