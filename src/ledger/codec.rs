//! Entries and checkpoints as bytes.
//!
//! Reading tells three faults apart, because a person does something else about each:
//! a broken file is restored, an entry of a newer gapmend asks for an upgrade, and a
//! checkpoint that does not fit is simply not used.
//!
//! An entry ends with a checksum of its own text, so that a byte that changed on the disk is
//! never taken for an entry of a newer gapmend, nor for another fact. Entries of gapmend 0.1.0
//! have none.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event::{ENTRY_VERSION, Entry};
use super::state::State;

/// Why an entry cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntryFault {
    /// It is not a whole JSON document, or not the entry that its name says.
    Broken(String),
    /// It is well-formed, but says something that this gapmend does not know.
    NotUnderstood(String),
    /// Its format is newer.
    NewerVersion(u32),
}

/// The part of an entry that every version has.
#[derive(Deserialize)]
struct Header {
    v: u32,
}

#[derive(Deserialize)]
struct Mark {
    nonce: String,
}

/// What is kept as a checkpoint. It is only believed by the very version that wrote it: a
/// state with a new field must come from the entries, not from a cache without it.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    gapmend: String,
    /// [`STATE_SHAPE`] of whoever wrote it.
    #[serde(default)]
    shape: u32,
    /// The nonce of the last entry in it: tells another history of the same length.
    nonce: String,
    state: State,
}

const GAPMEND_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Raised with every change of [`State`], for those who run what was built between two versions.
const STATE_SHAPE: u32 = 2;

pub(super) fn entry_to_bytes(entry: &Entry) -> Result<Bytes, EntryFault> {
    let mut bytes =
        serde_json::to_vec_pretty(entry).map_err(|e| EntryFault::Broken(e.to_string()))?;
    bytes.truncate(bytes.len() - END.len());
    let sum = checksum(&bytes);
    bytes.extend_from_slice(SUM_BEGINS);
    bytes.extend_from_slice(sum.as_bytes());
    bytes.extend_from_slice(SUM_ENDS);
    Ok(bytes.into())
}

/// The end of a pretty entry, before which its checksum is written.
const END: &[u8] = b"\n}";
const SUM_BEGINS: &[u8] = b",\n  \"sum\": \"";
const SUM_ENDS: &[u8] = b"\"\n}\n";
/// Enough to find damage; nobody is kept from forging by it.
const SUM_BYTES: usize = 8;

/// Of an entry's text up to its last field.
fn checksum(text: &[u8]) -> String {
    let digest = Sha256::digest(text);
    let head: [u8; SUM_BYTES] = std::array::from_fn(|index| digest[index]);
    format!("{:016x}", u64::from_be_bytes(head))
}

/// Whether the text is as it was written; `None` for an entry without a checksum.
fn is_as_written(bytes: &[u8]) -> Option<bool> {
    let text = bytes.strip_suffix(SUM_ENDS)?;
    let (text, sum) = text.split_at_checked(text.len().checked_sub(2 * SUM_BYTES)?)?;
    let text = text.strip_suffix(SUM_BEGINS)?;
    Some(checksum(text).as_bytes() == sum)
}

pub(super) fn entry_from_bytes(seq: u64, bytes: &[u8]) -> Result<Entry, EntryFault> {
    if is_as_written(bytes) == Some(false) {
        return Err(changed(bytes));
    }
    let entry = serde_json::from_slice::<Entry>(bytes).map_err(|error| fault_of(bytes, &error))?;
    if entry.v > ENTRY_VERSION {
        return Err(EntryFault::NewerVersion(entry.v));
    }
    if entry.seq != seq {
        return Err(EntryFault::Broken(format!("it calls itself entry {}", entry.seq)));
    }
    Ok(entry)
}

/// The text is not what was written, so nothing that it says is believed.
fn changed(bytes: &[u8]) -> EntryFault {
    let mut message = "its text does not match its checksum".to_owned();
    // One bit that flipped cannot have made it.
    if let Ok(Header { v }) = serde_json::from_slice::<Header>(bytes)
        && v > ENTRY_VERSION
        && (v ^ ENTRY_VERSION).count_ones() > 1
    {
        let newer = "if a newer gapmend did write it, upgrade this one";
        message = format!("{message} (it says format version {v}: {newer})");
    }
    EntryFault::Broken(message)
}

fn fault_of(bytes: &[u8], error: &serde_json::Error) -> EntryFault {
    match serde_json::from_slice::<Header>(bytes) {
        Ok(header) if header.v > ENTRY_VERSION => EntryFault::NewerVersion(header.v),
        Ok(_) => EntryFault::NotUnderstood(error.to_string()),
        Err(_) => EntryFault::Broken(error.to_string()),
    }
}

/// Whether these bytes are the entry that was written with this nonce.
pub(super) fn has_nonce(bytes: &[u8], nonce: &str) -> bool {
    serde_json::from_slice::<Mark>(bytes).is_ok_and(|mark| mark.nonce == nonce)
}

pub(super) fn checkpoint_to_bytes(state: &State, nonce: &str) -> Result<Bytes, String> {
    let checkpoint = Checkpoint {
        gapmend: GAPMEND_VERSION.to_owned(),
        shape: STATE_SHAPE,
        nonce: nonce.to_owned(),
        state: state.clone(),
    };
    serde_json::to_vec(&checkpoint).map(Bytes::from).map_err(|e| e.to_string())
}

/// The state and the nonce of its last entry; `Err` says why it is not believed.
pub(super) fn checkpoint_from_bytes(seq: u64, bytes: &[u8]) -> Result<(State, String), String> {
    let checkpoint: Checkpoint = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if checkpoint.gapmend != GAPMEND_VERSION || checkpoint.shape != STATE_SHAPE {
        return Err(format!("gapmend {} wrote it", checkpoint.gapmend));
    }
    if checkpoint.state.seq != seq {
        return Err(format!("it ends with entry {}", checkpoint.state.seq));
    }
    Ok((checkpoint.state, checkpoint.nonce))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::event::Event;
    use super::super::testing::any_event;
    use super::*;
    use crate::domain::testing::cases;

    fn entry() -> Entry {
        Entry {
            v: ENTRY_VERSION,
            seq: 7,
            at: "2022-06-13T04:00:00.123456789Z".parse().unwrap(),
            epoch: 2,
            writer: "host/1 run".to_owned(),
            nonce: "abc".to_owned(),
            events: vec![Event::Left {}],
        }
    }

    #[test]
    fn an_entry_survives_its_bytes() {
        let bytes = entry_to_bytes(&entry()).unwrap();
        assert_eq!(entry_from_bytes(7, &bytes).unwrap(), entry());
        assert!(has_nonce(&bytes, "abc"));
        assert!(!has_nonce(&bytes, "abd"));
    }

    #[test]
    fn a_torn_or_empty_entry_is_broken_wherever_it_ends() {
        let bytes = entry_to_bytes(&entry()).unwrap();
        for length in 0..bytes.len() - 2 {
            let fault = entry_from_bytes(7, &bytes[..length]).unwrap_err();
            assert!(matches!(fault, EntryFault::Broken(_)), "at {length}: {fault:?}");
            assert!(!has_nonce(&bytes[..length], "abc"));
        }
    }

    #[test]
    fn an_entry_under_another_number_is_broken() {
        let bytes = entry_to_bytes(&entry()).unwrap();
        assert!(matches!(entry_from_bytes(8, &bytes), Err(EntryFault::Broken(_))));
    }

    /// As gapmend 0.1.0 wrote it, or a person would.
    fn without_sum() -> String {
        serde_json::to_string_pretty(&entry()).unwrap()
    }

    #[test]
    fn a_byte_that_changed_is_damage_wherever_it_is_and_never_a_newer_gapmend() {
        let bytes = entry_to_bytes(&entry()).unwrap();
        let end = bytes.len() - SUM_ENDS.len() - 2 * SUM_BYTES - SUM_BEGINS.len();
        for at in 0..end {
            for bit in 0..7 {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << bit;
                let read = entry_from_bytes(7, &flipped);
                assert!(matches!(read, Err(EntryFault::Broken(_))), "{at}.{bit}: {read:?}");
            }
        }
    }

    #[test]
    fn an_entry_of_gapmend_0_1_is_read_without_a_checksum() {
        assert_eq!(entry_from_bytes(7, without_sum().as_bytes()).unwrap(), entry());
    }

    #[test]
    fn a_newer_format_is_told_from_an_unknown_kind() {
        let text = without_sum();
        let unknown = text.replace("\"left\"", "\"levitated\"");
        assert!(matches!(
            entry_from_bytes(7, unknown.as_bytes()),
            Err(EntryFault::NotUnderstood(why)) if why.contains("levitated")
        ));
        let newer = text.replace("\"v\": 1", "\"v\": 2");
        assert_eq!(entry_from_bytes(7, newer.as_bytes()), Err(EntryFault::NewerVersion(2)));
        let both = newer.replace("\"left\"", "\"levitated\"");
        assert_eq!(entry_from_bytes(7, both.as_bytes()), Err(EntryFault::NewerVersion(2)));
    }

    #[test]
    fn a_field_that_a_newer_gapmend_added_is_passed_over() {
        let text = without_sum();
        let wider = text.replace("\"v\": 1,", "\"v\": 1, \"mood\": \"good\",");
        assert_eq!(entry_from_bytes(7, wider.as_bytes()).unwrap(), entry());
    }

    #[test]
    fn a_checkpoint_of_another_version_is_not_believed() {
        let state = State { seq: 9, ..State::default() };
        let bytes = checkpoint_to_bytes(&state, "n").unwrap();
        assert_eq!(checkpoint_from_bytes(9, &bytes).unwrap(), (state, "n".to_owned()));
        assert!(checkpoint_from_bytes(10, &bytes).is_err());
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let other = text.replace(GAPMEND_VERSION, "0.0.0-other");
        assert!(checkpoint_from_bytes(9, other.as_bytes()).is_err());
    }

    /// Bytes that are overwritten, cut out or put in.
    fn damaged(bytes: &[u8], damages: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (at, how, byte) in damages {
            let at = at.index(bytes.len().max(1));
            match how % 3 {
                0 if at < bytes.len() => bytes[at] = *byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at, *byte),
            }
        }
        bytes
    }

    proptest! {
        #![proptest_config(cases(1500))]

        /// Whatever stands in a ledger is an entry or a fault that is told, and an entry that
        /// can be read is applied or refused; a checkpoint likewise.
        #[test]
        fn damaged_bytes_are_told_and_nobody_panics(
            events in prop::collection::vec(any_event(), 0..3),
            damages in prop::collection::vec(
                (any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 0..6),
        ) {
            let whole = entry_to_bytes(&Entry { seq: 1, events, ..entry() }).unwrap();
            let bytes = damaged(&whole, &damages);
            let mut state = State::default();
            match entry_from_bytes(1, &bytes) {
                Ok(entry) => drop(state.apply(&entry)),
                Err(_) => prop_assert_ne!(&bytes[..], &whole[..]),
            }
            let kept = checkpoint_to_bytes(&state, "n").unwrap();
            drop(checkpoint_from_bytes(state.seq, &damaged(&kept, &damages)));
            prop_assert!(checkpoint_from_bytes(state.seq, &kept).is_ok());
        }

        #[test]
        fn any_bytes_are_told_and_nobody_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(entry_from_bytes(1, &bytes).is_err());
            prop_assert!(checkpoint_from_bytes(1, &bytes).is_err());
            prop_assert!(!has_nonce(&bytes, "abc"));
        }
    }
}
