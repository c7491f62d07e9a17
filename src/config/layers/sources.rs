//! Where everything is written: from a key's path back to a line of a file, or to a variable.

use std::ops::Range;
use std::path::{Path, PathBuf};

use figment::value::Dict;
use toml_edit::{Item, TableLike};

use super::values::from_table;
use super::{KeyPath, Parsed, Place, Segment};

/// Which end of `key = value` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Spot {
    /// The key; the value is not shown.
    Key,
    /// The value.
    Value,
}

/// An environment variable that sets a key.
pub(in crate::config) struct Variable {
    /// Its name.
    pub(in crate::config) name: String,
    /// The key it sets.
    pub(in crate::config) path: KeyPath,
    /// What it says.
    pub(in crate::config) text: String,
}

struct SourceFile {
    path: PathBuf,
    text: String,
    document: Parsed,
}

/// Every file and variable that was read, in the order of the layers.
pub(in crate::config) struct Sources {
    main: PathBuf,
    files: Vec<SourceFile>,
    variables: Vec<Variable>,
    /// Variables below the files: they count only where no file speaks.
    fallbacks: Vec<(&'static str, KeyPath)>,
}

impl Sources {
    pub(super) fn new(main: PathBuf) -> Self {
        Self { main, files: Vec::new(), variables: Vec::new(), fallbacks: Vec::new() }
    }

    pub(super) fn add_file(&mut self, path: PathBuf, text: String, document: Parsed) {
        self.files.push(SourceFile { path, text, document });
    }

    pub(super) fn add_variable(&mut self, name: &str, path: KeyPath, text: &str) {
        self.variables.push(Variable { name: name.to_owned(), path, text: text.to_owned() });
    }

    pub(super) fn add_fallback(&mut self, name: &'static str, path: KeyPath) {
        self.fallbacks.push((name, path));
    }

    pub(super) fn file_dicts(&self) -> Vec<Dict> {
        self.files.iter().map(|file| from_table(file.document.as_table())).collect()
    }

    /// The files, in the order of the layers.
    pub(in crate::config) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// The variable that sets exactly this key.
    pub(in crate::config) fn variable(&self, path: &KeyPath) -> Option<&Variable> {
        self.variables.iter().rev().find(|variable| variable.path == *path)
    }

    /// Where a key is written; for an absent key, the nearest table around it.
    pub(in crate::config) fn place(&self, path: &KeyPath, spot: Spot) -> Place {
        let around = |path: &KeyPath| {
            let mut path = path.clone();
            while let Some((parent, _)) = path.parent() {
                if let Some(place) = self.exact(&parent, Spot::Key) {
                    return Some(place);
                }
                path = parent;
            }
            None
        };
        self.exact(path, spot)
            .or_else(|| around(path))
            .unwrap_or_else(|| Place::File(self.main.clone()))
    }

    fn exact(&self, path: &KeyPath, spot: Spot) -> Option<Place> {
        let variable = self.variables.iter().rev().find(|it| path.starts_with(&it.path));
        if let Some(variable) = variable {
            return Some(Place::Variable(variable.name.clone()));
        }
        let written = self.files.iter().rev().find_map(|file| file.place(path, spot));
        written.or_else(|| {
            let (name, _) = self.fallbacks.iter().find(|(_, fallback)| fallback == path)?;
            Some(Place::Variable((*name).to_owned()))
        })
    }
}

impl SourceFile {
    fn place(&self, path: &KeyPath, spot: Spot) -> Option<Place> {
        let spans = find(&self.document, path)?;
        Some(match spot {
            Spot::Value => place_in(&self.path, &self.text, spans.value),
            Spot::Key => key_place_in(&self.path, &self.text, spans.key),
        })
    }
}

struct Spans {
    key: Range<usize>,
    value: Range<usize>,
}

fn find(document: &Parsed, path: &KeyPath) -> Option<Spans> {
    let (parent, last) = path.parent()?;
    let mut node = Node::Table(document.as_table());
    for segment in parent.segments() {
        node = node.child(segment)?.1;
    }
    let (key, node) = node.child(last)?;
    let value = node.span();
    let key = key.or_else(|| value.clone())?;
    let value = value.filter(|_| !node.is_header()).unwrap_or_else(|| key.clone());
    Some(Spans { key, value })
}

/// A value inside a list is no `Item`, so both kinds are walked.
enum Node<'d> {
    Table(&'d dyn TableLike),
    Item(&'d Item),
    Value(&'d toml_edit::Value),
}

impl<'d> Node<'d> {
    fn child(&self, segment: &Segment) -> Option<(Option<Range<usize>>, Node<'d>)> {
        match segment {
            Segment::Key(key) => {
                let (key, item) = self.table()?.get_key_value(key)?;
                Some((key.span(), Node::Item(item)))
            }
            Segment::Index(index) => Some((None, self.element(*index)?)),
        }
    }

    fn table(&self) -> Option<&'d dyn TableLike> {
        match self {
            Node::Table(table) => Some(*table),
            Node::Item(item) => item.as_table_like(),
            Node::Value(value) => value.as_inline_table().map(|table| table as &dyn TableLike),
        }
    }

    fn element(&self, index: usize) -> Option<Node<'d>> {
        match self {
            Node::Table(_) => None,
            Node::Item(Item::ArrayOfTables(tables)) => {
                tables.get(index).map(|table| Node::Table(table))
            }
            Node::Item(item) => item.as_array()?.get(index).map(Node::Value),
            Node::Value(value) => value.as_array()?.get(index).map(Node::Value),
        }
    }

    fn span(&self) -> Option<Range<usize>> {
        match self {
            Node::Table(_) => None,
            Node::Item(item) => item.span(),
            Node::Value(value) => value.span(),
        }
    }

    /// Whether it is a table with a header: pointing at its name says more than at its body.
    fn is_header(&self) -> bool {
        matches!(self, Node::Item(Item::Table(_) | Item::ArrayOfTables(_)))
    }
}

/// The place of a key: the line ends behind it, for the value of an unknown key may be a secret.
fn key_place_in(file: &Path, text: &str, span: Range<usize>) -> Place {
    let end = span.end;
    let place = place_in(file, text, span);
    let Place::Line { file, line, column, text: shown, width } = place else { return place };
    let start_of_line =
        text.get(..end).map_or(0, |before| before.rfind('\n').map_or(0, |at| at + 1));
    let through_key = text.get(start_of_line..end).unwrap_or_default();
    let has_value = shown.get(through_key.len()..).is_some_and(|rest| rest.contains('='));
    let text = if has_value { format!("{through_key} = …") } else { shown };
    Place::Line { file, line, column, text, width }
}

/// The place of a span of bytes, with its line.
pub(super) fn place_in(file: &Path, text: &str, span: Range<usize>) -> Place {
    let start = floor(text, span.start);
    let (before, after) = text.split_at(start);
    let start_of_line = before.rfind('\n').map_or(0, |at| at + 1);
    let end_of_line = after.find('\n').map_or(text.len(), |at| start + at);
    let end = floor(text, span.end).clamp(start, end_of_line);
    Place::Line {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: text[start_of_line..start].chars().count() + 1,
        width: text[start..end].trim_end().chars().count().max(1),
        text: masked(text[start_of_line..end_of_line].trim_end()),
    }
}

/// The nearest boundary between characters at or before the byte.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// No key of ours holds a secret, but people paste them into the wrong file, and messages
/// end up in tickets.
fn masked(line: &str) -> String {
    const SECRETS: [&str; 6] =
        ["secret", "password", "passwd", "token", "credential", "access_key"];
    let lower = line.to_lowercase();
    let with_userinfo = line.split("://").nth(1).is_some_and(|rest| rest.contains('@'));
    if with_userinfo || SECRETS.iter().any(|word| lower.contains(word)) {
        match line.split_once('=') {
            Some((key, _)) => format!("{key}= …"),
            None => "…".to_owned(),
        }
    } else {
        line.to_owned()
    }
}
