//! The verdict on dumps beside the real `unzip`, over thousands of archives that `corpus.py` makes
//! with Python, Info-ZIP, 7-Zip and libarchive, and damages.
//!
//! Wherever the two differ, ours may only be the stricter one, and only for the reasons that stand
//! in [`STRICTER`]. Damage to compressed data is left out by construction: it is the one thing
//! that the verdict cannot see.
//!
//! It needs `unzip`, as Debian has it, and `python3`; without them it is skipped, under `CI` it
//! fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use gapmend::observe::judge_bytes;

/// The corpus is made from this, or from `GAPMEND_UNZIP_SEED`: any must do.
const SEED: &str = "20260615";
const ARCHIVES_AT_LEAST: usize = 5_000;
const GOOD_AT_LEAST: usize = 500;

/// Where the verdict refuses what `unzip` would unpack, by words of the reason, and why it does.
const STRICTER: [(&str, &str); 15] = [
    (" is empty: send", "an empty script is loaded as no data at all"),
    ("symbolic link", "a link's target decides what is loaded, and is not read"),
    ("in its own header than in the directory", "one of the two is damaged; unzip believes one"),
    ("figures behind", "the same, of the figures behind streamed data"),
    (
        "go on after the file's end",
        "a compressed size that unzip does not need, and cannot be right",
    ),
    ("one of several disks", "unzip ignores half of the disk numbers"),
    ("another end of central directory", "a signature too near the end to be read"),
    ("end of central directory is cut off", "the same"),
    ("Control-S", "unzip waits for a key only where there is a terminal"),
    ("a zip64", "a figure that needs zip64 and has none is nonsense"),
    ("its directory is damaged", "the directory goes on where its size says that it ends"),
    ("refused as a bomb", "figures that no dump has"),
    ("over each other", "figures that overlap, though the data may end earlier"),
    ("does not begin where its directory says", "a label or a folder that unzip does not look for"),
    ("old DOS encoding", "the two headers' names are read differently"),
];

fn is_available(program: &str) -> bool {
    Command::new(program).arg("-v").output().is_ok()
}

#[test]
fn nothing_is_good_that_unzip_or_the_load_refuses() {
    if !is_available("unzip") || !is_available("python3") {
        assert!(std::env::var_os("CI").is_none(), "unzip and python3 are needed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let seed = std::env::var_os("GAPMEND_UNZIP_SEED").unwrap_or_else(|| SEED.into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unzip/corpus.py");
    let made = Command::new("python3").arg(script).arg(folder.path()).arg(seed).status().unwrap();
    assert!(made.success());
    let oracle = std::fs::read_to_string(folder.path().join("oracle.tsv")).unwrap();
    let (mut good, mut laxer, mut unknown) = (0, Vec::new(), Vec::new());
    let mut stricter: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for line in oracle.lines() {
        let [file, kind, unzip] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("a line of three: {line}");
        };
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        match (judge_bytes(&bytes.into()), unzip) {
            (Ok(_), "good") => good += 1,
            (Ok(_), other) => laxer.push(format!("{file} ({kind}): {other}")),
            (Err(fault), "good") => {
                let words = fault.to_string();
                match STRICTER.iter().find(|(part, _)| words.contains(part)) {
                    Some((part, _)) if !kind.starts_with("whole") => {
                        stricter.entry(part).or_insert((0, kind.to_owned())).0 += 1;
                    }
                    _ => unknown.push(format!("{file} ({kind}): {words}")),
                }
            }
            (Err(_), _) => {}
        }
    }
    let archives = oracle.lines().count();
    println!("{archives} archives, {good} good by both");
    for (part, why) in STRICTER {
        let (count, example) = stricter.get(part).cloned().unwrap_or_default();
        println!("{count:5} stricter: {part:?}, for {why} ({example})");
    }
    assert!(laxer.is_empty(), "good here, and not to the task:\n{}", laxer.join("\n"));
    assert!(unknown.is_empty(), "stricter without a known reason:\n{}", unknown.join("\n"));
    assert!(archives >= ARCHIVES_AT_LEAST, "{archives} archives");
    assert!(good >= GOOD_AT_LEAST, "{good} good ones");
}
