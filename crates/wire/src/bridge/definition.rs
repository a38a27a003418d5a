//! A tool's definition, for a client of the other era: its author's bytes, but for members that mean something in
//! one era only and that clients of the other trip over.

use bytes::Bytes;

use super::{Crossing, Way};
use crate::json;
use decision::Era;

/// The definition as a client on the other end of the way may read it.
pub fn tool(raw: &Bytes, way: Way) -> Bytes {
    // how it is run as a task (2025-11-25), which nobody can ask for through the gateway
    let tasked = way.crossing.is_some() || way.era() == Era::Legacy;
    let raw = if tasked { &without(raw, "execution") } else { raw };
    match way.crossing {
        // an output schema is of an object, before 2026-07-28 (SEP-2106); official clients drop the whole list over one that is not
        Some(Crossing::LegacyToModern) => {
            let kind = json::at_path(raw, &["outputSchema", "type"]);
            let of_object = kind.is_some_and(|kind| json::decode_string(kind).as_deref() == Some("object"));
            if of_object { raw.clone() } else { without(raw, "outputSchema") }
        }
        None | Some(Crossing::ModernToLegacy) => raw.clone(),
    }
}

fn without(raw: &Bytes, key: &str) -> Bytes {
    if json::member(raw, key).is_none() {
        return raw.clone();
    }
    let mut out = vec![b'{'];
    for member in json::members(raw).filter(|member| member.key != key) {
        if out.len() > 1 {
            out.push(b',');
        }
        let both = member.key_range.start..member.value_range.end;
        out.extend_from_slice(raw.get(both).unwrap_or_default());
    }
    out.push(b'}');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Eras, Revision};

    const UP: Way = Way::new(Revision::LATEST_LEGACY, Eras::Modern);
    const DOWN: Way = Way::new(Revision::LATEST_MODERN, Eras::Legacy);

    fn made(raw: &str, way: Way) -> String {
        String::from_utf8(tool(&Bytes::copy_from_slice(raw.as_bytes()), way).to_vec()).unwrap()
    }

    #[test]
    fn what_one_era_alone_knows_is_taken_out_and_the_rest_keeps_its_bytes() {
        let typed = r#"{ "name":"a","outputSchema":{"type":"object"},"x":1.10 }"#;
        assert_eq!(made(typed, UP), typed);
        let listed = r#"{ "name":"a","outputSchema":{"type":"array"},"x":1.10 }"#;
        assert_eq!(made(listed, UP), r#"{"name":"a","x":1.10}"#);
        assert_eq!(made(listed, DOWN), listed);
        let task = r#"{"execution":{"taskSupport":"required"},"name":"a"}"#;
        for way in [UP, DOWN, Way::native(Revision::LATEST_LEGACY)] {
            assert_eq!(made(task, way), r#"{"name":"a"}"#);
        }
        assert_eq!(made(task, Way::native(Revision::LATEST_MODERN)), task);
    }
}
