//! The rows of the field's cases, one by one; `tests/unzip` holds the verdict against the real
//! `unzip`.

use proptest::prelude::*;

use super::*;
use crate::domain::testing::cases;

/// An entry to be written: both headers say what is here.
#[derive(Clone)]
struct Made<'a> {
    name: &'a str,
    data: &'a [u8],
    method: u16,
    flags: u16,
    system: u8,
    attributes: u32,
}

fn file<'a>(name: &'a str, data: &'a [u8]) -> Made<'a> {
    Made { name, data, method: 0, flags: 0, system: 3, attributes: 0o100_644 << 16 }
}

fn header(entry: &Made<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [20, entry.flags, entry.method, 0, 0x21] {
        bytes.extend(field.to_le_bytes());
    }
    let size = u32::try_from(entry.data.len()).unwrap();
    for field in [crc32fast::hash(entry.data), size, size] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn zip(entries: &[Made<'_>]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        directory.extend(*b"PK\x01\x02\x14");
        directory.push(entry.system);
        directory.extend(header(entry));
        directory.extend([0; 6]);
        directory.extend(entry.attributes.to_le_bytes());
        directory.extend(u32::try_from(file.len()).unwrap().to_le_bytes());
        directory.extend(entry.name.as_bytes());
        file.extend(*b"PK\x03\x04");
        file.extend(header(entry));
        file.extend(entry.name.as_bytes());
        file.extend(entry.data);
    }
    let offset = u32::try_from(file.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap();
    file.extend(&directory);
    file.extend(*b"PK\x05\x06\0\0\0\0");
    file.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    file.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    file.extend(offset.to_le_bytes());
    file.extend([0, 0]);
    file
}

fn good() -> Vec<u8> {
    zip(&[file("liberator.sql", b"SELECT 1;")])
}

fn is_good(bytes: Vec<u8>) {
    let expected = ScriptId { crc32: crc32fast::hash(b"SELECT 1;"), size: 9 };
    assert_eq!(judge_bytes(&bytes.into()), Ok(expected));
}

fn says(bytes: Vec<u8>, words: &[&str]) {
    let fault = judge_bytes(&bytes.into()).expect_err("a bad dump").to_string();
    for words in words {
        assert!(fault.contains(words), "{words}: {fault}");
    }
}

#[test]
fn one_script_at_the_top_is_good_and_known_by_its_checksum() {
    is_good(good());
}

#[test]
fn a_script_in_a_folder_is_not_found_by_the_load() {
    let sql = b"SELECT 1;";
    says(zip(&[file("dump/liberator.sql", sql)]), &["0 .sql", "dump/liberator.sql", "at the top"]);
    says(zip(&[file("LIBERATOR.SQL", sql)]), &["0 .sql", "small letters"]);
    says(zip(&[file(".sql", sql)]), &["0 .sql", "leading dot"]);
    says(zip(&[file("a.txt", sql)]), &["0 .sql"]);
}

#[test]
fn a_folder_that_matches_beside_the_script_is_ambiguous() {
    let bytes = zip(&[file("x.sql/readme.txt", b"?"), file("liberator.sql", b"SELECT 1;")]);
    says(bytes, &["2 .sql", "\"x.sql\" is a folder"]);
    says(zip(&[file("x.sql/", b"")]), &["1 .sql", "is a folder"]);
}

#[test]
fn two_scripts_at_the_top_are_ambiguous() {
    says(zip(&[file("a.sql", b"1"), file("b.sql", b"2")]), &["2 .sql", "\"a.sql\", \"b.sql\""]);
}

#[test]
fn scripts_that_the_load_does_not_see_do_no_harm() {
    let script = file("liberator.sql", b"SELECT 1;");
    for other in ["__MACOSX/._liberator.sql", "._liberator.sql", "old/liberator.sql", "README.SQL"]
    {
        is_good(zip(&[script.clone(), file(other, b"2")]));
    }
    is_good(zip(&[file("folder/", b""), script]));
}

#[test]
fn a_method_that_unzip_does_not_know_is_named() {
    for (method, name) in [(14, "LZMA"), (93, "zstd"), (95, "xz"), (98, "PPMd"), (77, "method 77")]
    {
        let entry = Made { method, ..file("a.sql", b"12345") };
        says(zip(&[entry]), &[name, "send it deflated"]);
    }
    for method in [8, 9, 12] {
        let entry = Made { method, ..file("liberator.sql", b"SELECT 1;") };
        is_good(zip(&[entry]));
    }
}

#[test]
fn an_encrypted_entry_cannot_be_unpacked() {
    says(zip(&[Made { flags: 1, ..file("a.sql", b"1") }]), &["encrypted", "without one"]);
}

#[test]
fn several_disks_cannot_be_unpacked() {
    let mut bytes = good();
    let end = bytes.len() - 22;
    bytes[end + 4] = 1;
    says(bytes, &["several disks", "as one file"]);
}

#[test]
fn a_name_that_leads_elsewhere_makes_unzip_complain() {
    let sql = file("liberator.sql", b"SELECT 1;");
    for (name, words) in [("../a", "leads out"), ("/etc/a", "absolute"), ("a/../b", "leads out")] {
        says(zip(&[sql.clone(), file(name, b"1")]), &[words]);
    }
    let dos = Made { system: 0, ..file("dump\\a.txt", b"1") };
    says(zip(&[sql.clone(), dos]), &["backslashes"]);
    is_good(zip(&[sql, file("un\\ix", b"1")]));
}

#[test]
fn a_name_that_comes_twice_makes_unzip_ask() {
    let sql = file("liberator.sql", b"SELECT 1;");
    says(zip(&[sql.clone(), sql.clone()]), &["twice"]);
    says(zip(&[sql.clone(), file("./liberator.sql", b"1")]), &["twice"]);
    says(
        zip(&[sql.clone(), file("a", b"1"), file("a/b", b"1")]),
        &["twice, or as a file and as a"],
    );
    says(zip(&[sql, file("liberator\u{1}.sql", b"1")]), &["twice"]);
}

#[test]
fn a_symbolic_link_is_no_script() {
    let link = Made { attributes: 0o120_777 << 16, ..file("a.sql", b"b") };
    says(zip(&[link]), &["symbolic link"]);
}

#[test]
fn stray_bytes_behind_the_archive_do_no_harm() {
    is_good([good(), b"\n".to_vec()].concat());
    is_good([good(), vec![0; 64]].concat());
    is_good([good(), vec![b'#'; 40_000]].concat());
    says([good(), b"PK\x05\x06".to_vec()].concat(), &["end of central directory is cut off"]);
}

#[test]
fn bytes_before_the_archive_make_unzip_complain() {
    says([b"#!".to_vec(), good()].concat(), &["2 bytes stand before", "Send the zip alone"]);
    says([good(), good()].concat(), &["bytes stand before"]);
}

#[test]
fn bytes_lost_or_added_in_the_middle_show() {
    let bytes = good();
    for at in 1..bytes.len() - 22 {
        let lost = [&bytes[..at], &bytes[at + 1..]].concat();
        assert!(judge_bytes(&lost.into()).is_err(), "without byte {at}");
        let added = [&bytes[..at], b"?", &bytes[at..]].concat();
        assert!(judge_bytes(&added.into()).is_err(), "with a byte at {at}");
    }
}

#[test]
fn offsets_that_do_not_meet_a_header_show() {
    let mut bytes = good();
    let offset = bytes.len() - 22 - "liberator.sql".len() - 4;
    bytes[offset] = 1;
    says(bytes, &["does not begin where its directory says", "Send it again"]);
}

#[test]
fn headers_that_contradict_the_directory_show() {
    for at in [6, 8, 14, 18, 22, 30] {
        let mut bytes = good();
        bytes[at] ^= 0x08;
        assert!(judge_bytes(&bytes.into()).is_err(), "local byte {at}");
    }
}

#[test]
fn a_truncated_zip_is_refused() {
    let bytes = good();
    for length in 0..bytes.len() {
        assert!(judge_bytes(&bytes[..length].to_vec().into()).is_err(), "{length} bytes");
    }
}

#[test]
fn an_empty_script_or_archive_is_refused() {
    says(zip(&[file("a.sql", b"")]), &["empty"]);
    says(zip(&[]), &["holds no files"]);
}

#[test]
fn a_bomb_is_refused_by_its_own_figures() {
    let mut bytes = good();
    let entry = bytes.len() - 22 - "liberator.sql".len() - 46;
    bytes[entry + 24..entry + 28].copy_from_slice(&4_000_000_000_u32.to_le_bytes());
    assert!(matches!(judge_bytes(&bytes.into()), Err(DumpFault::Bomb { .. })));
}

#[test]
fn entries_over_each_other_are_refused() {
    let mut bytes =
        zip(&[file("liberator.sql", b"SELECT 1;"), file("liberator.txt", b"SELECT 1;")]);
    // The second entry is laid over the first one.
    let length = "liberator.sql".len();
    let second = bytes.len() - 22 - length - 46;
    bytes[second + 42..second + 46].fill(0);
    bytes[second + 46..second + 46 + length].copy_from_slice(b"liberator.sql");
    says(bytes, &["twice"]);
    let mut inside = zip(&[file("liberator.sql", b"SELECT 1;")]);
    let nested = zip(&[file("b", b"1")]);
    let local = &nested[..32];
    let mut outer =
        zip(&[file("liberator.sql", &[local, &b"SELECT 1;"[..]].concat()), file("b", b"1")]);
    let second = outer.len() - 22 - 1 - 46;
    outer[second + 42..second + 46].copy_from_slice(&43_u32.to_le_bytes());
    says(outer, &["over each other"]);
    inside.truncate(1);
    assert!(judge_bytes(&inside.into()).is_err());
}

#[test]
fn a_comment_does_no_harm_unless_it_looks_like_an_end_or_stops_unzip() {
    let with = |comment: &[u8]| {
        let mut bytes = good();
        let length = u16::try_from(comment.len()).unwrap().to_le_bytes();
        let at = bytes.len() - 2;
        bytes[at..].copy_from_slice(&length);
        bytes.extend(comment);
        bytes
    };
    is_good(with(b"made by hand"));
    is_good(with(&vec![b'#'; 0xffff]));
    says(with(b"stop\x13here"), &["Control-S"]);
    let fake = [&b"PK\x05\x06"[..], &[0; 30]].concat();
    assert!(judge_bytes(&with(&fake).into()).is_err());
    let mut cut = with(b"made by hand");
    cut.truncate(cut.len() - 1);
    says(cut, &["comment is cut off"]);
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_bytes_are_judged_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = judge_bytes(&bytes.into());
    }

    #[test]
    fn any_damage_to_a_good_zip_is_judged_without_panic(
        damage in proptest::collection::vec((0_usize..200, any::<u8>()), 1..6),
    ) {
        let mut bytes = zip(&[file("liberator.sql", b"SELECT 1;"), file("x/y", b"z")]);
        let last = bytes.len() - 1;
        for (at, to) in damage {
            bytes[at.min(last)] = to;
        }
        let _ = judge_bytes(&bytes.into());
    }
}
