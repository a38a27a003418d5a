//! The workspace's own reference server, which is built on the Rust SDK. Tests outside of the crate include this file.

use std::process::Command;

/// The server's program, built if need be: cargo builds no other package's programs for a test.
pub(crate) fn program() -> std::path::PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().nth(3).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--bin", "callgate-reference", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "the reference server does not build");
    target.join("debug/callgate-reference")
}
