//! The layers: read the files, lay them over the defaults and the environment over all.
//!
//! figment merges (tables by key, anything else replaced whole); the files are opened and
//! parsed here, because figment's own file provider takes a missing file for an empty one,
//! keeps no positions, and its environment provider turns `012345678901` into a number.
//! This module never looks at what the values mean.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use toml_edit::Document;

use super::environment::{Environment, PREFIX, TEXT};
use super::key_path::{KeyPath, Segment};
use super::problem::{Place, Problem, Severity};

mod sources;
mod values;

pub(super) use sources::{Sources, Spot};
pub(super) use values::reread;

/// The built-in defaults; `[dataset]` stands for every dataset, `[dataset.raw]` for each of its
/// raw sources.
pub(super) const DEFAULTS: &str = include_str!("defaults.toml");

/// A configuration file is a page or two; more is a mistake.
const FILE_LIMIT_BYTES: u64 = 1024 * 1024;

/// `conf.d` holds one file per team or per occasion.
const FILES_LIMIT: usize = 200;

/// The deepest key there is has five parts; more is a mistake.
const VARIABLE_LIMIT_PARTS: usize = 12;

/// Everything that was read.
pub(super) struct Layers {
    /// All layers, merged.
    pub(super) merged: Value,
    /// Where everything is written.
    pub(super) sources: Sources,
    /// What could not be read at all.
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    /// Reads the file, `conf.d/*.toml` beside it in name order, and the environment. A platform
    /// that runs containers has no file to give: there a variable holds the file's text.
    pub(super) fn read(path: &Path, environment: &Environment) -> Self {
        if let Some(text) = environment.get(TEXT) {
            return Self::of_text(Path::new(TEXT), text, environment);
        }
        let main = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut reading = Reading::new(main.clone());
        reading.file(&main);
        reading.directory(&main.with_file_name("conf.d"));
        reading.merge(environment)
    }

    /// Takes text for the file, and no `conf.d`.
    pub(super) fn from_text(text: &str, environment: &Environment) -> Self {
        Self::of_text(Path::new("gapmend.toml"), text, environment)
    }

    fn of_text(name: &Path, text: &str, environment: &Environment) -> Self {
        let mut reading = Reading::new(name.to_owned());
        reading.text(name, text.to_owned());
        reading.merge(environment)
    }
}

/// A reading in progress.
struct Reading {
    sources: Sources,
    problems: Vec<Problem>,
}

impl Reading {
    fn new(main: PathBuf) -> Self {
        Self { sources: Sources::new(main), problems: Vec::new() }
    }

    fn file(&mut self, path: &Path) {
        match read_text(path) {
            Ok(text) => self.text(path, text),
            Err(message) => self.fail(message, Place::File(path.to_owned())),
        }
    }

    fn text(&mut self, path: &Path, text: String) {
        match Document::parse(text.clone()) {
            Ok(document) => self.sources.add_file(path.to_owned(), text, document),
            Err(error) => {
                let place = sources::place_in(path, &text, error.span().unwrap_or_default());
                self.fail(format!("not valid TOML: {}", error.message().trim()), place);
            }
        }
    }

    fn directory(&mut self, directory: &Path) {
        match toml_files(directory) {
            Ok(files) => files.iter().for_each(|file| self.file(file)),
            Err(message) => self.fail(message, Place::File(directory.to_owned())),
        }
    }

    fn fail(&mut self, message: String, place: Place) {
        self.problems.push(Problem {
            severity: Severity::Error,
            key: String::new(),
            message,
            place,
            help: None,
        });
    }

    fn merge(mut self, environment: &Environment) -> Layers {
        let endpoint = environment.get("AWS_ENDPOINT_URL").map(|url| {
            let path = KeyPath::of(["aws", "endpoint_url"]);
            self.sources.add_fallback("AWS_ENDPOINT_URL", path.clone());
            nest(&path, Value::from(url))
        });
        let mut figment = Figment::from(Layer("AWS_ENDPOINT_URL", endpoint.unwrap_or_default()));
        for dict in self.sources.file_dicts() {
            figment = figment.merge(Layer("file", dict));
        }
        for (name, text) in environment.overrides() {
            match variable_path(name, &whole(&figment)) {
                Some(path) => {
                    let value = values::from_variable(text);
                    figment = figment.merge(Layer("environment", nest(&path, value)));
                    self.sources.add_variable(name, path, text);
                }
                None => self.fail(
                    format!("not the name of a key; expected e.g. {PREFIX}AWS__REGION"),
                    Place::Variable(name.to_owned()),
                ),
            }
        }
        let defaults = defaults_for(&whole(&figment));
        let merged = Value::from(whole(&figment.join(Layer("built-in defaults", defaults))));
        Layers { merged, sources: self.sources, problems: self.problems }
    }
}

/// A layer as figment takes it.
struct Layer(&'static str, Dict);

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.1.clone())]))
    }
}

fn whole(figment: &Figment) -> Dict {
    figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default()
}

/// The defaults of every table that is there: each dataset and each of its raw sources has them,
/// and an optional section has them once it is written.
fn defaults_for(merged: &Dict) -> Dict {
    let mut defaults = default_values();
    let template = defaults.remove("dataset").and_then(Value::into_dict).unwrap_or_default();
    let mut datasets = Dict::new();
    for (name, dataset) in merged.get("datasets").and_then(Value::as_dict).into_iter().flatten() {
        let Some(dataset) = dataset.as_dict() else { continue };
        let mut sections = template.clone();
        sections.retain(|section, _| !is_optional(section) || dataset.contains_key(section));
        if let Some(each) = sections.remove("raw") {
            let sources = dataset.get("raw").and_then(Value::as_dict).into_iter().flatten();
            let tables = sources.filter(|(_, source)| source.as_dict().is_some());
            let named: Dict = tables.map(|(name, _)| (name.clone(), each.clone())).collect();
            sections.insert("raw".to_owned(), Value::from(named));
        }
        datasets.insert(name.clone(), Value::from(sections));
    }
    defaults.insert("datasets".to_owned(), Value::from(datasets));
    defaults
}

fn is_optional(section: &str) -> bool {
    matches!(section, "export" | "copy" | "publish" | "trigger")
}

/// The built-in defaults, parsed.
pub(super) fn default_values() -> Dict {
    let document = Document::parse(DEFAULTS).expect("a test parses the built-in defaults");
    values::from_table(document.as_table())
}

fn nest(path: &KeyPath, value: Value) -> Dict {
    let mut value = value;
    for segment in path.segments().iter().rev() {
        if let Segment::Key(key) = segment {
            value = Value::from(Dict::from([(key.clone(), value)]));
        }
    }
    value.into_dict().unwrap_or_default()
}

/// The key that a variable means. Shells allow no `-` in a name and people write capitals,
/// so a part that is spelled differently means the key that is already there.
fn variable_path(name: &str, merged: &Dict) -> Option<KeyPath> {
    let parts: Vec<&str> = name.strip_prefix(PREFIX)?.split("__").collect();
    if parts.len() > VARIABLE_LIMIT_PARTS || parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    let mut here = Some(merged);
    let mut path = KeyPath::root();
    for part in parts {
        let key = here
            .and_then(|table| table.keys().find(|key| same_word(key, part)).cloned())
            .unwrap_or_else(|| part.to_lowercase());
        here = here.and_then(|table| table.get(&key)).and_then(Value::as_dict);
        path = path.key(&key);
    }
    Some(path)
}

fn same_word(key: &str, part: &str) -> bool {
    let fold = |text: &str| text.to_lowercase().replace('-', "_");
    fold(key) == fold(part)
}

/// Reads a whole file; never more than the limit.
fn read_text(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let file = fs::File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > FILE_LIMIT_BYTES {
        return Err(format!("larger than {FILE_LIMIT_BYTES} bytes; that is no configuration file"));
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())
}

/// The files of `conf.d`, in name order; none when there is no such directory.
fn toml_files(directory: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(format!("cannot be listed: {error}")),
    };
    let mut files = BTreeSet::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("cannot be listed: {error}"))?.path();
        if is_layer(&path) {
            files.insert(path);
        }
        if files.len() > FILES_LIMIT {
            return Err(format!("has more than {FILES_LIMIT} files"));
        }
    }
    Ok(files)
}

/// Editors leave hidden copies behind; those are no layers.
fn is_layer(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "toml")
}

/// A parsed file, as `toml_edit` keeps it: with the position of everything.
type Parsed = Document<String>;
