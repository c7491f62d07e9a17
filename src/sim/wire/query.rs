//! The query protocol of RDS and STS: a form goes in, XML comes out.

use chrono::{DateTime, SecondsFormat, Utc};

use super::reply::{Refusal, Reply};
use super::uri::Pairs;
use super::xml::Xml;

/// A document that every answer of these services is.
///
/// `<ActionResponse><ActionResult>…</ActionResult><ResponseMetadata>…`
pub(super) fn reply(
    action: &str,
    namespace: &str,
    request_id: &str,
    fill: impl FnOnce(&mut Xml),
) -> Reply {
    let body = Xml::document(&format!("{action}Response"), namespace, |xml| {
        xml.element(&format!("{action}Result"), fill);
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    });
    Reply::new(200, "text/xml", body)
}

/// An instant as XML carries it.
pub(super) fn instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `MaxRecords`: 20 to 100, 100 unless said.
pub(super) fn max_records(form: &Pairs) -> Result<usize, Refusal> {
    const MOST: usize = 100;
    const LEAST: usize = 20;
    let Some(asked) = form.get("MaxRecords") else { return Ok(MOST) };
    asked.parse().ok().filter(|records| (LEAST..=MOST).contains(records)).ok_or_else(|| {
        let message =
            format!("Invalid value {asked} for MaxRecords. Must be between {LEAST} and {MOST}");
        Refusal::bad("InvalidParameterValue", message)
    })
}

/// `Filters.Filter.N.Name` with `Filters.Filter.N.Values.Value.M`, by number.
pub(super) fn filters(form: &Pairs) -> Vec<(String, Vec<String>)> {
    let mut filters = Vec::new();
    for number in 1.. {
        let prefix = format!("Filters.Filter.{number}.");
        let Some(name) = form.get(&format!("{prefix}Name")) else { break };
        let values_prefix = format!("{prefix}Values.Value.");
        let values = form.beginning(&values_prefix).map(|(_, value)| value.to_owned());
        filters.push((name.to_owned(), values.collect()));
    }
    filters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_by_their_numbers() {
        let form = Pairs::parse(
            "Action=X&Filters.Filter.1.Name=a&Filters.Filter.1.Values.Value.1=x&Filters.Filter.1.Values.Value.2=y&Filters.Filter.2.Name=b",
        );
        let expected = vec![
            ("a".to_owned(), vec!["x".to_owned(), "y".to_owned()]),
            ("b".to_owned(), Vec::new()),
        ];
        assert_eq!(filters(&form), expected);
    }

    #[test]
    fn a_page_of_fewer_than_twenty_records_is_refused() {
        assert_eq!(max_records(&Pairs::default()).unwrap(), 100);
        assert_eq!(max_records(&Pairs::parse("MaxRecords=20")).unwrap(), 20);
        for asked in ["19", "101", "x"] {
            let form = Pairs::parse(&format!("MaxRecords={asked}"));
            assert_eq!(max_records(&form).unwrap_err().code, "InvalidParameterValue");
        }
    }
}
