//! Lives here: what a process has used, from /proc. Never here: what is made of the figures.

use std::{fs, ops::Range, process::Command};

/// Clock ticks per second of /proc/PID/stat; `getconf CLK_TCK`, or the 100 that Linux has on every platform we know.
pub(super) fn ticks_per_s() -> u64 {
    let output = Command::new("getconf").arg("CLK_TCK").output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.trim()
        .parse()
        .ok()
        .filter(|ticks| *ticks > 0)
        .unwrap_or(100)
}

/// User and system time of a process in ticks; `None` when it is gone.
pub(super) fn cpu_ticks(pid: u32) -> Option<u64> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Resident memory of a process in KiB; `None` when it is gone.
pub(super) fn rss_kib(pid: u32) -> Option<u64> {
    field_kib(
        &fs::read_to_string(format!("/proc/{pid}/status")).ok()?,
        "VmRSS:",
    )
}

/// User and system time of a process and all its children, those that ended included, in ticks.
pub(super) fn family_cpu_ticks(pid: u32) -> Option<u64> {
    let text = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let own = parse_stat_with_ended(&text(pid)?)?;
    let children = children(pid).into_iter();
    Some(own + children.filter_map(cpu_ticks).sum::<u64>())
}

/// Resident memory of a process and its children in KiB, what they share counted once: the largest share that one of
/// them has touched.
pub(super) fn family_rss_kib(pid: u32) -> Option<u64> {
    let mut own = 0;
    let mut shared = 0;
    for pid in children(pid).into_iter().chain([pid]) {
        // A child may have ended since.
        if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/status")) {
            own += field_kib(&text, "RssAnon:").unwrap_or(0);
            let touched = ["RssShmem:", "RssFile:"].map(|name| field_kib(&text, name));
            shared = shared.max(touched.into_iter().flatten().sum());
        }
    }
    (own > 0).then_some(own + shared)
}

fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"));
        text.is_ok_and(|text| stat_numbers(&text, 1..2) == Some(vec![u64::from(parent)]))
    })
    .collect()
}

/// utime + stime.
fn parse_stat(text: &str) -> Option<u64> {
    Some(stat_numbers(text, 11..13)?.iter().sum())
}

/// The same with cutime and cstime, which hold what children have used that were waited for.
fn parse_stat_with_ended(text: &str) -> Option<u64> {
    Some(stat_numbers(text, 11..15)?.iter().sum())
}

/// Fields of /proc/PID/stat, counted from the state behind the command name, which stands in parentheses and may itself
/// hold blanks and parentheses.
fn stat_numbers(text: &str, places: Range<usize>) -> Option<Vec<u64>> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let numbers = fields.get(places)?.iter().map(|field| field.parse().ok());
    numbers.collect()
}

fn field_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_command_name_with_parentheses() {
        let text = "42 (mna (ra) 1) S 1 42 42 0 -1 4194560 900 0 0 0 123 45 0 0 20 0 9 0 100 1 2";
        assert_eq!(parse_stat(text), Some(168));
        assert_eq!(parse_stat_with_ended(text), Some(168));
        let with_children = text.replace(" 45 0 0 20", " 45 30 2 20");
        assert_eq!(parse_stat_with_ended(&with_children), Some(200));
        assert_eq!(parse_stat(&with_children), Some(168));
        assert_eq!(parse_stat("42 (mnara"), None);
        assert_eq!(parse_stat("42 (mnara) S 1"), None);
    }

    #[test]
    fn resident_memory_is_read_from_its_own_line() {
        assert_eq!(
            field_kib("Name:\tx\nVmHWM:\t  99 kB\nVmRSS:\t  20480 kB\n", "VmRSS:"),
            Some(20_480)
        );
        assert_eq!(field_kib("Name:\tx\n", "VmRSS:"), None);
    }

    #[test]
    fn a_family_has_what_its_living_and_its_ended_children_used() {
        let own = std::process::id();
        let before = family_cpu_ticks(own).unwrap();
        let spin = |seconds: f64| {
            let script = format!(
                "i=0; while [ $i -lt {} ]; do i=$((i+1)); done",
                seconds * 1e6
            );
            Command::new("sh").args(["-c", &script]).spawn().unwrap()
        };
        spin(0.3).wait().unwrap();
        let ended = family_cpu_ticks(own).unwrap();
        assert!(ended > before);
        let mut living = spin(300.0);
        while family_cpu_ticks(own).unwrap() <= ended + 2 {
            std::thread::yield_now();
        }
        assert!(family_rss_kib(own).unwrap() > rss_kib(living.id()).unwrap());
        living.kill().unwrap();
        living.wait().unwrap();
    }

    #[test]
    fn this_process_has_figures_of_its_own() {
        let pid = std::process::id();
        assert!(rss_kib(pid).is_some_and(|kib| kib > 0));
        assert!(cpu_ticks(pid).is_some());
        assert!(ticks_per_s() > 0);
    }
}
