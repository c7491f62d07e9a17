//! Names: what `unzip` makes of the name of an entry, and of all of them together in one folder.

use std::collections::BTreeMap;

use super::reading::{Checked, number, refused};
use crate::domain::DumpFault;

/// The longest name that a file system takes, in bytes.
const COMPONENT_BYTES_AT_MOST: usize = 255;
/// Paths longer than this are not checked further; `unzip` gives up at 4096.
const NAME_BYTES_AT_MOST: usize = 1_024;
/// `unzip` in the C locale writes a character outside ASCII as `#U00e9` or `#L01f600`.
const ESCAPED_BYTES: usize = 8;
/// The extra field with a name in UTF-8.
const UNICODE_PATH: u64 = 0x7075;
/// How names are shown in a reason, at most.
const SHOWN_CHARS: usize = 80;

/// Systems on which an archive says that it was made.
const FAT: u8 = 0;
const HPFS: u8 = 6;
const NTFS: u8 = 11;

/// An entry's name, as `unzip` holds it before it makes a path of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) bytes: Vec<u8>,
    /// It was taken for UTF-8, and is written otherwise where the locale is not.
    utf8: bool,
}

/// Where a name comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// The system that the archive was made on, and its version.
    pub(super) host: (u8, u8),
    /// The flag of names in UTF-8.
    pub(super) utf8: bool,
}

impl Name {
    /// The name by a header's own bytes and its extra field.
    pub(super) fn new(raw: &[u8], extra: &[u8], origin: Origin) -> Checked<Self> {
        if raw.len() > NAME_BYTES_AT_MOST {
            let length = raw.len();
            return Err(refused(format!(
                "a name in it has {length} bytes, more than {NAME_BYTES_AT_MOST}: send the .sql \
                 under a short name"
            ))
            .into());
        }
        let raw = until_nul(raw);
        if raw.is_empty() {
            return Err(refused("an entry has no name: send the .sql under a plain name").into());
        }
        let replaced = unicode_path(raw, extra);
        let utf8 = !extra.is_empty() && (origin.utf8 || replaced.is_some());
        let bytes = match replaced.filter(|_| !origin.utf8) {
            Some(name) if !name.is_empty() => name.to_vec(),
            Some(_) | None => raw.to_vec(),
        };
        let name = Self { bytes, utf8 };
        if utf8 && std::str::from_utf8(&name.bytes).is_err() {
            let name = shown(&name.bytes);
            return Err(refused(format!(
                "the name {name} is marked as UTF-8 and is not: send the .sql under a plain name"
            ))
            .into());
        }
        // unzip reads such names in one header as it does not in the other.
        let odd_version = origin.host.0 == FAT && [25, 26, 40].contains(&origin.host.1);
        if odd_version && !utf8 && !name.bytes.is_ascii() {
            let name = shown(&name.bytes);
            return Err(refused(format!(
                "the name {name} is in an old DOS encoding: send the .sql under a plain name"
            ))
            .into());
        }
        Ok(name)
    }

    /// Whether the same file is meant by a name in the other header, in every locale.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.bytes == other.bytes && (self.utf8 == other.utf8 || self.bytes.is_ascii())
    }

    pub(super) fn is_folder(&self) -> bool {
        self.bytes.ends_with(b"/")
    }

    pub(super) fn shown(&self) -> String {
        shown(&self.bytes)
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The name in UTF-8 that an extra field holds, when it belongs to this name.
fn unicode_path<'a>(raw: &[u8], mut extra: &'a [u8]) -> Option<&'a [u8]> {
    let mut found = None;
    while extra.len() >= 4 {
        let length = usize::try_from(number(extra, 2, 2)).ok()?;
        let Some(block) = extra.get(4..4 + length) else { break };
        if number(extra, 0, 2) == UNICODE_PATH {
            let is_ours = number(block, 1, 4) == u64::from(crc32fast::hash(raw));
            if length < 5 || block[0] > 1 || !is_ours {
                break;
            }
            found = Some(until_nul(&block[5..]));
        }
        extra = &extra[4 + length..];
    }
    found
}

/// Whether an extra field has a name in UTF-8, fitting or not.
pub(super) fn has_unicode_path(mut extra: &[u8]) -> bool {
    while extra.len() >= 4 {
        if number(extra, 0, 2) == UNICODE_PATH {
            return true;
        }
        let length = usize::try_from(number(extra, 2, 2)).unwrap_or(usize::MAX);
        extra = extra.get(4_usize.saturating_add(length)..).unwrap_or_default();
    }
    false
}

/// A name as a reason shows it: printable, and short.
pub(super) fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let cut = if text.chars().count() > SHOWN_CHARS { "…" } else { "" };
    let text: String = text.chars().take(SHOWN_CHARS).collect();
    format!("\"{}{cut}\"", text.escape_debug())
}

/// What lies in the folder that `unzip` has unpacked into.
#[derive(Debug, Default)]
pub(super) struct Folder {
    there: BTreeMap<Vec<u8>, Kind>,
    /// Names that end in `.sql` where the load does not look for one.
    elsewhere: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

impl Folder {
    /// Unpacks an entry into it. Answers whether the load would take it for the script.
    pub(super) fn add(&mut self, name: &Name, origin: Origin) -> Checked<bool> {
        let path = path_of(name, origin)?;
        let (file, folders) = match path.split_last() {
            Some(split) if !name.is_folder() => split,
            Some(_) | None => (&Vec::new(), path.as_slice()),
        };
        let mut place: Vec<u8> = Vec::new();
        for folder in folders {
            place.extend_from_slice(folder);
            if self.there.insert(place.clone(), Kind::Folder) == Some(Kind::File) {
                return Err(in_the_way(name).into());
            }
            place.push(b'/');
        }
        if name.is_folder() {
            return Ok(false);
        }
        place.extend_from_slice(file);
        if self.there.insert(place, Kind::File).is_some() {
            return Err(in_the_way(name).into());
        }
        let is_script = folders.is_empty() && is_script_name(file);
        if !is_script && file.to_ascii_lowercase().ends_with(b".sql") {
            self.elsewhere.get_or_insert_with(|| name.shown());
        }
        Ok(is_script)
    }

    /// What is wrong when `*.sql` is not exactly one file.
    pub(super) fn fault(&self) -> Option<DumpFault> {
        let matching =
            |(path, _): &(&Vec<u8>, &Kind)| !path.contains(&b'/') && is_script_name(path);
        let found: Vec<_> = self.there.iter().filter(matching).collect();
        let detail = match (found.as_slice(), &self.elsewhere) {
            ([(_, Kind::File)], _) => return None,
            ([], Some(name)) => format!(
                " ({name} is not one: the load takes *.sql at the top, in small letters, without \
                 a leading dot); send it there"
            ),
            ([], None) => "; send the one that the database was dumped into".to_owned(),
            (several, _) => {
                let folder = several.iter().find(|(_, kind)| **kind == Kind::Folder);
                let folder = folder
                    .map_or_else(String::new, |(path, _)| format!("; {} is a folder", shown(path)));
                let names: Vec<String> =
                    several.iter().take(4).map(|(path, _)| shown(path)).collect();
                format!(" ({}{folder}); send only the one to be loaded", names.join(", "))
            }
        };
        Some(DumpFault::NotOneSql { count: found.len(), detail })
    }
}

fn in_the_way(name: &Name) -> DumpFault {
    refused(format!(
        "it holds {} twice, or as a file and as a folder: unzip asks which one is meant. Send \
         each file once",
        name.shown()
    ))
}

/// As the shell's `*.sql` has it.
fn is_script_name(name: &[u8]) -> bool {
    name.ends_with(b".sql") && !name.starts_with(b".")
}

/// The folders of a name and, last, its file; of a folder's own name, folders alone.
fn path_of(name: &Name, origin: Origin) -> Checked<Vec<Vec<u8>>> {
    let bytes = &name.bytes;
    if origin.host.0 == FAT && bytes.contains(&b'\\') && !bytes.contains(&b'/') {
        return Err(refused(format!(
            "its folders are written with backslashes ({}): unzip ends with a warning. Send the \
             .sql at the top, or with slashes",
            name.shown()
        ))
        .into());
    }
    if bytes.starts_with(b"/") {
        return Err(refused(format!(
            "the name {} is absolute: unzip ends with a warning. Send the .sql at the top",
            name.shown()
        ))
        .into());
    }
    let pieces: Vec<Vec<u8>> =
        bytes.split(|byte| *byte == b'/').map(|p| kept(p, name, origin)).collect();
    let (last, folders) =
        pieces.split_last().map_or((None, &[][..]), |(last, all)| (Some(last), all));
    let mut path = Vec::new();
    for folder in folders {
        match folder.as_slice() {
            b"" | b"." => {}
            b".." => {
                return Err(refused(format!(
                    "the name {} leads out of the folder: unzip ends with a warning. Send the \
                     .sql at the top",
                    name.shown()
                ))
                .into());
            }
            other => path.push(other.to_vec()),
        }
    }
    if let Some(file) = last.filter(|_| !name.is_folder()) {
        path.push(file_name(file, name)?);
    }
    let too_long = |piece: &Vec<u8>| written_length(piece) > COMPONENT_BYTES_AT_MOST;
    if path.iter().any(too_long) {
        return Err(refused(format!(
            "the name {} is longer than a file's may be: send the .sql under a short name",
            name.shown()
        ))
        .into());
    }
    Ok(path)
}

/// The bytes that `unzip` keeps of a part of a name. Those of an old encoding become others,
/// which are not worth telling apart.
fn kept(piece: &[u8], name: &Name, origin: Origin) -> Vec<u8> {
    let converted = !name.utf8 && [FAT, HPFS, NTFS].contains(&origin.host.0);
    let kept = piece.iter().filter(|byte| matches!(byte, 0x20..=0x7e | 0x80..=0xfe));
    kept.map(|byte| if converted && !byte.is_ascii() { 0xfe } else { *byte }).collect()
}

fn file_name(file: &[u8], name: &Name) -> Checked<Vec<u8>> {
    let versioned = file.iter().rposition(|byte| *byte == b';');
    let version = versioned.filter(|at| file[at + 1..].iter().all(u8::is_ascii_digit));
    match &file[..version.unwrap_or(file.len())] {
        b"" => Err(refused(format!(
            "the name {} has no printable character: send the .sql under a plain name",
            name.shown()
        ))
        .into()),
        b"." => Ok(b"_".to_vec()),
        b".." => Ok(b"__".to_vec()),
        file => Ok(file.to_vec()),
    }
}

/// How long a part of a name may become on the disk.
fn written_length(piece: &[u8]) -> usize {
    piece.iter().map(|byte| if byte.is_ascii() { 1 } else { ESCAPED_BYTES }).sum()
}
