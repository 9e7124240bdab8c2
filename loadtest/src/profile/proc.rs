//! Lives here: what a process has used, from /proc. Never here: what is made of the figures.

use std::{fs, process::Command};

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
    parse_status(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// utime + stime. The command name in parentheses may itself hold blanks and parentheses.
fn parse_stat(text: &str) -> Option<u64> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn parse_status(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_command_name_with_parentheses() {
        let text = "42 (mna (ra) 1) S 1 42 42 0 -1 4194560 900 0 0 0 123 45 0 0 20 0 9 0 100 1 2";
        assert_eq!(parse_stat(text), Some(168));
        assert_eq!(parse_stat("42 (mnara"), None);
        assert_eq!(parse_stat("42 (mnara) S 1"), None);
    }

    #[test]
    fn resident_memory_is_read_from_its_own_line() {
        assert_eq!(
            parse_status("Name:\tx\nVmHWM:\t  99 kB\nVmRSS:\t  20480 kB\n"),
            Some(20_480)
        );
        assert_eq!(parse_status("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_figures_of_its_own() {
        let pid = std::process::id();
        assert!(rss_kib(pid).is_some_and(|kib| kib > 0));
        assert!(cpu_ticks(pid).is_some());
        assert!(ticks_per_s() > 0);
    }
}
