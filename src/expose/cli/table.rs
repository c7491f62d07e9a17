//! Tables: no frames, a header, cells that wrap.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets,
};

use super::style::Paper;
use crate::expose::words::Tone;

/// A table that is being written.
pub(super) struct Sheet {
    table: Table,
}

impl Sheet {
    pub(super) fn new(paper: Paper, header: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.force_no_tty().set_width(paper.columns);
        if paper.colour {
            table.enforce_styling();
        }
        table.set_header(header.iter().map(|title| Cell::new(title).add_attribute(Attribute::Dim)));
        Self { table }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.table.add_row(cells);
    }

    /// Columns that never wrap: dates, letters, numbers.
    pub(super) fn firm(&mut self, columns: &[usize]) {
        for index in columns {
            if let Some(column) = self.table.column_mut(*index) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }

    /// The lines, without blanks at their ends.
    pub(super) fn text(&self) -> String {
        self.table.lines().flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()]).collect()
    }
}

/// A plain cell.
pub(super) fn cell(text: impl ToString) -> Cell {
    Cell::new(text)
}

/// A number.
pub(super) fn number(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

/// A cell in its tone's colour.
pub(super) fn toned(tone: Tone, text: impl ToString) -> Cell {
    match tone {
        Tone::Good => Cell::new(text).fg(Color::DarkGreen),
        Tone::Busy => Cell::new(text).fg(Color::DarkCyan).add_attribute(Attribute::Bold),
        Tone::Warn => Cell::new(text).fg(Color::DarkYellow).add_attribute(Attribute::Bold),
        Tone::Bad => Cell::new(text).fg(Color::DarkRed).add_attribute(Attribute::Bold),
        Tone::Quiet => Cell::new(text),
    }
}
