//! Whatever the text: an answer, never a panic; and what is written is what is meant.

use std::time::Duration;

use chrono::{Days, NaiveDate};
use proptest::prelude::*;

use super::*;
use crate::config::words::{ByteSize, LocalTime, SizeBand, Wait};
use crate::config::written::FromText;
use crate::domain::DateSpan;
use crate::domain::testing::cases;

fn a_date() -> impl Strategy<Value = NaiveDate> {
    (0_u64..33_000).prop_map(|days| "2000-01-01".parse::<NaiveDate>().unwrap() + Days::new(days))
}

fn read<T: FromText>(text: &str) -> Option<T> {
    T::from_text(text).ok()
}

/// The small configuration with some of its characters replaced.
fn a_damaged_configuration() -> impl Strategy<Value = String> {
    let damage = proptest::collection::vec((0..SMALL.len(), any::<char>()), 1..6);
    damage.prop_map(|damage| {
        let mut letters: Vec<char> = SMALL.chars().collect();
        for (at, letter) in damage {
            letters[at] = letter;
        }
        letters.into_iter().collect()
    })
}

/// A key of the configuration with any value.
fn an_odd_line() -> impl Strategy<Value = String> {
    let keys = prop::sample::select(vec![
        "aws",
        "aws.region",
        "aws.max_in_flight",
        "ledger",
        "ledger.url",
        "schedule.scan",
        "schedule.timezone",
        "http.listen",
        "datasets",
        "datasets.x",
        "datasets.x.mode",
        "datasets.x.calendar.expect",
        "datasets.x.calendar.except.a",
        "datasets.x.landing.keys",
        "datasets.x.raw",
        "datasets.x.raw.a.tables",
        "datasets.x.load.network",
        "datasets.x.trigger.dead_man",
        "datasets.x.backfill.hours",
        "datasets.x.window.from",
    ]);
    let values = prop::sample::select(vec![
        "1",
        "-1",
        "99999999999999999",
        "1.5",
        "nan",
        "true",
        "\"\"",
        "\"x\"",
        "\"none\"",
        "[]",
        "[1, \"a\", [], {}]",
        "{}",
        "{ a = 1 }",
        "2022-06-01",
        "1979-05-27T07:32:00Z",
        "07:32:00",
        "\"* * * * *\"",
        "\"%\"",
        "\"2022-06-02..2022-06-01\"",
        "\"99999999999999999y\"",
    ]);
    (keys, values).prop_map(|(key, value)| format!("{key} = {value}"))
}

proptest! {
    // Each case loads a whole configuration.
    #![proptest_config(cases(48))]

    #[test]
    fn any_text_gets_an_answer(text in "\\PC*|[\\[\\]\\.=\"a-z0-9 \n{},#'-]{0,200}") {
        let _ = complaints(&text);
    }

    #[test]
    fn a_damaged_configuration_gets_an_answer(text in a_damaged_configuration()) {
        let _ = complaints(&text);
    }

    #[test]
    fn odd_values_get_an_answer(lines in proptest::collection::vec(an_odd_line(), 1..6)) {
        let _ = complaints(&lines.join("\n"));
    }

    #[test]
    fn odd_variables_get_an_answer(
        name in "[A-Z_]{0,30}|AWS__[A-Z_]{0,10}|DATASETS__DEMO__[A-Z_]{0,20}", value in "\\PC{0,40}",
    ) {
        let environment = [(format!("GAPMEND_CONFIG__{name}"), value)].into_iter().collect();
        let _ = load_text(SMALL, &environment, now()).map_err(|problems| problems.to_string());
    }

    #[test]
    fn a_date_reads_back_from_text_and_from_toml_s_own(date in a_date()) {
        prop_assert_eq!(read::<NaiveDate>(&date.to_string()), Some(date));
        let text = small_and(&format!(
            "[datasets.demo.backfill]\ndeny.a = {{ dates = [{date}], reason = \"r\" }}"
        ));
        let dataset = dataset(&text);
        prop_assert_eq!(&dataset.backfill.deny["a"].dates, &vec![DateSpan::day(date)]);
    }

}

proptest! {
    #[test]
    fn a_range_reads_back_as_it_was_written(from in a_date(), length in 0_u64..3000) {
        let span = DateSpan::new(from, from + Days::new(length)).unwrap();
        prop_assert_eq!(read::<DateSpan>(&span.to_string()), Some(span));
        let reversed = format!("{}..{}", span.to, span.from);
        prop_assert_eq!(read::<DateSpan>(&reversed).is_some(), length == 0);
    }

    #[test]
    fn a_duration_reads_back_as_it_was_written(milliseconds in 0_u64..2_000_000_000) {
        let wait = Wait(Duration::from_millis(milliseconds));
        prop_assert_eq!(read::<Wait>(&wait.to_string()), Some(wait));
    }

    #[test]
    fn sizes_and_percentages_mean_what_they_say(number in 1_u32..=1000) {
        let bytes = u64::from(number);
        prop_assert_eq!(read(&format!("{number}")), Some(ByteSize(bytes)));
        prop_assert_eq!(read(&format!("{number}KiB")), Some(ByteSize(bytes * 1024)));
        prop_assert_eq!(read(&format!("{number} MB")), Some(ByteSize(bytes * 1_000_000)));
        prop_assert_eq!(read(&format!("{number}%")), Some(SizeBand(Some(number))));
    }

    #[test]
    fn a_time_of_day_has_two_digits_each(hour in 0_u32..30, minute in 0_u32..70) {
        let time = read::<LocalTime>(&format!("{hour:02}:{minute:02}"));
        prop_assert_eq!(time.is_some(), hour < 24 && minute < 60);
        prop_assert_eq!(read::<LocalTime>(&format!("{hour}:{minute:02}:5")), None);
    }
}
