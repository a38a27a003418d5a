//! How many of something there are, in words.

/// `1 entry`, `2 entries`: what is counted is given as one of it.
pub fn counted(count: impl TryInto<u64>, what: &str) -> String {
    // what no u64 holds is not one
    let count = count.try_into().unwrap_or(u64::MAX);
    match what.strip_suffix('y') {
        _ if count == 1 => format!("1 {what}"),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{count} {stem}ies"),
        Some(_) | None => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_everything_else_is_many() {
        assert_eq!(counted(1usize, "server"), "1 server");
        assert_eq!(counted(0u64, "server"), "0 servers");
        assert_eq!(counted(1u64, "entry"), "1 entry");
        assert_eq!(counted(2u64, "entry"), "2 entries");
        assert_eq!(counted(3u32, "day"), "3 days");
    }
}
