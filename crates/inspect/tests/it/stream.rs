use super::forms::{self, json, readings};
use callgate_inspect::{Mask, Stream};
use proptest::prelude::*;

fn streamed(mask: &Mask, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut stream = Stream::default();
    let mut out = Vec::new();
    let mut rest = text;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at((*cut).clamp(1, rest.len()));
        out.extend(stream.push(mask, piece));
        rest = more;
    }
    out.extend(stream.finish(mask));
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn wherever_it_is_cut_a_stream_reads_as_the_whole(
        secret in "[A-Za-z0-9+/\"%&\\\\-]{8,24}",
        before in r#"[a-z \\\n"]{0,30} "#,
        after in r#" [a-z \\\n"]{0,30}"#,
        cuts in prop::collection::vec(1usize..40, 1..8),
    ) {
        let mask = Mask::new([("k", secret.as_bytes())]);
        for (name, form) in forms::of(&secret, (" ", " ")) {
            let text = format!("{before}{form}{after}{} {form}", json(&after));
            let whole = mask.text(text.as_bytes()).unwrap().bytes;
            let pieces = streamed(&mask, text.as_bytes(), &cuts);
            prop_assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole), "{}", name);
            for reading in readings(&pieces) {
                prop_assert!(!reading.windows(secret.len()).any(|w| w == secret.as_bytes()), "{}", name);
            }
        }
    }

    #[test]
    fn a_stream_without_the_secret_is_not_touched(text in any::<Vec<u8>>(), cuts in prop::collection::vec(1usize..9, 1..8)) {
        let mask = Mask::new([("k", &b"s3cret-value"[..]), ("pin", b"4711")]);
        prop_assert_eq!(streamed(&mask, &text, &cuts), text);
    }
}

#[test]
fn little_is_held_back() {
    let mask = Mask::new([("k", &b"s3cret-value"[..])]);
    let mut stream = Stream::default();
    let mut given = 0;
    for n in 1..=100 {
        given += stream.push(&mask, &[b'.'; 100]).len();
        assert!(n * 100 - given < 12 * 18, "{given} of {}", n * 100);
    }
    assert_eq!(given + stream.finish(&mask).len(), 10_000);
    assert!(stream.hits().is_empty());
}
