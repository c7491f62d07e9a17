//! Every command that the documentation shows is run, in the order in which it is shown.
//!
//! A block that is fenced as `sh` is run against the model of the pipeline and ends in 0. One
//! that is fenced as `sh parsed` needs more than that (a run in progress, a terminal, a person):
//! its commands are only read by the command line's own parser.

use std::path::Path;

use clap::Parser;
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
