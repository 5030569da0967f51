//! The shared object of `forge-malloc-abi` in processes of the system: its own tests, then programs that this machine has.
//!
//! ```text
//!   preload object     built as it is shipped; the programs in C and C++ of the crate, compiled and run
//!   preload NAME       a program of the machine, with the object preloaded; it says itself whether its results are right
//! ```
//!
//! # Design
//!
//! A program that is not there is a loud skip. The scripts compare results with numbers that do not depend on the allocator, and
//! each begins with a look at its own mappings, so that no program passes with another allocator.

use std::path::PathBuf;
use std::time::Duration;

use crate::report::{Clock, Outcome, Report, Stop};
use crate::rustup;
use crate::step::{Step, side_target};
use crate::workspace::{is_on_path, root};

const PACKAGE: &str = "forge-malloc-abi";
const PROFILE: &str = "preload";

/// How many times the usual work the stress programs do here.
const TIMES: &str = "1";

/// The longest that one program may take.
const LIMIT: Duration = Duration::from_secs(90);

/// A program of the machine.
struct Program {
    name: &'static str,
    /// What has to be on the path.
    needs: &'static [&'static str],
    /// Exits with 0 if all is well; 77 if the machine lacks something; `$dir` is an empty directory of its own.
    script: &'static str,
}

/// The exit code by which a script says that the machine lacks something.
const LACKING: i32 = 77;

const PROGRAMS: [Program; 7] = [
    Program {
        name: "python",
        needs: &["python3"],
        script: r#"
            for python in /usr/bin/python3 python3 none; do
                $python -c 'import test.test_json' 2>/dev/null && break
            done
            test $python != none || exit 77
            PYTHONMALLOC=malloc $python -m test -q test_json test_thread test_dict test_mmap"#,
    },
    Program {
        name: "sqlite",
        needs: &["sqlite3"],
        script: r#"
            result=$(sqlite3 :memory: "create table t(a integer primary key, b text);
                with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
                    insert into t select i, printf('%0*d', 5 + i % 40, i * 7919) from n;
                create index x on t(b);
                delete from t where a % 3 = 0;
                pragma integrity_check;
                select count(*), sum(a), sum(length(b)) from t;")
            test "$result" = "ok
133334|13333466667|3305228" || { echo "$result"; exit 1; }"#,
    },
    Program {
        name: "perl",
        needs: &["perl"],
        script: r#"
            perl -e 'my %h; $h{"k$_"} = [$_, "v" x ($_ % 50)] for 1..200000; my $s = 0;
                for (1..200000) { $s += length $h{"k$_"}[1]; delete $h{"k$_"} if $_ % 3 == 0 }
                my $x = ""; $x .= "abc$_," for 1..200000; my @p = split /,/, $x;
                exit !($s == 4900000 && keys(%h) == 133334 && @p == 200000 && $p[-1] eq "abc200000")'"#,
    },
    Program {
        name: "git",
        needs: &["git"],
        script: r#"
            cd "$dir" && git init -q . && git config user.name x && git config user.email x@example.org
            for i in 1 2 3 4 5 6 7 8; do
                seq $i 20000 > numbers$i && seq 1 $((i * 1000)) > shared && git add . && git commit -qm $i
            done
            git gc -q --aggressive && git fsck --strict && test "$(git log -p | wc -l)" -gt 150000"#,
    },
    Program {
        name: "gcc",
        needs: &["g++", "gcc"],
        script: r#"
            printf '#include <map>\n#include <regex>\n#include <string>\n
                int main() { std::map<int, std::string> m; for (int i = 0; i < 1000; i++) m[i] = std::to_string(i);
                return !std::regex_match(m[999], std::regex("9+")); }' > "$dir/a.cpp"
            g++ -std=c++17 -O2 -o "$dir/a" "$dir/a.cpp" && "$dir/a""#,
    },
    Program {
        name: "cargo",
        needs: &["cargo"],
        script: r#"CARGO_TARGET_DIR="$dir" cargo build --quiet --locked --package forge-trace"#,
    },
    Program {
        name: "redis",
        needs: &["redis-server", "redis-benchmark", "redis-cli"],
        script: r#"
            redis-server --enable-debug-command local --port 0 --unixsocket "$dir/socket" --save "" --dir "$dir" > "$dir/log" &
            trap 'kill $! 2>/dev/null || true' EXIT
            for i in 1 2 3 4 5 6 7 8 9; do test -S "$dir/socket" || sleep 0.3; done
            redis-benchmark -s "$dir/socket" --csv -n 20000 -r 20000 -t set,incr,lpush,lrange_100,sadd,hset,zadd
            redis-cli -s "$dir/socket" save && redis-cli -s "$dir/socket" debug reload
            test "$(redis-cli -s "$dir/socket" dbsize)" -gt 10000
            redis-cli -s "$dir/socket" shutdown nosave && wait $!"#,
    },
];

/// Adds the gates.
pub(crate) fn gates(report: &mut Report) {
    let mut built = false;
    report.deep_gate("preload object", Duration::from_secs(120), |clock| {
        object_gate(clock)?;
        built = true;
        Ok(())
    });
    for program in PROGRAMS {
        report.deep_gate(&format!("preload {}", program.name), Duration::from_secs(30), |clock| {
            if !built {
                return Err(Stop::Skipped("there is no object that passes its own tests".into()));
            }
            program.run(clock.at_most(LIMIT))
        });
    }
}

fn object_gate(clock: Clock) -> Outcome {
    let host = rustup::host()?;
    if !host.contains("-linux-gnu") {
        return Err(Stop::Skipped(format!("objects are preloaded on Linux, not on {host}")));
    }
    need("cc")?;
    need("c++")?;
    Step::cargo().args(["build", "--locked", "--profile", PROFILE]).packages([PACKAGE]).run(clock)?;
    Step::cargo().args(["test", "--locked"]).packages([PACKAGE]).env("FORGE_PRELOAD_TIMES", TIMES).run(clock)
}

/// Skips unless the path has the program.
fn need(program: &str) -> Outcome {
    match is_on_path(program, &std::env::var_os("PATH").unwrap_or_default()) {
        true => Ok(()),
        false => Err(Stop::Skipped(format!("this machine has no `{program}`"))),
    }
}

/// Returns where cargo puts the object.
fn object() -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    root().join(target).join(PROFILE).join("libforge_malloc.so")
}

impl Program {
    fn run(&self, clock: Clock) -> Outcome {
        self.needs.iter().try_for_each(|program| need(program))?;
        let directory = root().join(side_target("preload")).join(self.name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        let (script, status) = (directory.join("script"), directory.join("status"));
        let text = format!("grep -q libforge_malloc /proc/self/maps\n{}\n", self.script);
        std::fs::write(&script, text)
            .map_err(|error| format!("cannot write {}: {error}", script.display()))?;
        // A shell of its own, since one does not end at an error while another command waits for its result.
        let wrapped = "sh -e \"$dir/script\" || { echo $? > \"$dir/status\"; exit 1; }";
        let outcome = Step::new("sh")
            .args(["-c", wrapped])
            .env("LD_PRELOAD", object().display().to_string())
            .env("dir", directory.display().to_string())
            .run(clock);
        match std::fs::read_to_string(&status) {
            Ok(code) if code.trim() == LACKING.to_string() => {
                Err(Stop::Skipped(format!("what {} needs is not installed whole", self.name)))
            }
            _ => outcome,
        }
    }
}

#[cfg(test)]
mod tests;
