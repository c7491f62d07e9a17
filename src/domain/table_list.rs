//! Tables of the catalog, and lists of them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A catalog table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId {
    /// The Glue database.
    pub database: String,
    /// The table's name in it.
    pub table: String,
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// Some of the tables of a look, as bits: thousands of dates may each lack hundreds of them.
#[derive(Clone, Debug, Default)]
pub struct TableList(Option<Arc<Chosen>>);

#[derive(Clone, Debug)]
struct Chosen {
    all: Arc<[TableId]>,
    bits: Vec<u64>,
}

impl TableList {
    /// Those of `all` whose positions are named.
    #[must_use]
    pub fn of(all: &Arc<[TableId]>, positions: impl IntoIterator<Item = usize>) -> Self {
        let mut bits = Vec::new();
        for position in positions {
            let word = position / TABLE_BITS;
            if bits.len() <= word {
                bits.resize(word + 1, 0_u64);
            }
            bits[word] |= 1 << (position % TABLE_BITS);
        }
        let is_empty = bits.is_empty();
        Self((!is_empty).then(|| Arc::new(Chosen { all: Arc::clone(all), bits })))
    }

    /// The tables, in the look's order.
    pub fn iter(&self) -> impl Iterator<Item = &TableId> {
        self.0.iter().flat_map(|chosen| {
            let is_chosen = |at: usize| {
                let word = chosen.bits.get(at / TABLE_BITS).copied().unwrap_or(0);
                word & (1 << (at % TABLE_BITS)) != 0
            };
            chosen.all.iter().enumerate().filter(move |(at, _)| is_chosen(*at)).map(|(_, id)| id)
        })
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        let words = self.0.iter().flat_map(|chosen| chosen.bits.iter());
        words.map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl PartialEq for TableList {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for TableList {}

impl FromIterator<TableId> for TableList {
    fn from_iter<I: IntoIterator<Item = TableId>>(tables: I) -> Self {
        let all: Arc<[TableId]> = tables.into_iter().collect();
        Self::of(&all, 0..all.len())
    }
}

const TABLE_BITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_the_tables_that_were_chosen() {
        let id = |number: usize| TableId { database: "raw".into(), table: number.to_string() };
        let all: Arc<[TableId]> = (0..70).map(id).collect();
        let list = TableList::of(&all, [3, 69]);
        let names: Vec<&str> = list.iter().map(|id| id.table.as_str()).collect();
        assert_eq!((names, list.len()), (vec!["3", "69"], 2));
        assert!(!list.is_empty() && TableList::of(&all, []).is_empty());
        assert_eq!(list, list.iter().cloned().collect());
        assert_ne!(list, TableList::of(&all, [3]));
        assert_eq!(all[3].to_string(), "raw.3");
    }
}
