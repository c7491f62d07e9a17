//! Every command that the documentation shows is run, in the order in which it is shown.
//!
//! A block that is fenced as `sh` is run against the model of the pipeline and ends in 0. One
//! that is fenced as `sh parsed` needs more than that (a run in progress, a terminal, a person):
//! its commands are only read by the command line's own parser. Of those in running text, which
//! leave out what the reader knows, the subcommands and the flags must exist.

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory, Parser};
use gapmend::expose::cli::Cli;

use crate::stage::{Stage, days_ago, world};

/// In the order in which a newcomer reads them.
const PAGES: [&str; 4] = ["README.md", "docs/guide.md", "deploy/README.md", "docs/going-live.md"];

/// The date of the examples.
const EXAMPLE: &str = "2022-06-01";

/// What a block may show besides gapmend: it is built and tested by CI.
const OTHERS: [&str; 5] = ["cargo", "just", "docker", "aws", "install"];

/// A command, and whether it is to be run.
struct Shown {
    page: &'static str,
    line: String,
    is_run: bool,
}

fn shown() -> Vec<Shown> {
    let mut shown = Vec::new();
    for page in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let mut block = None;
        for line in std::fs::read_to_string(path).unwrap().lines().map(str::trim) {
            match (line.strip_prefix("```"), block) {
                (Some("sh"), None) => block = Some(true),
                (Some("sh parsed"), None) => block = Some(false),
                (Some(_), _) => block = None,
                (None, Some(is_run)) if !line.is_empty() && !line.starts_with('#') => {
                    shown.push(Shown { page, line: line.to_owned(), is_run });
                }
                (None, _) => {}
            }
        }
    }
    shown
}

/// Splits as a shell does, as far as the documentation needs it; a remark ends the line.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
            continue;
        }
        let (part, remark) = part.split_once(" #").map_or((part, false), |(part, _)| (part, true));
        words.extend(part.split_whitespace().map(str::to_owned));
        if remark {
            break;
        }
    }
    words
}

/// What gapmend is asked; `None` for another program.
fn asked(shown: &Shown) -> Option<Vec<String>> {
    let words = words(&shown.line);
    match words.first().map(String::as_str) {
        Some("gapmend") => Some(words),
        Some("cargo") if words.get(1).is_some_and(|word| word == "run") => {
            let rest = words.into_iter().skip_while(|word| word != "--").skip(1);
            Some(std::iter::once("gapmend".to_owned()).chain(rest).collect())
        }
        Some(other) if OTHERS.contains(&other) || other.starts_with("deploy/") => None,
        _ => panic!("{}: `{}` is no command that is known here", shown.page, shown.line),
    }
}

#[test]
fn every_command_of_the_documentation_is_understood() {
    let commands: Vec<_> = shown().iter().filter_map(asked).collect();
    assert!(commands.len() > 20, "{}", commands.len());
    for words in commands {
        let parsed = Cli::try_parse_from(&words);
        assert!(parsed.is_ok(), "{words:?}: {}", parsed.unwrap_err());
    }
}

#[tokio::test]
async fn every_command_of_the_documentation_does_what_it_says() {
    let gap = days_ago(12);
    let allowlist = "[datasets.liberator]\nmode = \"allowlist\"\n";
    let stage = Stage::set_with(world().gap(gap), allowlist).await;
    for one in shown().iter().filter(|one| one.is_run && one.line.starts_with("gapmend")) {
        let words: Vec<String> = words(&one.line)
            .into_iter()
            .skip(1)
            .map(|word| word.replace(EXAMPLE, &gap.to_string()))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let came = stage.run(&words).await;
        assert_eq!(came.code, 0, "{}: {}\n{}{}", one.page, one.line, came.stdout, came.stderr);
        assert!(!came.stdout.is_empty(), "{}: {} prints nothing", one.page, one.line);
    }
    stage.assert_healed_once(&[gap]);
}

/// Folders whose texts speak of commands, beside the files at the top.
const TEXTS: [&str; 4] = ["docs", "deploy", "dashboards", "config"];

/// Every file that people read, with its content.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = TEXTS.iter().map(|name| root.join(name)).collect();
    let mut files: Vec<PathBuf> = Vec::new();
    let top = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    files.extend(top.filter(|path| path.is_file()));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let is_text = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| ["md", "yml", "yaml", "toml"].contains(&extension))
    };
    let read = |path: PathBuf| Some((path.clone(), std::fs::read_to_string(path).ok()?));
    files.into_iter().filter(is_text).filter_map(read).collect()
}

/// What stands between backticks and begins with `gapmend `.
fn in_running_text(text: &str) -> impl Iterator<Item = &str> {
    text.split("`gapmend ").skip(1).filter_map(|rest| rest.split('`').next())
}

/// The first word that the command line does not know, if there is one.
fn unknown_word(line: &str) -> Option<String> {
    let mut command: Command = Cli::command();
    command.build();
    let line = line.replace("{{ $labels.dataset }}", "liberator");
    let mut may_be_subcommand = true;
    let mut takes_value = false;
    for word in words(&line) {
        if std::mem::take(&mut takes_value) {
            continue;
        }
        if let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) {
            let (flag, value) =
                flag.split_once('=').map_or((flag, false), |(flag, _)| (flag, true));
            let Some(argument) = command.get_arguments().find(|one| one.get_long() == Some(flag))
            else {
                return Some(word);
            };
            takes_value = !value && argument.get_action().takes_values();
        } else if may_be_subcommand && command.has_subcommands() {
            let Some(next) = command.find_subcommand(&word) else { return Some(word) };
            command = next.clone();
        } else {
            may_be_subcommand = false;
        }
    }
    None
}

#[test]
fn every_command_in_running_text_exists() {
    let mut seen = 0;
    for (path, text) in texts() {
        for line in in_running_text(&text) {
            let unknown = unknown_word(line);
            assert!(unknown.is_none(), "{}: `gapmend {line}`: {unknown:?}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
    assert_eq!(unknown_word("--dataset {{ $labels.dataset }} pause --for 1d"), None);
    assert_eq!(unknown_word("pause --until monday").as_deref(), Some("--until"));
    assert_eq!(unknown_word("mend").as_deref(), Some("mend"));
}
