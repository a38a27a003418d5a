//! Files and variables.

use crate::call::{call, call_at, name, owner};
use crate::kv::write;
use callgate_vault::VaultError;
use callgate_vault::backend::{BackendError, Local};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zeroize::Zeroizing;

fn local() -> Local {
    let variables = [("TOKEN", "s3cret\n"), ("EMPTY", "")];
    let variables: BTreeMap<_, _> = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Zeroizing::new(value.as_bytes().to_vec())))
        .collect();
    Local::new(owner(), variables)
}

#[test]
fn a_changed_file_counts_at_the_next_call_and_one_that_others_may_read_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let (call, permit) = call(None);
    let read = |path: &Path| local().file(&permit, &call, &name(), path);
    let path = write(folder.path(), "first\n");
    assert_eq!(read(&path).unwrap().bytes(), b"first");
    write(folder.path(), "second");
    assert_eq!(read(&path).unwrap().bytes(), b"second");
    for mode in [0o640, 0o604, 0o620, 0o602] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("mode {mode:03o}")) && error.contains("chmod 600"), "{error}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(read(&path).unwrap().bytes(), b"second");
    let huge = write(
        &{
            let more = folder.path().join("more");
            std::fs::create_dir(&more).unwrap();
            more
        },
        &"x".repeat(70_000),
    );
    for bad in [huge.as_path(), Path::new("/nowhere"), folder.path(), Path::new("/dev/null")] {
        assert!(matches!(read(bad), Err(BackendError::File { .. })), "{}", bad.display());
    }
}

#[test]
fn a_variable_is_what_it_was_at_the_start_or_an_error_that_names_it() {
    let (call, permit) = call(None);
    let read = |variable| local().variable(&permit, &call, &name(), variable);
    assert_eq!(read("TOKEN").unwrap().bytes(), b"s3cret");
    for unset in ["EMPTY", "OTHER"] {
        assert_eq!(read(unset).unwrap_err(), BackendError::Variable(unset.to_owned()));
    }
    assert_eq!(format!("{:?}", local()), "Local(2 variables)");
}

#[test]
fn neither_is_read_without_the_permit_of_this_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "s3cret");
    let (ours, _) = call(None);
    let (_, foreign) = call_at(owner(), None, 2);
    let refused = BackendError::Vault(VaultError::NotPermitted);
    assert_eq!(local().file(&foreign, &ours, &name(), &path).unwrap_err(), refused);
    assert_eq!(local().variable(&foreign, &ours, &name(), "TOKEN").unwrap_err(), refused);
}
