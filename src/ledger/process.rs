//! Which process we are, and whether another one is certainly dead.
//!
//! A number alone says nothing: numbers are used again, and two containers each have a
//! process 1. So a process is its number *and* its start, seen from the same boot and the
//! same namespace. Where that cannot be seen, nobody is ever called dead.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A process, as others can check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The machine's name.
    pub host: String,
    /// The machine's boot and the process namespace; empty where they cannot be seen.
    pub realm: String,
    /// Its number there.
    pub pid: u32,
    /// Its start in ticks since the boot; 0 where it cannot be seen.
    pub process_start: u64,
}

impl Process {
    /// This process.
    #[must_use]
    pub fn this() -> Self {
        let pid = std::process::id();
        Self {
            host: line_of("/proc/sys/kernel/hostname").unwrap_or_else(|| "unknown".to_owned()),
            realm: realm().unwrap_or_default(),
            pid,
            process_start: started(pid).unwrap_or_default(),
        }
    }

    /// How it signs its entries: host, number, command.
    #[must_use]
    pub fn writer(&self, command: &str) -> String {
        format!("{}/{} {command}", self.host, self.pid)
    }

    /// Whether it is gone for certain. `false` also means: it cannot be seen from here.
    #[must_use]
    pub fn is_certainly_dead(&self) -> bool {
        let here = Self::this();
        let visible = !self.realm.is_empty()
            && self.process_start != 0
            && self.host == here.host
            && self.realm == here.realm
            && others_are_visible();
        visible && started(self.pid) != Some(self.process_start)
    }
}

/// With `hidepid`, living processes of other users look absent; then process 1 does too.
fn others_are_visible() -> bool {
    Path::new("/proc/1/stat").exists()
}

fn realm() -> Option<String> {
    let boot = line_of("/proc/sys/kernel/random/boot_id")?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{boot} {}", namespace.display()))
}

/// When a living process started; `None` when it is gone or only waits to be buried.
fn started(pid: u32) -> Option<u64> {
    start_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `/proc/PID/stat`. The name in field 2 may contain anything, even `)`.
fn start_in(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn line_of(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives() {
        assert!(!Process::this().is_certainly_dead());
    }

    #[test]
    fn the_start_is_read_past_a_name_with_anything_in_it() {
        let fields = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        assert_eq!(start_in(&format!("12 (a) b (c)) {fields}")), Some(987_654));
        let zombie = fields.replacen('S', "Z", 1);
        assert_eq!(start_in(&format!("12 (a) {zombie}")), None);
        assert_eq!(start_in("12 (a"), None);
        assert_eq!(start_in("12 (a) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_same_number_with_another_start_is_a_dead_process() {
        let mut earlier = Process::this();
        earlier.process_start -= 1;
        assert!(earlier.is_certainly_dead());
    }

    #[test]
    fn a_process_that_cannot_be_seen_from_here_is_never_called_dead() {
        let here = Process::this();
        let gone = Process { process_start: 1, ..here };
        for unseen in [
            Process { host: "elsewhere".to_owned(), ..gone.clone() },
            Process { realm: "another boot".to_owned(), ..gone.clone() },
            Process { realm: String::new(), ..gone.clone() },
            Process { process_start: 0, ..gone.clone() },
        ] {
            assert!(!unseen.is_certainly_dead(), "{unseen:?}");
        }
    }
}
