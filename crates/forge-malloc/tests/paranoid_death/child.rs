//! Running something in a forked child, and how that ended.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was aborted and printed this line, and nothing else.
    Aborts(Cow<'static, str>),
    /// It touched what may not be touched.
    Faults,
    /// It went on.
    Survives,
    /// Anything else.
    Otherwise(i32, String),
}

/// Returns whether an emulator runs this, and says that the test is skipped then: one that was forked starts no threads, and needs
/// more addresses than a limit may leave.
pub(crate) fn is_emulated() -> bool {
    let emulated = std::env::var_os("FORGE_TEST_RUNNER").is_some();
    if emulated {
        eprintln!("SKIPPED: an emulator cannot do this in a forked child");
    }
    emulated
}

/// Runs `work` in a child process and returns how that ended. What the child prints is kept from the terminal.
pub(crate) fn ended(work: impl FnOnce()) -> End {
    let mut ends = [0; 2];
    // SAFETY: the child uses what the fork hooks keep usable, and ends itself.
    unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            libc::dup2(ends[1], 2);
            libc::close(ends[0]);
            // No files of memory for deaths that are meant, and a signal does what it does by itself.
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            libc::signal(libc::SIGBUS, libc::SIG_DFL);
            work();
            libc::_exit(0);
        }
        libc::close(ends[1]);
        let mut text = String::new();
        File::from_raw_fd(ends[0]).read_to_string(&mut text).unwrap();
        if std::env::var_os("FORGE_TEST_RUNNER").is_some() {
            // An emulator says that a signal ended its program.
            text = text
                .lines()
                .filter(|line| !line.starts_with("qemu: "))
                .map(|line| format!("{line}\n"))
                .collect();
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        described(status, text)
    }
}

fn described(status: i32, text: String) -> End {
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    match signal {
        Some(libc::SIGSEGV | libc::SIGBUS) if text.is_empty() => End::Faults,
        Some(libc::SIGABRT) => match text.strip_suffix('\n') {
            Some(line) if !line.contains('\n') => End::Aborts(Cow::Owned(line.into())),
            _ => End::Otherwise(status, text),
        },
        None if status == 0 && text.is_empty() => End::Survives,
        _ => End::Otherwise(status, text),
    }
}
