//! Sets of dates, on which whole words are asked at once.

use std::ops::Range;

use chrono::{Datelike, NaiveDate};

/// A set of dates as bits, one bit a day: ten years are 464 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DateSet {
    /// Which word of all time the first one is; so the words of all sets lie over each other.
    start: Option<i64>,
    words: Vec<u64>,
}

const WORD_BITS: i64 = 64;

impl DateSet {
    /// A set that holds dates from `base` on most cheaply; earlier dates are still allowed.
    #[must_use]
    pub fn starting_at(base: NaiveDate) -> Self {
        let (word, _) = Self::slot(Self::day_of(base));
        Self { start: Some(word), words: Vec::new() }
    }

    /// A date's number, for who asks many sets about one date: see [`DateSet::contains_day`].
    #[must_use]
    pub fn day_of(date: NaiveDate) -> i64 {
        i64::from(date.num_days_from_ce())
    }

    /// The date with this number.
    pub(super) fn date_of(day: i64) -> Option<NaiveDate> {
        NaiveDate::from_num_days_from_ce_opt(i32::try_from(day).ok()?)
    }

    /// The word of all time that holds a day, and its bit there.
    fn slot(day: i64) -> (i64, u32) {
        let bit = u32::try_from(day.rem_euclid(WORD_BITS)).unwrap_or(0);
        (day.div_euclid(WORD_BITS), bit)
    }

    /// Adds a date.
    pub fn insert(&mut self, date: NaiveDate) {
        let (word, bit) = Self::slot(Self::day_of(date));
        let words = self.make_room(word, word);
        self.words[words.start] |= 1 << bit;
    }

    /// Takes out a date.
    pub fn remove(&mut self, date: NaiveDate) {
        let (word, bit) = Self::slot(Self::day_of(date));
        let index = self.start.and_then(|start| usize::try_from(word - start).ok());
        if let Some(word) = index.and_then(|index| self.words.get_mut(index)) {
            *word &= !(1 << bit);
        }
    }

    /// Adds every date of an inclusive span; one that ends before it begins has none.
    pub fn insert_span(&mut self, span: (NaiveDate, NaiveDate)) {
        self.insert_span_without(span, &Self::default());
    }

    /// Adds every date of an inclusive span that the other set does not hold.
    pub fn insert_span_without(&mut self, (from, to): (NaiveDate, NaiveDate), other: &Self) {
        if from > to {
            return;
        }
        let (first, from_bit) = Self::slot(Self::day_of(from));
        let (last, to_bit) = Self::slot(Self::day_of(to));
        let words = self.make_room(first, last);
        let from_first = u64::MAX << from_bit;
        let to_last = u64::MAX >> (u64::BITS - 1 - to_bit);
        let (at_first, at_last) = (words.start, words.end - 1);
        let outside = (self.words[at_first] & !from_first, self.words[at_last] & !to_last);
        self.merge(words, other, |word, other| word | !other);
        self.words[at_first] = (self.words[at_first] & from_first) | outside.0;
        self.words[at_last] = (self.words[at_last] & to_last) | outside.1;
    }

    /// Makes room for every word of a span, and answers where those lie.
    fn make_room(&mut self, first: i64, last: i64) -> Range<usize> {
        let start = *self.start.get_or_insert(first);
        if let Ok(before @ 1..) = usize::try_from(start - first) {
            self.words.splice(0..0, std::iter::repeat_n(0, before));
            self.start = Some(first);
        }
        let index = |word| usize::try_from(word - start.min(first)).unwrap_or(usize::MAX);
        let room = index(first)..index(last) + 1;
        if self.words.len() < room.end {
            self.words.resize(room.end, 0);
        }
        room
    }

    /// Adds every date of the other set.
    pub fn add_all(&mut self, other: &Self) {
        let (Some(first), Some(last)) = (other.first_day(), other.last_day()) else { return };
        let words = self.make_room(Self::slot(first).0, Self::slot(last).0);
        self.merge(words, other, |word, other| word | other);
    }

    /// Takes out every date that the other set holds.
    pub fn remove_all(&mut self, other: &Self) {
        self.merge(0..self.words.len(), other, |word, other| word & !other);
    }

    /// Changes some of the set's words by those of the other that lie over them.
    fn merge(&mut self, words: Range<usize>, other: &Self, with: impl Fn(u64, u64) -> u64) {
        let Some(start) = self.start else { return };
        let shift = start - other.start.unwrap_or(start);
        let first = i64::try_from(words.start).unwrap_or(i64::MAX) + shift;
        let own = &mut self.words[words];
        let aligned = usize::try_from(first).ok();
        let aligned = aligned.and_then(|first| other.words.get(first..first + own.len()));
        if let Some(others) = aligned {
            for (word, other) in own.iter_mut().zip(others) {
                *word = with(*word, *other);
            }
            return;
        }
        for (index, word) in (first..).zip(own) {
            let other = usize::try_from(index).ok().and_then(|index| other.words.get(index));
            *word = with(*word, other.copied().unwrap_or(0));
        }
    }

    /// Whether the date is in the set.
    #[must_use]
    pub fn contains(&self, date: NaiveDate) -> bool {
        self.contains_day(Self::day_of(date))
    }

    /// Whether the date with this number is in the set.
    #[must_use]
    pub fn contains_day(&self, day: i64) -> bool {
        let Some(start) = self.start else { return false };
        let (word, bit) = Self::slot(day);
        let held = usize::try_from(word - start).ok().and_then(|index| self.words.get(index));
        held.is_some_and(|bits| bits & (1 << bit) != 0)
    }

    /// Every date of the set, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = NaiveDate> + '_ {
        let start = self.start.unwrap_or_default();
        (start..).zip(&self.words).flat_map(|(index, word)| {
            let held = (0..WORD_BITS).filter(move |bit| word & (1 << bit) != 0);
            held.filter_map(move |bit| Self::date_of(index * WORD_BITS + bit))
        })
    }

    /// The oldest date.
    #[must_use]
    pub fn first(&self) -> Option<NaiveDate> {
        self.first_day().and_then(Self::date_of)
    }

    /// The newest date.
    #[must_use]
    pub fn last(&self) -> Option<NaiveDate> {
        self.last_day().and_then(Self::date_of)
    }

    fn first_day(&self) -> Option<i64> {
        let (index, word) = (self.start?..).zip(&self.words).find(|(_, word)| **word != 0)?;
        Some(index * WORD_BITS + i64::from(word.trailing_zeros()))
    }

    fn last_day(&self) -> Option<i64> {
        let at = self.words.iter().rposition(|word| *word != 0)?;
        let bit = WORD_BITS - 1 - i64::from(self.words[at].leading_zeros());
        Some((self.start? + i64::try_from(at).ok()?) * WORD_BITS + bit)
    }

    /// How many dates it holds that are later than this one.
    #[must_use]
    pub fn len_after(&self, date: NaiveDate) -> usize {
        let (word, bit) = Self::slot(Self::day_of(date));
        let later =
            (self.start.unwrap_or_default()..).zip(&self.words).skip_while(|it| it.0 < word);
        let later = later.map(|(index, bits)| {
            if index == word { bits & !(u64::MAX >> (u64::BITS - 1 - bit)) } else { *bits }
        });
        later.map(|bits| bits.count_ones() as usize).sum()
    }

    /// How many dates it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
}

impl FromIterator<NaiveDate> for DateSet {
    fn from_iter<I: IntoIterator<Item = NaiveDate>>(dates: I) -> Self {
        let mut set = Self::default();
        for date in dates {
            set.insert(date);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_set_is_empty_until_a_date_is_in_it() {
        let (first, last) = ("2026-01-01".parse().unwrap(), "2026-03-31".parse().unwrap());
        let mut set = DateSet::starting_at(first);
        assert!(set.is_empty());
        set.insert_span((first, last));
        assert_eq!(
            (set.is_empty(), set.len(), set.first(), set.last()),
            (false, 90, Some(first), Some(last))
        );
    }

    proptest! {
        #[test]
        fn whole_words_say_what_single_dates_say(
            days in proptest::collection::vec(-300_i64..300, 0..80),
            before in proptest::collection::vec(-300_i64..300, 0..80),
            from in -300_i64..300, to in -300_i64..300,
        ) {
            let origin = NaiveDate::from_ymd_opt(2022, 1, 1).unwrap();
            let day = |day: i64| origin + chrono::Duration::days(day);
            let other: DateSet = days.iter().map(|d| day(*d)).collect();
            let mut set: DateSet = before.iter().map(|d| day(*d)).collect();
            let mut model: BTreeSet<_> = set.iter().collect();
            set.insert_span_without((day(from), day(to)), &other);
            model.extend((from..=to).map(day).filter(|date| !other.contains(*date)));
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model.clone());
            set.remove_all(&other);
            model.retain(|date| !other.contains(*date));
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model.clone());
            set.add_all(&other);
            model.extend(other.iter());
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model);
        }

        #[test]
        fn a_date_set_is_a_set(days in proptest::collection::vec(-4000_i64..4000, 0..60)) {
            let origin = NaiveDate::from_ymd_opt(2022, 1, 1).unwrap();
            let dates: Vec<_> = days.iter().map(|d| origin + chrono::Duration::days(*d)).collect();
            let set: DateSet = dates.iter().copied().collect();
            let model: BTreeSet<_> = dates.iter().copied().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len(), model.len());
            for date in &dates {
                prop_assert_eq!(set.len_after(*date), model.range(*date..).count() - 1);
            }
            prop_assert_eq!(set.first(), model.first().copied());
            prop_assert_eq!(set.last(), model.last().copied());
            if let Some(date) = dates.first() {
                let mut without = set.clone();
                without.remove(*date);
                prop_assert!(!without.contains(*date) && without.len() + 1 == model.len());
            }
            for date in &dates {
                prop_assert!(set.contains(*date));
                prop_assert_eq!(set.contains(*date + chrono::Duration::days(1)), model.contains(&(*date + chrono::Duration::days(1))));
            }
        }
    }
}
