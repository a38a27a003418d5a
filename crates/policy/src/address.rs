//! Addresses that have one spelling only.

/// Whether an address, or a template of them, is in the normal form of RFC 3986, section 6.2.2: no `.` or `..` segments, no
/// letters written as percent codes, no capitals in the scheme. `like "file:///docs/*"` would match what leads elsewhere, and
/// miss what leads there.
pub fn is_normal(uri: &str) -> bool {
    let scheme = uri.split(':').next().unwrap_or_default();
    let coded = uri.split('%').skip(1).any(|rest| {
        let code = rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        code.is_none_or(|byte| byte.is_ascii_alphanumeric() || b"-._~%\\/".contains(&byte))
    });
    let mut segments = uri.split(['/', '\\', ':', '?', '#', '=', '&']);
    !coded && !scheme.bytes().any(|b| b.is_ascii_uppercase()) && !segments.any(|s| matches!(s, "." | ".."))
}
