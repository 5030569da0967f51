//! What the kernel says about the mappings of this process.

use std::fs;
use std::ptr::NonNull;

/// Returns the lines of `/proc/self/smaps` about the mapping that contains `ptr`, or `None` where there is no such file.
pub(crate) fn smaps(ptr: NonNull<u8>) -> Option<Vec<String>> {
    let Ok(text) = fs::read_to_string("/proc/self/smaps") else {
        eprintln!("skipped: this system has no /proc/self/smaps");
        return None;
    };
    let address = ptr.addr().get();
    let bounds = |line: &str| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
    };
    let mut lines = text
        .lines()
        .skip_while(|line| !bounds(line).is_some_and(|(start, end)| (start..end).contains(&address)));
    let first = lines.next().expect("the mapping is listed").to_owned();
    Some(
        std::iter::once(first)
            .chain(lines.take_while(|line| bounds(line).is_none()).map(str::to_owned))
            .collect(),
    )
}

/// Returns the flags of the mapping that contains `ptr` (`rd`, `wr`, `lo`, ...).
pub(crate) fn vm_flags(ptr: NonNull<u8>) -> Option<Vec<String>> {
    let lines = smaps(ptr)?;
    let flags = lines.iter().find_map(|line| line.strip_prefix("VmFlags:")).expect("a line of flags");
    Some(flags.split_whitespace().map(str::to_owned).collect())
}

/// Returns a number of KiB from the lines about a mapping.
pub(crate) fn kib(lines: &[String], name: &str) -> usize {
    let line = lines.iter().find_map(|line| line.strip_prefix(name)).expect("the line exists");
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a number")
}

/// Returns whether a mapping has a flag.
pub(crate) fn has(flags: &[String], wanted: &str) -> bool {
    flags.iter().any(|flag| flag == wanted)
}

/// Returns the bounds of the mapping that contains `ptr`.
pub(crate) fn mapping_of(ptr: NonNull<u8>) -> Option<std::ops::Range<usize>> {
    let lines = smaps(ptr)?;
    let bounds = lines.first()?.split(' ').next()?.split_once('-')?;
    Some(usize::from_str_radix(bounds.0, 16).ok()?..usize::from_str_radix(bounds.1, 16).ok()?)
}

/// Returns how many mappings the process has, or `None` where the system does not tell.
pub(crate) fn mappings() -> Option<usize> {
    fs::read_to_string("/proc/self/maps").ok().map(|text| text.lines().count())
}
