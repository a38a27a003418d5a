//! Whether a text is a command for a shell.

/// Commands of a shell by which something is fetched and run, or a way in is opened.
pub(crate) fn is_script(text: &str) -> bool {
    const MARKS: &[&str] =
        &["| sh", "|sh", "| bash", "|bash", "$(", "base64 -d", "rm -rf", "nc -e", "/dev/tcp/", "iex("];
    let may = text.as_bytes().windows(2).any(|two| {
        matches!(two, [b'|', _] | [b'$', b'('] | [b' ', b'-'] | [b'/', b'd' | b'D'] | [b'x' | b'X', b'('])
    });
    may && {
        let lower = text.to_ascii_lowercase();
        // `billing | shipping` are two words
        let whole = |mark: &str| {
            let shell = mark.ends_with("sh");
            lower.match_indices(mark).any(|(at, _)| {
                !shell || !lower.as_bytes().get(at + mark.len()).is_some_and(u8::is_ascii_alphanumeric)
            })
        };
        MARKS.iter().any(|mark| whole(mark))
    }
}
