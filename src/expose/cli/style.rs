//! What is printed on: so many columns wide, with or without colour.

use anstyle::{AnsiColor, Style};

use crate::expose::words::Tone;

/// Columns when nobody says: where output is piped, a line may be longer than a terminal's.
const COLUMNS_UNKNOWN: u16 = 100;

/// Fewer make every table a column of syllables.
const COLUMNS_AT_LEAST: u16 = 40;

/// Below it prose gets one column, whatever it is about.
const COLUMNS_WIDE: u16 = 110;

/// More make lines that no eye follows.
const COLUMNS_AT_MOST: u16 = 160;

/// What is printed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paper {
    /// Characters in a line.
    pub columns: u16,
    /// Whether colours may be used.
    pub colour: bool,
}

impl Paper {
    /// Paper of that width, within reason.
    #[must_use]
    pub fn new(columns: Option<u16>, colour: bool) -> Self {
        let columns = columns.unwrap_or(COLUMNS_UNKNOWN).clamp(COLUMNS_AT_LEAST, COLUMNS_AT_MOST);
        Self { columns, colour }
    }

    /// Whether there is room for two columns of prose.
    pub(super) fn is_wide(self) -> bool {
        self.columns >= COLUMNS_WIDE
    }

    /// The text in its tone's colour.
    pub(super) fn toned(self, tone: Tone, text: &str) -> String {
        self.painted(style(tone), text)
    }

    /// The text as a heading.
    pub(super) fn bold(self, text: &str) -> String {
        self.painted(Style::new().bold(), text)
    }

    fn painted(self, style: Style, text: &str) -> String {
        if self.colour && style != Style::new() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Busy => AnsiColor::Cyan.on_default().bold(),
        Tone::Warn => AnsiColor::Yellow.on_default().bold(),
        Tone::Bad => AnsiColor::Red.on_default().bold(),
        Tone::Quiet => Style::new(),
    }
}

/// `label   value` lines, values aligned and wrapped under themselves.
pub(super) fn facts(paper: Paper, facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0) + 2;
    let room = usize::from(paper.columns).saturating_sub(width).max(20);
    let mut text = String::new();
    for (label, value) in facts {
        for (index, line) in wrap(value, room).into_iter().enumerate() {
            let label = if index == 0 { *label } else { "" };
            let line = format!("{label:width$}{line}");
            text += line.trim_end();
            text.push('\n');
        }
    }
    text
}

/// Breaks at blanks; a word longer than the room stands alone.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
