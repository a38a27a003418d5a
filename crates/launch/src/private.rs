//! What this process knows stays in it.

use nix::sys::resource::{Resource, setrlimit};

/// Keeps the memory of this process to itself: no core dump is ever written of it, and no other process of the
/// same user may attach to it or read its memory or environment in `/proc`. For whatever may hold a key or a
/// secret, before it does. What it starts inherits the first; the second is lost by starting a program.
///
/// Errors: the kernel does not allow it.
pub fn keep_private() -> std::io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// The number of the user this process acts as. A file of anybody else can be read and changed by them.
pub fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Has memory come in small pages. A gateway at rest keeps a few megabytes here and there, and pages of two
/// megabytes, which the allocator would ask for, make three times as much of them. Nothing depends on it.
pub fn take_small_pages() {
    nix::sys::prctl::set_thp_disable(true).ok();
}

/// Gives back to the system what the allocator keeps of memory that nobody uses, for after work that needs much and is
/// rare. Without the allocator of the shipped program there is nothing to give back.
pub fn give_memory_back() {
    crate::sys::collect();
}

/// Takes the program's own pages out of memory, for once after the start: most of them are only for starting. What is needed
/// comes again from the system's copy of the file. Nothing depends on it.
pub fn let_go_of_program() {
    let (Ok(smaps), Ok(program)) =
        (std::fs::read_to_string("/proc/self/smaps"), std::fs::read_link("/proc/self/exe"))
    else {
        return;
    };
    for (from, size) in clean(&smaps, &program.to_string_lossy()) {
        crate::sys::unmap_pages(from, size);
    }
}

/// The mappings of `program` in `/proc/PID/smaps` (proc(5)) that hold what is in the file and nothing else, as (address, bytes):
/// private, not writable, and without a page of their own. Relocated data is not writable either, but has such pages.
fn clean(smaps: &str, program: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut open = None;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("Anonymous:") if words.next() == Some("0") => found.extend(open.take()),
            Some(first) if !first.ends_with(':') => open = range(first, words, program),
            Some(_) | None => {}
        }
    }
    found
}

/// `5581c0000000-5581c1000000 r-xp 00001000 fd:00 1234 /usr/bin/callgate`
fn range<'a>(
    addresses: &str,
    mut words: impl Iterator<Item = &'a str>,
    program: &str,
) -> Option<(usize, usize)> {
    let is_fixed = matches!(words.next()?, "r-xp" | "r--p");
    let (from, to) = addresses.split_once('-')?;
    let (from, to) = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
    (is_fixed && words.nth(3) == Some(program)).then_some((from, to.checked_sub(from)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::resource::getrlimit;

    const SMAPS: &str = "\
1000-3000 r--p 00000000 fd:00 7                          /bin/gate
Size:                  8 kB
Anonymous:             0 kB
3000-8000 r-xp 00002000 fd:00 7                          /bin/gate
Anonymous:             0 kB
8000-9000 r--p 00007000 fd:00 7                          /bin/gate
Anonymous:             4 kB
9000-a000 rw-p 00008000 fd:00 7                          /bin/gate
Anonymous:             0 kB
a000-b000 r-xp 00000000 fd:00 8                          /lib/libc.so
Anonymous:             0 kB
b000-c000 r--p 00000000 00:00 0
Anonymous:             0 kB
";

    #[test]
    fn only_what_is_as_in_the_program_s_file_is_let_go_of() {
        assert_eq!(clean(SMAPS, "/bin/gate"), [(0x1000, 0x2000), (0x3000, 0x5000)]);
        assert!(clean(SMAPS, "/bin/other").is_empty());
    }

    #[test]
    fn the_program_goes_on_without_its_pages() {
        let resident = || {
            let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let program = std::fs::read_link("/proc/self/exe").unwrap();
            let program = program.to_string_lossy();
            let (mut sum, mut ours) = (0_u64, false);
            for line in smaps.lines() {
                if line.contains('-') && line.contains(" 0") {
                    ours = line.ends_with(&*program);
                } else if let Some(rest) = line.strip_prefix("Rss:").filter(|_| ours) {
                    sum += rest.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap();
                }
            }
            sum
        };
        let before = resident();
        let_go_of_program();
        let after = resident();
        assert!(after < before, "{before} kB, then {after}");
        // relocated data and code are as they were
        assert_eq!(format!("{:?}", std::env::args_os().count()), std::env::args_os().count().to_string());
    }

    // V9, U13
    #[test]
    fn a_private_process_leaves_no_core_and_cannot_be_looked_into() {
        keep_private().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
        assert!(!nix::sys::prctl::get_dumpable().unwrap());
    }
}
