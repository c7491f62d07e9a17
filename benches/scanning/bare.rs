//! The least that a scan can cost: a client that fetches the same pages over sixteen connections
//! and throws them away. It reads no JSON; it is told beforehand how the pages follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::server::{Server, table};

/// The requests of one chain: each page is asked for when the one before has come.
type Chain = Vec<String>;

/// How long it takes to fetch everything.
pub(crate) fn fetch(
    server: &Server,
    port: u16,
    first: Option<chrono::NaiveDate>,
    in_flight: usize,
) -> Duration {
    let chains = Arc::new(chains(server, first));
    let next = Arc::new(AtomicUsize::new(0));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a stopwatch")]
    let begun = Instant::now();
    runtime.block_on(async {
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..in_flight {
            let (chains, next) = (Arc::clone(&chains), Arc::clone(&next));
            workers.spawn(async move {
                let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut stream = BufReader::with_capacity(64 * 1024, stream);
                while let Some(chain) = chains.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for request in chain {
                        stream.write_all(request.as_bytes()).await.unwrap();
                        throw_away(&mut stream).await;
                    }
                }
            });
        }
        workers.join_all().await;
    });
    begun.elapsed()
}

fn chains(server: &Server, first: Option<chrono::NaiveDate>) -> Vec<Chain> {
    let pages = |rows: usize, per_page: usize| {
        (0..rows.div_ceil(per_page).max(1)).map(move |page| page * per_page)
    };
    let token = |from: usize| {
        if from > 0 { format!(r#","NextToken":"{from}""#) } else { String::new() }
    };
    let post = |operation: &str, body: &str| {
        format!(
            "POST / HTTP/1.1\r\nhost: l\r\nx-amz-target: AWSGlue.{operation}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let tables = pages(server.shape.tables, 100)
        .map(|from| post("GetTables", &format!(r#"{{"DatabaseName":"raw"{}}}"#, token(from))));
    let expression = first.map_or_else(String::new, |first| {
        format!(r#","Expression":"import_date >= '{}'""#, first.format("%Y%m%d"))
    });
    let mut chains = vec![tables.collect::<Chain>()];
    chains.extend((0..server.shape.tables).map(|number| {
        let asked = |from: usize| {
            format!(r#"{{"TableName":"{}"{expression}{}}}"#, table(number), token(from))
        };
        pages(server.rows_from(first), 1_000)
            .map(|from| post("GetPartitions", &asked(from)))
            .collect()
    }));
    let dumps = pages(server.shape.dates, 1_000).map(|from| {
        let after = server.dump_key_before(from);
        format!("GET /landing?list-type=2&prefix=parking/&start-after={after} HTTP/1.1\r\nhost: l\r\n\r\n")
    });
    chains.push(dumps.collect());
    chains
}

async fn throw_away(stream: &mut BufReader<TcpStream>) {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.trim_end().strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = (&mut *stream).take(length);
    tokio::io::copy(&mut body, &mut tokio::io::sink()).await.unwrap();
}
