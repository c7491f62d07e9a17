//! An AWS that only lists, cheaply, and answers every call after a delay: Glue's catalog, S3's
//! listings, and what else a scan asks on its way. Pages are laid out once, and only the table's
//! name is written into them for each answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{Days, NaiveDate};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the catalog holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Tables, each with every date but the gaps.
    pub(crate) tables: usize,
    /// Dates up to yesterday.
    pub(crate) dates: usize,
    /// Whether partitions come with all that Glue tells of them, or with what is needed.
    pub(crate) rich: bool,
}

/// Every so many dates one is missing from all tables.
pub(crate) const GAP_EVERY_DATES: usize = 100;
const TABLES_PER_PAGE: usize = 100;
const ROWS_PER_PAGE: usize = 1_000;
/// Stands in a laid out page where the table's name goes; as long as every name.
const NAME: &str = "liberator_t0000";

/// The server, and what was asked of it.
pub(crate) struct Server {
    pub(crate) shape: Shape,
    pub(crate) today: NaiveDate,
    latency: Duration,
    calls: Mutex<BTreeMap<String, usize>>,
    pages: Mutex<BTreeMap<(usize, usize), Arc<Page>>>,
}

/// A laid out page of partitions, and where the table's name goes.
struct Page {
    body: Vec<u8>,
    names: Vec<usize>,
}

pub(crate) fn table(number: usize) -> String {
    format!("liberator_t{number:04}")
}

impl Server {
    /// Serves on a free loopback port, in threads of its own; answers the port.
    pub(crate) fn start(shape: Shape, today: NaiveDate, latency: Duration) -> (Arc<Self>, u16) {
        let server = Arc::new(Self {
            shape,
            today,
            latency,
            calls: Mutex::default(),
            pages: Mutex::default(),
        });
        let (send, port) = std::sync::mpsc::channel();
        let shared = Arc::clone(&server);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                send.send(listener.local_addr().unwrap().port()).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let server = Arc::clone(&shared);
                    #[expect(clippy::disallowed_methods, reason = "ends with its connection")]
                    tokio::spawn(async move { server.converse(stream).await });
                }
            });
        });
        (server, port.recv().unwrap())
    }

    /// How often each operation was asked for since the last time.
    pub(crate) fn take_calls(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// The oldest date.
    pub(crate) fn first(&self) -> NaiveDate {
        self.today - Days::new(self.shape.dates as u64)
    }

    /// How many partitions a table has from a date on.
    pub(crate) fn rows_from(&self, first: Option<NaiveDate>) -> usize {
        self.dates_from(first).len()
    }

    /// The key after which a page of dumps begins; empty for the first.
    pub(crate) fn dump_key_before(&self, from: usize) -> String {
        let Some(before) = from.checked_sub(1) else { return String::new() };
        dump_key(self.first() + Days::new(before as u64))
    }

    fn dates_from(&self, first: Option<NaiveDate>) -> Vec<NaiveDate> {
        let has = |number: &usize| number % GAP_EVERY_DATES != GAP_EVERY_DATES / 2;
        let all = (0..self.shape.dates).filter(has);
        let dates = all.map(|number| self.first() + Days::new(number as u64));
        dates.filter(|date| first.is_none_or(|first| *date >= first)).collect()
    }

    async fn converse(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = Request::read(&mut stream).await {
            let operation = request.operation();
            *self.calls.lock().unwrap().entry(operation.clone()).or_default() += 1;
            tokio::time::sleep(self.latency).await;
            let (kind, body) = self.answer(&operation, &request);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            if stream.write_all(head.as_bytes()).await.is_err()
                || stream.write_all(&body).await.is_err()
            {
                return;
            }
        }
    }

    fn answer(&self, operation: &str, request: &Request) -> (&'static str, Vec<u8>) {
        let json = "application/x-amz-json-1.1";
        match operation {
            "GetTables" => (json, self.tables(&request.json())),
            "GetPartitions" => (json, self.partitions(&request.json())),
            "ListObjectsV2" => ("application/xml", self.objects(request)),
            "GetCallerIdentity" => ("text/xml", IDENTITY.as_bytes().to_vec()),
            "ListTasks" => (json, br#"{"taskArns":[]}"#.to_vec()),
            _ => (json, b"{}".to_vec()),
        }
    }

    fn tables(&self, asked: &serde_json::Value) -> Vec<u8> {
        let from: usize = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let until = (from + TABLES_PER_PAGE).min(self.shape.tables);
        let keys = r#"[{"Name":"import_year","Type":"string"},{"Name":"import_month","Type":"string"},{"Name":"import_day","Type":"string"},{"Name":"import_date","Type":"string"}]"#;
        let rows: Vec<String> = (from..until)
            .map(|number| {
                let name = table(number);
                format!(
                    r#"{{"Name":"{name}","DatabaseName":"raw","PartitionKeys":{keys},"StorageDescriptor":{{"Location":"s3://raw/parking/{name}/","Columns":[{{"Name":"id","Type":"string"}}]}}}}"#
                )
            })
            .collect();
        let next = if until < self.shape.tables {
            format!(r#","NextToken":"{until}""#)
        } else {
            String::new()
        };
        format!(r#"{{"TableList":[{}]{next}}}"#, rows.join(",")).into_bytes()
    }

    fn partitions(&self, asked: &serde_json::Value) -> Vec<u8> {
        let page = self.page(asked);
        let name = asked["TableName"].as_str().unwrap();
        let mut body = page.body.clone();
        for at in &page.names {
            body[*at..at + NAME.len()].copy_from_slice(name.as_bytes());
        }
        body
    }

    fn page(&self, asked: &serde_json::Value) -> Arc<Page> {
        let from: usize = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let first = asked["Expression"].as_str().and_then(first_date);
        let dates = self.dates_from(first);
        let mut pages = self.pages.lock().unwrap();
        let key = (from, dates.len());
        Arc::clone(pages.entry(key).or_insert_with(|| Arc::new(self.lay_out(&dates, from))))
    }

    fn lay_out(&self, dates: &[NaiveDate], from: usize) -> Page {
        let until = (from + ROWS_PER_PAGE).min(dates.len());
        let rows: Vec<String> =
            dates[from..until].iter().map(|date| row(*date, self.shape.rich)).collect();
        let next =
            if until < dates.len() { format!(r#","NextToken":"{until}""#) } else { String::new() };
        let body = format!(r#"{{"Partitions":[{}]{next}}}"#, rows.join(","));
        let names = body.match_indices(NAME).map(|(at, _)| at).collect();
        Page { body: body.into_bytes(), names }
    }

    /// Dumps below `landing`, and one object a partition below `raw`.
    fn objects(&self, request: &Request) -> Vec<u8> {
        let prefix = request.parameter("prefix").unwrap_or_default();
        let start = request.parameter("continuation-token");
        let start = start.or_else(|| request.parameter("start-after")).unwrap_or_default();
        let is_landing = request.line.contains("/landing");
        let dates = if is_landing {
            (0..self.shape.dates).map(|number| self.first() + Days::new(number as u64)).collect()
        } else {
            self.dates_from(None)
        };
        let key = |date: &NaiveDate| {
            if is_landing {
                dump_key(*date)
            } else {
                format!("{prefix}{}part-0.parquet", folders(*date))
            }
        };
        let mut keys: Vec<String> = dates.iter().map(key).filter(|key| *key > start).collect();
        let more = keys.len() > ROWS_PER_PAGE;
        keys.truncate(ROWS_PER_PAGE);
        let token = keys.last().filter(|_| more).map_or_else(String::new, |last| {
            format!("<NextContinuationToken>{last}</NextContinuationToken>")
        });
        let row = |key: &String| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;{key}&quot;</ETag><Size>4096</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
        };
        let rows = keys.iter().map(row).collect::<Vec<_>>().concat();
        format!(
            "<ListBucketResult><IsTruncated>{more}</IsTruncated>{token}{rows}</ListBucketResult>"
        )
        .into_bytes()
    }
}

const IDENTITY: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:role/bench</Arn><UserId>u</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

fn dump_key(date: NaiveDate) -> String {
    date.format("parking/liberator_dump_%Y%m%d.zip").to_string()
}

fn folders(date: NaiveDate) -> String {
    let folders = "import_year=%Y/import_month=%m/import_day=%d/import_date=%Y%m%d/";
    date.format(folders).to_string()
}

fn row(date: NaiveDate, rich: bool) -> String {
    let values = date.format(r#"["%Y","%m","%d","%Y%m%d"]"#);
    let location = format!("s3://raw/parking/{NAME}/{}", folders(date));
    if !rich {
        return format!(r#"{{"Values":{values},"StorageDescriptor":{{"Location":"{location}"}}}}"#);
    }
    format!(
        r#"{{"CatalogId":"111122223333","CreationTime":1.7500000E9,"DatabaseName":"raw","LastAccessTime":0.0,"Parameters":{{"CrawlerSchemaDeserializerVersion":"1.0","classification":"parquet","typeOfData":"file"}},"StorageDescriptor":{{"Compressed":true,"InputFormat":"org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat","Location":"{location}","NumberOfBuckets":-1,"OutputFormat":"org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat","Parameters":{{}},"SerdeInfo":{{"Parameters":{{"serialization.format":"1"}},"SerializationLibrary":"org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"}},"SortColumns":[],"StoredAsSubDirectories":false}},"TableName":"{NAME}","Values":{values}}}"#
    )
}

/// The date of `import_date >= '20260401'`.
fn first_date(expression: &str) -> Option<NaiveDate> {
    let (_, date) = expression.split_once(">= '")?;
    NaiveDate::parse_from_str(date.get(..8)?, "%Y%m%d").ok()
}

/// A request, as far as it matters.
struct Request {
    line: String,
    target: Option<String>,
    body: Vec<u8>,
}

impl Request {
    async fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let (mut target, mut length) = (None, 0);
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).await.ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "x-amz-target" => target = Some(value.trim().to_owned()),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        Some(Self { line, target, body })
    }

    fn operation(&self) -> String {
        match &self.target {
            Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
            None if self.line.contains("list-type=2") => "ListObjectsV2".to_owned(),
            None if self.body.starts_with(b"Action=GetCallerIdentity") => {
                "GetCallerIdentity".to_owned()
            }
            None => format!("other {}", self.line.trim()),
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A parameter of the query, with its slashes and equals signs read back.
    fn parameter(&self, name: &str) -> Option<String> {
        let query = self.line.split_once('?')?.1.split(' ').next()?;
        let (_, value) =
            query.split('&').filter_map(|pair| pair.split_once('=')).find(|p| p.0 == name)?;
        Some(value.replace("%2F", "/").replace("%3D", "=").replace("%2f", "/"))
    }
}
