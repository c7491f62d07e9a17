//! How a table spells a date in its partition's values and in its folders, learned from a
//! partition that exists and never from names.
//!
//! A sample does not tell everything (`11` may or may not be padded), so each part keeps every
//! spelling that fits: among all of them is the one that the table uses.

use chrono::NaiveDate;

use crate::domain::{DateFormat, PartitionSample};

/// The spellings that a part of a date may have, besides the configured one.
const SPELLINGS: [&str; 9] =
    ["%Y%m%d", "%Y-%m-%d", "%Y%m", "%Y-%m", "%Y", "%m", "%-m", "%d", "%-d"];

/// More spellings of one date than this are no knowledge.
const SPELLINGS_AT_MOST: usize = 64;

/// Texts that each spell a part of a date.
struct Parts<'p>(Vec<Vec<&'p str>>);

impl<'p> Parts<'p> {
    /// `None` when a text is no part of the date, as the code of a region is.
    fn learn<'t>(
        texts: impl Iterator<Item = &'t str>,
        date: NaiveDate,
        format: &'p DateFormat,
    ) -> Option<Self> {
        let parts = texts.map(|text| {
            let known = SPELLINGS.into_iter().chain([format.pattern()]);
            let fits = |spelling: &&str| date.format(spelling).to_string() == text;
            let spellings: Vec<_> = known.filter(fits).collect();
            (!spellings.is_empty()).then_some(spellings)
        });
        parts.collect::<Option<Vec<_>>>().map(Self)
    }

    /// Every spelling of a date.
    fn of(&self, date: NaiveDate) -> Vec<Vec<String>> {
        let mut all = vec![Vec::new()];
        for spellings in &self.0 {
            let mut texts: Vec<String> =
                spellings.iter().map(|spelling| date.format(spelling).to_string()).collect();
            texts.sort_unstable();
            texts.dedup();
            let longer = |begun: &Vec<String>| {
                let begun = begun.clone();
                texts.clone().into_iter().map(move |text| [begun.clone(), vec![text]].concat())
            };
            all = all.iter().flat_map(longer).take(SPELLINGS_AT_MOST + 1).collect();
        }
        all
    }
}

/// Every list of values that a date's partition may have, in the order of the table's keys.
/// None when the sample does not tell.
pub(super) fn values_of(
    sample: &PartitionSample,
    format: &DateFormat,
    date: NaiveDate,
) -> Vec<Vec<String>> {
    let values = sample.values.iter().map(String::as_str);
    let Some(parts) = Parts::learn(values, sample.date, format) else { return Vec::new() };
    let all = parts.of(date);
    if all.len() > SPELLINGS_AT_MOST { Vec::new() } else { all }
}

/// How a table's folders spell a date: `import_year=2026/import_date=20260105/`, or bare values.
pub(super) struct Layout<'p> {
    /// What stands before each value, `import_year=` or nothing.
    labels: Vec<String>,
    parts: Parts<'p>,
}

impl<'p> Layout<'p> {
    /// From the folders of a sampled partition, below its table's.
    pub(super) fn learn(folders: &str, sampled: NaiveDate, format: &'p DateFormat) -> Option<Self> {
        let split = |folder: &str| match folder.split_once('=') {
            Some((key, value)) => (format!("{key}="), value.to_owned()),
            None => (String::new(), folder.to_owned()),
        };
        let (labels, values): (Vec<_>, Vec<_>) =
            folders.trim_end_matches('/').split('/').map(split).unzip();
        let parts = Parts::learn(values.iter().map(String::as_str), sampled, format)?;
        Some(Self { labels, parts })
    }

    /// What every folder of the date's year begins with, when the year comes first.
    pub(super) fn year_prefix(&self, date: NaiveDate) -> Option<String> {
        let label = self.labels.first()?;
        let year = date.format("%Y").to_string();
        let spellings = self.parts.0.first()?;
        let leads = |spelling: &&str| date.format(spelling).to_string().starts_with(&year);
        spellings.iter().all(leads).then(|| format!("{label}{year}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn format() -> DateFormat {
        DateFormat::new("%d.%m.%Y").unwrap()
    }

    fn values(sample: &[&str], sampled: &str, wanted: &str) -> Vec<String> {
        let values = sample.iter().map(|&value| value.to_owned()).collect();
        let sample = PartitionSample { date: date(sampled), values, location: None };
        let all = values_of(&sample, &format(), date(wanted));
        all.iter().map(|values| values.join(" ")).collect()
    }

    #[test]
    fn a_clear_sample_tells_the_one_spelling() {
        let padded = ["2026", "06", "04", "20260604"];
        assert_eq!(values(&padded, "2026-06-04", "2022-01-09"), ["2022 01 09 20220109"]);
        let plain = ["2026", "6", "4", "20260604"];
        assert_eq!(values(&plain, "2026-06-04", "2022-01-09"), ["2022 1 9 20220109"]);
        assert_eq!(values(&["2026-06-04"], "2026-06-04", "2022-11-12"), ["2022-11-12"]);
        assert_eq!(values(&["04.06.2026"], "2026-06-04", "2022-11-12"), ["12.11.2022"]);
    }

    #[test]
    fn a_sample_that_leaves_something_open_tells_all_that_fits() {
        let all = values(&["2026", "11", "04"], "2026-11-04", "2022-01-09");
        assert_eq!(all, ["2022 01 09", "2022 1 09"]);
        let eleventh = values(&["11", "11"], "2026-11-11", "2022-01-09");
        assert!(eleventh.contains(&"1 9".to_owned()) && eleventh.contains(&"09 01".to_owned()));
    }

    #[test]
    fn a_key_that_is_no_part_of_the_date_tells_nothing() {
        assert!(values(&["uk", "20260604"], "2026-06-04", "2022-01-09").is_empty());
    }

    #[test]
    fn the_year_of_folders_is_learned_with_and_without_their_keys() {
        let (format, sampled) = (format(), date("2026-06-04"));
        let year = |folders: &str, sampled: NaiveDate| {
            Layout::learn(folders, sampled, &format)?.year_prefix(date("2022-11-09"))
        };
        assert_eq!(year("year=2026/m=6/date=20260604/", sampled).as_deref(), Some("year=2022"));
        assert_eq!(year("2026-06-04", sampled).as_deref(), Some("2022"));
        assert_eq!(year("04.06.2026", sampled), None, "the day comes first");
        assert_eq!(year("part-0", sampled), None);
    }
}
