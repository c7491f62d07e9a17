//! How a table's data is found, by what its catalog entry says.

/// How a table's data is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TableKind {
    /// By its partitions in the catalog.
    #[default]
    Partitioned,
    /// By folders that Athena computes: the catalog has no partitions of it, or such that nobody
    /// reads.
    Projected {
        /// The template of its folders, where they are not `key=value`.
        template: Option<String>,
    },
    /// Not by partitions at all; in words.
    Other(&'static str),
}

impl TableKind {
    /// Reads an entry: whether it is a link to a table of another catalog, its type, and its
    /// parameters.
    pub fn read<'a>(
        is_link: bool,
        table_type: Option<&str>,
        parameter: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        let says = |name: &str, value: &str| {
            parameter(name).is_some_and(|found| found.trim().eq_ignore_ascii_case(value))
        };
        let provider = |name: &str| {
            says("table_type", name)
                || says("classification", name)
                || says("spark.sql.sources.provider", name)
        };
        if is_link {
            return Self::Other("it is a resource link; name the database that it links to");
        }
        if table_type.is_some_and(|kind| kind.eq_ignore_ascii_case("VIRTUAL_VIEW")) {
            return Self::Other("it is a view");
        }
        if provider("iceberg") {
            return Self::Other("it is an Iceberg table, whose partitions are in its own metadata");
        }
        if provider("delta") {
            return Self::Other("it is a Delta table, whose partitions are in its own log");
        }
        if says("projection.enabled", "true") {
            let template = parameter("storage.location.template").map(str::to_owned);
            return Self::Projected { template };
        }
        Self::Partitioned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(is_link: bool, table_type: &str, parameters: &[(&str, &'static str)]) -> TableKind {
        let parameter =
            |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        TableKind::read(is_link, Some(table_type), parameter)
    }

    #[test]
    fn a_table_says_how_its_data_is_found() {
        let external = "EXTERNAL_TABLE";
        assert_eq!(read(false, external, &[("classification", "parquet")]), TableKind::Partitioned);
        assert_eq!(
            read(false, external, &[("projection.enabled", "false")]),
            TableKind::Partitioned
        );
        assert_eq!(
            read(false, external, &[("projection.enabled", "TRUE")]),
            TableKind::Projected { template: None }
        );
        for (link, kind, parameters) in [
            (true, external, vec![]),
            (false, "VIRTUAL_VIEW", vec![]),
            (false, external, vec![("table_type", "ICEBERG")]),
            (false, external, vec![("spark.sql.sources.provider", "delta")]),
        ] {
            let found = read(link, kind, &parameters);
            assert!(matches!(found, TableKind::Other(_)), "{kind} {parameters:?}: {found:?}");
        }
    }
}
