//! The house rules: which room of `src/` may name which other room.
//!
//! ```text
//!   main, commands → expose → daemon → act → plan → observe → ledger → config → platform → domain
//!                                          sim, aws beside platform, seen only by main and tests
//! ```
//!
//! The code is read as text: comments and test modules are left out, `use` groups are opened.
//! A rule that is broken is told with file and line.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A room, what it may see below itself, and words that must not occur in it.
struct Room {
    name: &'static str,
    sees: &'static [&'static str],
}

/// Every room but `main`, which sees all.
const HOUSE: [Room; 11] = [
    Room { name: "domain", sees: &[] },
    Room { name: "platform", sees: &["domain"] },
    Room { name: "config", sees: &["domain"] },
    Room { name: "aws", sees: &["config", "platform", "domain"] },
    Room { name: "sim", sees: &["platform", "domain"] },
    Room { name: "ledger", sees: &["config", "platform", "domain"] },
    Room { name: "observe", sees: &["ledger", "config", "platform", "domain"] },
    Room { name: "plan", sees: &["observe", "ledger", "config", "platform", "domain"] },
    Room { name: "act", sees: &["plan", "ledger", "config", "platform", "domain"] },
    Room {
        name: "daemon",
        sees: &["act", "plan", "observe", "ledger", "config", "platform", "domain"],
    },
    Room {
        name: "expose",
        sees: &["daemon", "act", "plan", "observe", "ledger", "config", "platform", "domain"],
    },
];

/// Words that only some rooms may say, and why.
struct Reserved {
    words: &'static [&'static str],
    allowed: fn(room: &str) -> bool,
    why: &'static str,
}

const RESERVED: [Reserved; 4] = [
    Reserved {
        words: &["aws_sdk_", "aws_config::", "aws_smithy_", "aws_types::", "aws_credential_types"],
        allowed: |room| room == "aws",
        why: "only aws/ speaks the SDK's words",
    },
    Reserved {
        words: &["tokio", "std::fs", "std::net", "async fn", ".await", "dyn Platform"],
        allowed: |room| !matches!(room, "domain" | "plan" | "config"),
        why: "domain, config and plan are plain data and pure functions",
    },
    Reserved {
        words: &["axum::", "clap::", "prometheus::", "maud::"],
        allowed: |room| matches!(room, "expose" | "main" | "sim"),
        why: "how things are shown is expose's business; sim/wire is a server of its own",
    },
    Reserved {
        words: &["tokio_cron_scheduler"],
        allowed: |room| room == "daemon",
        why: "the scheduler only wakes the daemon's loop",
    },
];

/// The files that read the configuration's own files; nothing else of `config` does IO.
const READERS_OF_FILES: [&str; 2] = ["src/config/layers.rs", "src/config/environment.rs"];

#[test]
fn no_room_names_a_room_above_itself() {
    let mut broken = Vec::new();
    for file in sources() {
        let Some(room) = HOUSE.iter().find(|room| room.name == file.room) else { continue };
        for (line, named) in file.rooms_named() {
            let seen = named == room.name || room.sees.contains(&named.as_str());
            if !seen {
                broken.push(file.complaint(line, format!("{} may not name {named}", room.name)));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn reserved_words_stay_where_they_belong() {
    let mut broken = Vec::new();
    for file in sources() {
        for reserved in &RESERVED {
            if (reserved.allowed)(&file.room) || READERS_OF_FILES.contains(&file.name().as_str()) {
                continue;
            }
            for (line, text) in file.lines() {
                for word in reserved.words.iter().filter(|word| text.contains(**word)) {
                    broken.push(file.complaint(line, format!("`{word}`: {}", reserved.why)));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_path_climbs_out_of_its_room_by_super() {
    let mut broken = Vec::new();
    for file in sources().iter().filter(|file| file.room != "main") {
        for (line, text) in file.lines() {
            if longest_climb(text) >= file.depth() {
                broken.push(file.complaint(line, "say `crate::` to leave a room".to_owned()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_room_has_its_rule() {
    let known: BTreeSet<&str> =
        HOUSE.iter().map(|room| room.name).chain(["main", "lib", "commands"]).collect();
    let there: BTreeSet<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let unruled: Vec<_> = there.iter().filter(|room| !known.contains(room.as_str())).collect();
    assert!(unruled.is_empty(), "add {unruled:?} to HOUSE");
}

#[test]
fn the_reader_of_code_sees_through_groups_comments_and_tests() {
    let text = "\
use crate::{domain::{Dump, Seen}, plan};
// use crate::expose::Exit;
fn a() -> crate::ledger::Run { \"crate::sim\" }
#[cfg(test)]
mod tests { use crate::act; }
";
    let file = Source { path: root().join("src/x/y.rs"), room: "x".into(), text: stripped(text) };
    let rooms: Vec<(usize, String)> = file.rooms_named();
    let expected = [(1, "domain"), (1, "plan"), (3, "ledger")];
    assert_eq!(rooms, expected.map(|(line, room)| (line, room.to_owned())));
    assert_eq!(longest_climb("use super::super::Thing;"), 2);
}

/// A file of non-test code.
struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

impl Source {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// How many modules below the crate's root it is: 1 for `src/plan/mod.rs`.
    fn depth(&self) -> usize {
        let below = self.path.strip_prefix(root().join("src")).unwrap();
        let is_mod = below.file_name().is_some_and(|name| name == "mod.rs");
        below.components().count() - usize::from(is_mod)
    }

    /// The rooms that it names, in order, with their lines.
    fn rooms_named(&self) -> Vec<(usize, String)> {
        let mut named = Vec::new();
        for (at, _) in self.text.match_indices("crate::") {
            let line = self.text[..at].matches('\n').count() + 1;
            let rest = &self.text[at + "crate::".len()..];
            let rooms = match rest.strip_prefix('{') {
                Some(group) => heads_of_group(group),
                None => vec![identifier(rest)],
            };
            named.extend(rooms.into_iter().map(|room| (line, room)));
        }
        named
    }

    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    fn complaint(&self, line: usize, what: impl fmt::Display) -> String {
        format!("{}:{line}: {what}", self.name())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of `src/` that is no test.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join("src"), &mut found);
    assert!(found.len() > 100, "only {} files were found", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let tests = modules_for_tests(&entries);
    for path in entries {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if tests.contains(&stem) {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = stripped(&fs::read_to_string(&path).unwrap());
            found.push(Source { room: room_of(&path), path, text });
        }
    }
}

/// The names of files and folders here that are declared under `#[cfg(test)]`.
fn modules_for_tests(entries: &[PathBuf]) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["tests".to_owned()]);
    for path in entries.iter().filter(|path| path.extension().is_some_and(|it| it == "rs")) {
        let text = fs::read_to_string(path).unwrap();
        for after in text.split("#[cfg(test)]").skip(1) {
            let declared = after.split(['{', ';']).next().unwrap_or_default();
            let words: Vec<&str> = declared.split_whitespace().collect();
            if let Some(at) = words.iter().position(|word| *word == "mod") {
                names.insert(words[at + 1].to_owned());
            }
        }
    }
    names
}

fn room_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    match first.trim_end_matches(".rs") {
        "main" | "lib" | "commands" => "main".to_owned(),
        room => room.to_owned(),
    }
}

/// The code without comments, texts and the test module at its end; lines stay where they were.
fn stripped(text: &str) -> String {
    let inline_tests = text.match_indices("#[cfg(test)]").find(|(at, _)| {
        let declared = &text[*at..];
        declared.find('{').unwrap_or(usize::MAX) < declared.find(';').unwrap_or(usize::MAX)
            && declared.split_whitespace().take(3).any(|word| word == "mod")
    });
    let code = inline_tests.map_or(text, |(at, _)| &text[..at]);
    let lines: Vec<String> = code.lines().map(without_texts_and_comment).collect();
    lines.join("\n")
}

fn without_texts_and_comment(line: &str) -> String {
    let (mut kept, mut in_text, mut before) = (String::new(), false, ' ');
    for letter in line.chars() {
        if letter == '"' && before != '\\' && before != '\'' {
            in_text = !in_text;
        } else if !in_text {
            kept.push(letter);
        }
        before = letter;
    }
    kept.split("//").next().unwrap_or_default().to_owned()
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// The first names of `{a::b, c::{d, e}}`: `a` and `c`.
fn heads_of_group(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut head) = (Vec::new(), 0_usize, String::new());
    for letter in group.chars() {
        match (letter, depth) {
            ('}', 0) => break,
            ('{', _) => depth += 1,
            ('}', _) => depth -= 1,
            (',', 0) => heads.push(std::mem::take(&mut head)),
            (other, 0) => head.push(other),
            _ => {}
        }
    }
    heads.push(head);
    heads.iter().map(|head| identifier(head.trim())).filter(|head| !head.is_empty()).collect()
}

/// How many `super::` stand in a row.
fn longest_climb(line: &str) -> usize {
    let climbs = line.split_whitespace().map(|word| {
        let at = word.find("super::").unwrap_or(word.len());
        let mut rest = &word[at..];
        let mut count = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            rest = next;
            count += 1;
        }
        count
    });
    climbs.max().unwrap_or(0)
}
