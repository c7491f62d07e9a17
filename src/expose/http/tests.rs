//! The server over a real socket of the loopback.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::aws::OPERATIONS;
use crate::expose::sample;
use crate::plan::DateVerdict;

/// A clock that stands still.
struct Still;

#[async_trait::async_trait]
impl Clock for Still {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        sample::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

struct Server {
    address: SocketAddr,
    report: watch::Sender<Arc<Report>>,
    shutdown: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

async fn server(report: Report) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = watch::channel(Arc::new(report));
    let metrics = Arc::new(Metrics::new([sample::NAME], &OPERATIONS).unwrap());
    let state = HttpState { report: receiver, metrics, clock: Arc::new(Still) };
    let shutdown = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    let token = shutdown.clone();
    let (done, task) = tokio::sync::oneshot::channel();
    tasks.spawn(async move { done.send(serve(listener, state, token).await) });
    #[expect(clippy::disallowed_methods, reason = "the test awaits it")]
    let task = tokio::spawn(async move {
        let ended = task.await.unwrap();
        tasks.shutdown().await;
        ended
    });
    Server { address, report: sender, shutdown, task }
}

impl Server {
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path).await
    }

    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let answer = self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }

    async fn body(&self, path: &str) -> serde_json::Value {
        let (_, answer) = self.get(path).await;
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

#[tokio::test]
async fn every_page_answers_and_carries_the_security_headers() {
    let server = server(sample::report()).await;
    let pages = "/ /style.css /metrics /healthz /readyz /api/v1/status /api/v1/runs
        /api/v1/datasets/liberator/dates";
    for path in pages.split_whitespace() {
        let (status, answer) = server.get(path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        for name in
            ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff"]
        {
            assert!(answer.contains(name), "{path} lacks {name}");
        }
        assert!(answer.contains("connection: close"));
    }
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"));
}

#[tokio::test]
async fn nothing_can_be_changed() {
    let server = server(sample::report()).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for path in ["/", "/metrics", "/api/v1/status", "/nowhere"] {
            let (status, answer) = server.ask(method, path).await;
            assert_eq!(status, 405, "{method} {path}");
            assert!(answer.contains("allow: GET, HEAD"));
            assert!(answer.contains("content-security-policy"));
        }
    }
    assert_eq!(server.ask("HEAD", "/metrics").await.0, 200);
    let (status, answer) = server.get("/nowhere").await;
    assert_eq!(status, 404);
    assert!(answer.contains("x-content-type-options"));
}

#[tokio::test]
async fn health_follows_the_loop_and_readiness_follows_acting() {
    let server = server(sample::report()).await;
    let mut late = sample::report();
    late.last_tick_at = sample::at("2026-03-15T06:00:00Z");
    late.acting = false;
    late.not_acting = Some("host-2 acts in epoch 8".to_owned());
    server.report.send(Arc::new(late)).unwrap();
    let (status, answer) = server.get("/healthz").await;
    assert_eq!(status, 503);
    assert!(answer.contains("stuck: the loop turned 30m 00s ago"), "{answer}");
    let (status, answer) = server.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(answer.contains("host-2 acts in epoch 8"), "{answer}");
    let mut refused = sample::report();
    refused.config.ok = false;
    refused.config.problem = Some("gapmend.toml:3: unknown key `mod`".to_owned());
    server.report.send(Arc::new(refused)).unwrap();
    let (status, answer) = server.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(answer.contains("unknown key `mod`"), "{answer}");
    assert_eq!(server.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn the_api_gives_the_commands_json() {
    let server = server(sample::report()).await;
    let dates = server.body("/api/v1/datasets/liberator/dates").await;
    assert_eq!(dates["dates"].as_array().unwrap().len(), 90);
    assert_eq!(server.get("/api/v1/datasets/none/dates").await.0, 404);
    let some = server.body("/api/v1/datasets/liberator/dates?from=2026-03-01&to=2026-03-04").await;
    assert_eq!(some["dates"].as_array().unwrap().len(), 4);
    assert_eq!(some["counts"], dates["counts"], "a range narrows the dates, not the sums");
    assert_eq!(some["dates_left_out"], 0);
    assert_eq!(server.get("/api/v1/datasets/liberator/dates?from=march").await.0, 400);
    let one = server.body("/api/v1/datasets/liberator/dates/2026-02-18").await;
    assert_eq!(one["commands"][0], "gapmend retry 2026-02-18 --reason \"…\"");
    assert_eq!(server.get("/api/v1/datasets/liberator/dates/2019-01-01").await.0, 404);
    let runs = server.body("/api/v1/runs?limit=2").await;
    assert_eq!(runs["runs"][0]["date"], "2026-03-05", "the newest first");
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
    let one = server.body("/api/v1/runs?dataset=liberator&date=2026-02-18").await;
    assert_eq!(one["runs"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/api/v1/runs?date=yesterday").await.0, 400);
    server.report.send(Arc::new(sample::first_report())).unwrap();
    assert_eq!(server.get("/api/v1/datasets/liberator/dates").await.0, 503);
}

#[tokio::test]
async fn the_page_escapes_what_it_shows_and_has_no_script() {
    let mut report = sample::report();
    report.not_acting = Some("<script>alert(1)</script>".to_owned());
    report.acting = false;
    let server = server(report).await;
    let (_, page) = server.get("/").await;
    assert!(page.contains("&lt;script&gt;alert(1)"));
    assert!(!page.contains("<script") && !page.contains("style=\""));
    for text in ["2026-01-19, 54 dates behind", "Run in progress", "Gaps", "Last passes"] {
        assert!(page.contains(text), "{text} is not on the page");
    }
}

#[tokio::test]
async fn a_long_window_is_shown_year_by_year() {
    let mut report = sample::report();
    let census = &mut report.datasets.get_mut(sample::NAME).unwrap().census;
    let mut long = (**census.as_ref().unwrap()).clone();
    let (last, pattern) = (long.dates.last().unwrap().date, long.dates[0].clone());
    let date_before = |days: i64| last - chrono::TimeDelta::days(days);
    let dates = (0..1_800).rev().map(date_before);
    long.dates = dates.map(|date| DateVerdict { date, ..pattern.clone() }).collect();
    *census = Some(Arc::new(long));
    let server = server(report).await;
    let of = |date: &str| format!("href=\"datasets/liberator/dates/{date}\"");
    let (_, page) = server.get("/").await;
    assert!(page.contains("1100 dates"));
    assert!(page.contains(&of("2026-03-01")) && !page.contains(&of("2022-06-14")));
    assert!(page.contains("href=\"?year=2022\""));
    let (_, page) = server.get("/?year=2022&renew=off").await;
    assert!(page.contains(&of("2022-06-14")) && !page.contains(&of("2026-03-01")));
    assert!(page.contains("365 dates") && page.contains("href=\"?year=2022\">renew"));
    assert!(!page.contains("refresh: 30"));
}

#[tokio::test]
async fn every_date_has_a_page_with_what_to_do() {
    let server = server(sample::report()).await;
    let (status, page) = server.get("/datasets/liberator/dates/2026-02-18").await;
    assert_eq!(status, 200);
    for text in [
        "What to do",
        "gapmend retry 2026-02-18",
        "ERROR 1045 (28000)",
        "console.aws.amazon.com/s3/object/dataplatform-prod-liberator-data-storage",
        "DP-123",
        "../../../style.css",
    ] {
        assert!(page.contains(text), "{text} is not on the page");
    }
    for nowhere in ["liberator/dates/2019-01-01", "liberator/dates/today", "none/dates/2026-02-18"]
    {
        assert_eq!(server.get(&format!("/datasets/{nowhere}")).await.0, 404, "{nowhere}");
    }
}

#[tokio::test]
async fn whatever_the_world_says_is_shown_and_never_obeyed() {
    let nasty = "\"><script>alert(1)</script><a href='javascript:x'>&amp;";
    let mut report = sample::report();
    let mut state = sample::state();
    for run in &mut state.runs {
        run.asked.by = nasty.to_owned();
        run.asked.reason = Some(nasty.to_owned());
        run.permitted_by = nasty.to_owned();
        run.workflow_run = Some(nasty.to_owned());
        run.load.as_mut().unwrap().task_arn = Some(nasty.to_owned());
        if let Some(end) = &mut run.end {
            end.detail = nasty.to_owned();
            end.log_tail = vec![nasty.to_owned()];
        }
    }
    report.ledger = Arc::new(state);
    let dataset = report.datasets.get_mut(sample::NAME).unwrap();
    let mut census = sample::census();
    for verdict in &mut census.dates {
        verdict.reason = nasty.into();
        verdict.next = nasty.into();
        let mut dumps = verdict.dumps.to_vec();
        for dump in &mut dumps {
            dump.key = nasty.to_owned();
        }
        verdict.dumps = sample::dumps(verdict.date, dumps);
    }
    dataset.census = Some(Arc::new(census));
    let server = server(report).await;
    for path in ["/", "/datasets/liberator/dates/2026-02-18"] {
        let (status, page) = server.get(path).await;
        assert_eq!(status, 200);
        assert!(page.contains("&lt;script&gt;alert(1)"), "{path} shows it");
        for risk in ["<script", "<a href='javascript", "=\"javascript"] {
            assert!(!page.contains(risk), "{path} has {risk}");
        }
    }
}

#[tokio::test]
async fn the_page_renews_itself_unless_it_is_told_not_to() {
    let server = server(sample::report()).await;
    assert!(server.get("/").await.1.contains("refresh: 30"));
    let (_, still) = server.get("/?renew=off").await;
    assert!(!still.contains("refresh: 30"));
    assert!(!still.contains("http-equiv"));
}

#[tokio::test]
async fn a_client_in_a_loop_is_told_to_come_back_and_metrics_still_answer() {
    let server = server(sample::report()).await;
    let mut refused = 0;
    for _ in 0..120 {
        refused += usize::from(server.get("/style.css").await.0 == 429);
    }
    assert!(refused > 0, "120 requests at once");
    assert_eq!(server.get("/metrics").await.0, 200);
}

#[tokio::test]
async fn a_body_is_refused_and_a_long_head_is_cut_off() {
    let server = server(sample::report()).await;
    let answer = server.raw("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4096\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", "x".repeat(40_000));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn a_half_sent_request_does_not_hold_the_shutdown() {
    let server = server(sample::report()).await;
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    stuck.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    assert_eq!(server.get("/healthz").await.0, 200);
    server.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), server.task).await;
    ended.expect("the shutdown took too long").unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_server_shuts_down_at_once() {
    let server = server(sample::report()).await;
    assert_eq!(server.get("/healthz").await.0, 200);
    server.shutdown.cancel();
    let ended = tokio::time::timeout(SHUTDOWN_LIMIT / 2, server.task).await;
    ended.expect("nothing was open").unwrap().unwrap();
}
