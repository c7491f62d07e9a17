//! Tiny zips, made by hand: stored entries, right checksums, a central directory.
//!
//! Large dumps are declared: their head and tail are real and the middle is zeros that
//! nobody stores, so that a ranged read of the end of central directory still finds one.

use bytes::Bytes;
use chrono::NaiveDate;

use super::profile::DumpKind;
use super::s3::Body;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const END_OF_CENTRAL: u32 = 0x0605_4b50;
const END_OF_CENTRAL_BYTES: usize = 22;
const CENTRAL_HEADER_BYTES: usize = 46;
const LOCAL_HEADER_BYTES: u64 = 30;
/// 1980-01-01 00:00 as DOS writes it; nobody reads it.
const DOS_DATE: u16 = 0x0021;
/// What a dump's first line begins with; the date follows.
const FIRST_LINE: &str = "-- liberator dump of ";

/// An entry as the central directory describes it.
struct Described<'a> {
    name: &'a str,
    crc: u32,
    size: u32,
    offset: u32,
}

/// A zip with these files, stored.
#[must_use]
pub fn stored(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = Vec::new();
    let mut described = Vec::new();
    for (name, content) in files {
        let (crc, size) = (crc32fast::hash(content), to_u32(content.len()));
        let entry = Described { name, crc, size, offset: to_u32(zip.len()) };
        zip.extend(local_header(&entry));
        zip.extend_from_slice(content);
        described.push(entry);
    }
    let offset = to_u32(zip.len());
    zip.extend(central_directory(&described, offset));
    zip
}

/// A whole dump of a date: one `.sql` of about `size` bytes that says which date it is of.
#[must_use]
pub fn dump_of(date: NaiveDate, size: usize) -> Vec<u8> {
    stored(&[(&sql_name(date), &sql_of(date, size))])
}

/// A whole dump whose `.sql` has `size` bytes, all but the first line zeros that nobody stores.
#[must_use]
pub fn declared_dump_of(date: NaiveDate, size: u32) -> Body {
    let line = first_line(date);
    let zeros = u64::from(size).saturating_sub(line.len() as u64);
    let name = sql_name(date);
    let crc = crc_with_zeros(line.as_bytes(), zeros);
    let size = to_u32(line.len()).saturating_add(u32::try_from(zeros).unwrap_or(u32::MAX));
    let entry = Described { name: &name, crc, size, offset: 0 };
    let mut head = local_header(&entry);
    head.extend_from_slice(line.as_bytes());
    let offset = to_u32(head.len()).saturating_add(u32::try_from(zeros).unwrap_or(u32::MAX));
    let tail = central_directory(&[entry], offset);
    Body::declared(Bytes::from(head), zeros, Bytes::from(tail))
}

/// What the supplier makes of a date, usually with about `usual_size` bytes; `None` when it delivers nothing.
#[must_use]
pub fn dump(kind: DumpKind, date: NaiveDate, usual_size: usize) -> Option<Body> {
    let size = size_of_day(date, usual_size);
    match kind {
        DumpKind::Whole | DumpKind::Late(_) => Some(dump_of(date, size).into()),
        DumpKind::Missing => None,
        DumpKind::Truncated => {
            let mut bytes = dump_of(date, size);
            bytes.truncate(bytes.len() - END_OF_CENTRAL_BYTES - CENTRAL_HEADER_BYTES);
            Some(bytes.into())
        }
        DumpKind::TwoSql => {
            let half = sql_of(date, size / 2);
            Some(stored(&[(&sql_name(date), &half), ("liberator_extra.sql", &half)]).into())
        }
        DumpKind::Tiny => Some(Body::from("PK")),
        DumpKind::CopyOf(other) => Some(dump_of(other, size_of_day(other, usual_size)).into()),
    }
}

/// A date's size: about the same every day, never quite.
fn size_of_day(date: NaiveDate, size: usize) -> usize {
    use chrono::Datelike;
    let wobble = usize::try_from(date.num_days_from_ce().unsigned_abs() % 17).unwrap_or(0);
    size + size * wobble / 200
}

/// What a load finds in a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// How many `.sql` there are.
    pub sql_files: usize,
    /// The date that the first one says it is of.
    pub date: Option<NaiveDate>,
}

/// Reads a dump as `unzip` would; an error in words when it is no whole zip.
pub fn read(body: &Body) -> Result<Contents, String> {
    let tail_from = body.len().saturating_sub(64 * 1024);
    let tail = body.range(tail_from, 64 * 1024);
    let end = find_end(&tail).ok_or("End-of-central-directory signature not found")?;
    let (size, offset) = (u32_at(&tail, end + 12), u32_at(&tail, end + 16));
    let central = body.range(offset.into(), size.into());
    let mut contents = Contents { sql_files: 0, date: None };
    let mut at = 0;
    while at + CENTRAL_HEADER_BYTES <= central.len() {
        if u32_at(&central, at) != CENTRAL_HEADER {
            return Err("bad central directory".to_owned());
        }
        let name_bytes = usize::from(u16_at(&central, at + 28));
        let extra_bytes = usize::from(u16_at(&central, at + 30) + u16_at(&central, at + 32));
        let name_from = at + CENTRAL_HEADER_BYTES;
        let name = central.get(name_from..name_from + name_bytes).unwrap_or_default();
        if name.ends_with(b".sql") {
            contents.sql_files += 1;
            let content = u64::from(u32_at(&central, at + 42)) + LOCAL_HEADER_BYTES;
            contents.date = contents.date.or(date_at(body, content + name_bytes as u64));
        }
        at = name_from + name_bytes + extra_bytes;
    }
    Ok(contents)
}

fn date_at(body: &Body, offset: u64) -> Option<NaiveDate> {
    let line = body.range(offset, FIRST_LINE.len() as u64 + 10);
    let text = std::str::from_utf8(&line).ok()?;
    text.strip_prefix(FIRST_LINE)?.parse().ok()
}

fn find_end(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(END_OF_CENTRAL_BYTES)?;
    (0..=last).rev().find(|at| u32_at(tail, *at) == END_OF_CENTRAL)
}

fn sql_name(date: NaiveDate) -> String {
    date.format("liberator_dump_%Y%m%d.sql").to_string()
}

fn first_line(date: NaiveDate) -> String {
    format!("{FIRST_LINE}{date}\n")
}

fn sql_of(date: NaiveDate, size: usize) -> Vec<u8> {
    let mut sql = first_line(date).into_bytes();
    let row = b"INSERT INTO pcn VALUES (1, 'paid');\n";
    sql.extend(row.iter().copied().cycle().take(size.saturating_sub(sql.len())));
    sql
}

fn crc_with_zeros(start: &[u8], zeros: u64) -> u32 {
    let block = vec![0_u8; 1 << 16];
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(start);
    let mut left = zeros;
    while left > 0 {
        let count = left.min(block.len() as u64);
        hasher.update(&block[..usize::try_from(count).unwrap_or(block.len())]);
        left -= count;
    }
    hasher.finalize()
}

fn local_header(entry: &Described<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(LOCAL_HEADER.to_le_bytes());
    bytes.extend(shared_fields(entry));
    bytes.extend_from_slice(entry.name.as_bytes());
    bytes
}

/// Version needed … length of the extra field: the same in both headers.
fn shared_fields(entry: &Described<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [10_u16, 0, 0, 0, DOS_DATE] {
        bytes.extend(field.to_le_bytes());
    }
    for field in [entry.crc, entry.size, entry.size] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(to_u16(entry.name.len()).to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes
}

fn central_directory(entries: &[Described<'_>], offset: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend(CENTRAL_HEADER.to_le_bytes());
        bytes.extend(20_u16.to_le_bytes());
        bytes.extend(shared_fields(entry));
        // Comment length, disk number, internal attributes, external attributes.
        bytes.extend([0_u8; 10]);
        bytes.extend(entry.offset.to_le_bytes());
        bytes.extend_from_slice(entry.name.as_bytes());
    }
    let size = to_u32(bytes.len());
    bytes.extend(END_OF_CENTRAL.to_le_bytes());
    for field in [0, 0, to_u16(entries.len()), to_u16(entries.len())] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(size.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let field = bytes.get(at..at + 2).and_then(|field| field.try_into().ok());
    field.map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..at + 4).and_then(|field| field.try_into().ok());
    field.map_or(0, u32::from_le_bytes)
}

fn to_u16(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
