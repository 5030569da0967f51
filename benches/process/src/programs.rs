//! Programs of the machine, as workloads: interpreters, compilers, databases, tools.
//!
//! # Design
//!
//! A script makes its own input, of numbers and words that are the same each time, and fails if the result is wrong, so that no allocator is
//! fast by being broken. What is measured is the processor time of the shell and of everything that it waited for, and the most resident
//! memory of any one process among them.
#![allow(unsafe_code)]

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::preloads::Preload;
use crate::samples::Sample;

/// A program of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// A short name for the command line and the tables.
    pub id: &'static str,
    /// What has to be on the path.
    needs: &'static [&'static str],
    /// What `sh -e` does in an empty directory.
    script: &'static str,
}

/// Every program.
pub const PROGRAMS: [Program; 14] = [
    Program {
        id: "python-json",
        needs: &["python3"],
        script: r#"PYTHONMALLOC=malloc python3 -c '
import json
text = json.dumps([{"id": i, "name": "n" * (i % 40), "list": list(range(i % 20))} for i in range(20000)])
assert len(json.dumps(json.loads(text), sort_keys=True)) == len(text)'"#,
    },
    Program {
        id: "python-objects",
        needs: &["python3"],
        script: r#"PYTHONMALLOC=malloc python3 -c '
class Node:
    def __init__(self, depth):
        self.sons = [Node(depth - 1), Node(depth - 1)] if depth else []
    def count(self):
        return 1 + sum(son.count() for son in self.sons)
assert sum(Node(14).count() for _ in range(4)) == 4 * (2**15 - 1)'"#,
    },
    Program {
        id: "perl",
        needs: &["perl"],
        script: r#"perl -e 'my %h; $h{"k$_"} = [$_, "v" x ($_ % 50)] for 1..200000; my $s = 0;
            for (1..200000) { $s += length $h{"k$_"}[1]; delete $h{"k$_"} if $_ % 3 == 0 }
            my $x = ""; $x .= "abc$_," for 1..200000; my @p = split /,/, $x;
            exit !($s == 4900000 && keys(%h) == 133334 && @p == 200000 && $p[-1] eq "abc200000")'"#,
    },
    Program {
        id: "tcl",
        needs: &["tclsh"],
        script: r#"echo 'for {set i 0} {$i < 200000} {incr i} { dict set d k$i [list $i [expr {$i * 7}]]; lappend l [string repeat x [expr {$i % 60}]] }
            exit [expr {[dict size $d] != 200000 || [string length [join [lsort $l] ""]] != 5899600}]' > s && tclsh s"#,
    },
    Program {
        id: "node",
        needs: &["node"],
        script: r#"node -e 'const m = new Map(); for (let i = 0; i < 300000; i++) m.set("k" + i, Buffer.alloc(i % 300, 1));
            let s = 0; for (const b of m.values()) s += b.length; process.exit(s === 44850000 ? 0 : 1)'"#,
    },
    Program {
        id: "awk",
        needs: &["awk", "seq"],
        script: r#"seq 1 300000 | awk '{ a["key" $1 % 5003] = a["key" $1 % 5003] substr($1, 1, 3); n += length($0) } END { exit n != 1688895 }'"#,
    },
    Program {
        id: "sqlite",
        needs: &["sqlite3"],
        script: r#"test "$(sqlite3 :memory: "create table t(a integer primary key, b text);
            with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
                insert into t select i, printf('%0*d', 5 + i % 40, i * 7919) from n;
            create index x on t(b); delete from t where a % 3 = 0;
            select count(*), sum(a), sum(length(b)) from t;")" = "133334|13333466667|3305228""#,
    },
    Program {
        id: "jq",
        needs: &["jq"],
        script: r#"test "$(jq -n '[range(60000) | {id: ., name: ("n" * (1 + . % 9)), odd: (. % 2 == 1)}]
            | group_by(.name) | map({name: .[0].name, count: length}) | length')" = 9"#,
    },
    Program {
        id: "git",
        needs: &["git", "seq"],
        script: r#"git init -q . && git config user.name x && git config user.email x@example.org
            for i in 1 2 3 4; do
                seq $i 20000 > numbers$i && seq 1 $((i * 1000)) > shared && git add . && git commit -qm $i
            done
            git gc -q --aggressive && git fsck --strict 2> log && test "$(git log -p | wc -l)" -gt 75000"#,
    },
    Program {
        id: "gcc",
        needs: &["gcc"],
        script: r#"{ printf '#include <stdio.h>\n#include <stdlib.h>\n'
            for i in $(seq 300); do printf 'int f%d(int x) { int s = 0; for (int i = 0; i < x; i++) s += i ^ (s << %d); return s; }\n' $i $((i % 7)); done
            printf 'int main(void) { return f1(0); }\n'; } > a.c && gcc -O2 -o a a.c && ./a"#,
    },
    Program {
        id: "g++",
        needs: &["g++"],
        script: r#"printf '#include <map>\n#include <regex>\n#include <string>\n
            int main() { std::map<int, std::string> m; for (int i = 0; i < 1000; i++) m[i] = std::to_string(i);
            return !std::regex_match(m[999], std::regex("9+")); }' > a.cpp && g++ -std=c++17 -O1 -o a a.cpp && ./a"#,
    },
    Program {
        id: "openssl",
        needs: &["openssl"],
        script: r#"for i in 1 2 3 4 5 6 7 8; do openssl genrsa -out key$i 2048 2> log && openssl req -x509 -new -key key$i -subj /CN=x -out certificate$i; done
            cat certificate* > all && openssl crl2pkcs7 -nocrl -certfile all | openssl pkcs7 -print_certs -text > text && test -s text"#,
    },
    Program {
        id: "sort",
        needs: &["sort", "seq"],
        script: r#"test "$(seq 1 400000 | sort -r | sort -u -k1.3 | wc -l)" -gt 10000"#,
    },
    Program {
        id: "redis",
        needs: &["redis-server", "redis-benchmark", "redis-cli"],
        script: r#"redis-server --port 0 --unixsocket "$PWD/socket" --save "" --dir "$PWD" > log &
            for i in 1 2 3 4 5 6 7 8 9; do test -S socket || sleep 0.2; done
            redis-benchmark -s socket --csv -n 20000 -r 20000 -t set,incr,lpush,lrange_100,sadd,hset,zadd > results
            redis-cli -s socket dbsize > size && redis-cli -s socket shutdown nosave; wait
            test "$(cat size)" -gt 10000"#,
    },
];

impl Program {
    /// Returns what the program needs and the machine has not, if there is something.
    pub fn lacks(&self) -> Option<&'static str> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there = |name: &str| std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
        self.needs.iter().copied().find(|name| !there(name))
    }

    /// Runs the script with a malloc in a directory, which is emptied before.
    ///
    /// # Errors
    ///
    /// A sentence, if something cannot be started, or if the script fails.
    pub fn sample(&self, preload: &Preload, directory: &Path) -> Result<Sample, String> {
        let told = |error: std::io::Error| format!("{}: {error}", directory.display());
        let _ = std::fs::remove_dir_all(directory);
        std::fs::create_dir_all(directory).map_err(told)?;
        let script = directory.join("script");
        std::fs::write(&script, self.script).map_err(told)?;
        let mut command = Command::new("sh");
        command.arg("-e").arg(script).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null());
        let child = preload.put_before(&mut command).spawn().map_err(|error| format!("sh: {error}"))?;
        let (status, used) = wait(child.id())?;
        if !status.success() {
            return Err(format!("its script failed: {status}"));
        }
        let time = [used.ru_utime, used.ru_stime]
            .map(|time| Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64));
        let nanoseconds = time.iter().sum::<Duration>().as_nanos() as f64;
        Ok(Sample { minimum: nanoseconds, median: nanoseconds, peak_kib: used.ru_maxrss as u64 })
    }
}

/// Waits for a child, and returns what it and those that it waited for have used.
fn wait(child: u32) -> Result<(ExitStatus, libc::rusage), String> {
    let mut status = 0;
    // SAFETY: zero bytes are a value of the structure.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: the call writes the status and the structure, and nothing else.
        let waited = unsafe { libc::wait4(child as libc::pid_t, &raw mut status, 0, &raw mut used) };
        if waited >= 0 {
            return Ok((ExitStatus::from_raw(status), used));
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(format!("wait4: {error}"));
        }
    }
}

#[cfg(test)]
mod tests;
