//! The HTTP client beneath all services: HTTP/1.1 over hyper and rustls, one pool.
//!
//! The SDK's own client gives a connection a read buffer that grows up to 400 KiB and cannot be
//! told otherwise; with sixteen of them in flight that is most of what a scan needs to remember.
//! The read time-out of the SDK's configuration bounds connecting as well.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use hyper::Uri;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{
    CaptureConnection, HttpConnector as Dialer, capture_connection,
};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use super::config::CONNECT_TIMEOUT;
use super::error::sources;
use super::proxy::Route;

/// What a connection reads at once, and what an answer's head may have at most.
const READ_BUFFER_BYTES: usize = 64 << 10;

type Pool = Client<HttpsConnector<Route>, SdkBody>;

/// A client with a pool of its own; it connects when it is first asked.
#[must_use]
pub fn client() -> SharedHttpClient {
    SharedHttpClient::new(Http { pool: pool() })
}

fn pool() -> Pool {
    let mut dialer = Dialer::new();
    dialer.enforce_http(false);
    dialer.set_nodelay(true);
    dialer.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let route = Route::of_environment(dialer);
    if let Some(proxy) = route.proxy_of(&Uri::from_static("https://sts.amazonaws.com")) {
        tracing::info!(proxy, "requests to AWS go through the proxy of the environment");
    }
    let dialer = HttpsConnectorBuilder::new()
        .with_tls_config(tls())
        .https_or_http()
        .enable_http1()
        .wrap_connector(route);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(READ_BUFFER_BYTES)
        .build(dialer)
}

/// With the system's certificate authorities. An image without them can still speak to an
/// endpoint that needs none.
fn tls() -> ClientConfig {
    let config = ClientConfig::builder();
    let config = match config.clone().with_native_roots() {
        Ok(config) => config,
        Err(error) => {
            tracing::warn!(%error, "no certificate authorities, so no https: install ca-certificates or set SSL_CERT_FILE");
            config.with_root_certificates(RootCertStore::empty())
        }
    };
    config.with_no_client_auth()
}

#[derive(Clone)]
struct Http {
    pool: Pool,
}

impl fmt::Debug for Http {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Http").finish_non_exhaustive()
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let patience = settings.read_timeout();
        SharedHttpConnector::new(Connector { http: self.clone(), patience })
    }
}

#[derive(Debug)]
struct Connector {
    http: Http,
    /// From the request, connecting included, to the answer's head.
    patience: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let captured = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || given_up_at_will(&captured));
        }
        let answer = self.http.pool.request(request);
        let patience = self.patience;
        HttpConnectorFuture::new(async move {
            let answer = match patience {
                None => answer.await,
                Some(patience) => tokio::time::timeout(patience, answer)
                    .await
                    .map_err(|late| ConnectorError::timeout(late.into()))?,
            };
            let answer = answer.map_err(failed)?.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(answer)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Lets the SDK take a connection out of the pool on which a server stopped being well.
fn given_up_at_will(captured: &CaptureConnection) -> Option<ConnectionMetadata> {
    captured.connection_metadata().as_ref()?;
    let captured = captured.clone();
    let poison = move || {
        if let Some(connection) = captured.connection_metadata().as_ref() {
            connection.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
}

fn failed(error: ClientError) -> ConnectorError {
    if error.is_connect() {
        let timed_out = |it: &std::io::Error| it.kind() == std::io::ErrorKind::TimedOut;
        let late = sources(&error).any(|it| it.downcast_ref().is_some_and(timed_out));
        let error = Box::new(NeverConnected(error));
        return if late { ConnectorError::timeout(error) } else { ConnectorError::io(error) };
    }
    let of_hyper = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
    if of_hyper.is_some_and(hyper::Error::is_user) {
        return ConnectorError::user(error.into());
    }
    if of_hyper.is_some_and(hyper::Error::is_incomplete_message) {
        return ConnectorError::other(error.into(), Some(ErrorKind::TransientError));
    }
    ConnectorError::io(error.into())
}

/// No connection came about: nothing can have been sent.
#[derive(Debug)]
pub(super) struct NeverConnected(ClientError);

impl fmt::Display for NeverConnected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no connection")
    }
}

impl Error for NeverConnected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;

    use super::*;

    fn connector(patience: Option<Duration>) -> Connector {
        Connector { http: Http { pool: pool() }, patience }
    }

    async fn ask(
        connector: &Connector,
        url: &str,
    ) -> (Result<HttpResponse, ConnectorError>, CaptureSmithyConnection) {
        let capture = CaptureSmithyConnection::new();
        let mut request = HttpRequest::get(url).unwrap();
        request.add_extension(capture.clone());
        (connector.call(request).await, capture)
    }

    /// Answers every request of a connection; counts the connections, as long as it is held.
    async fn server() -> (String, Arc<AtomicUsize>, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut answering = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                answering.spawn(answer(stream));
            }
        });
        (url, connections, server)
    }

    async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
        let mut asked = Vec::new();
        while stream.read_buf(&mut asked).await? > 0 {
            if asked.ends_with(b"\r\n\r\n") {
                asked.clear();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
            }
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_connection_is_used_again_until_it_is_given_up() {
        let (url, connections, _server) = server().await;
        let connector = connector(None);
        for _ in 0..3 {
            ask(&connector, &url).await.0.unwrap();
        }
        assert_eq!(connections.load(Ordering::Relaxed), 1);
        let (answer, capture) = ask(&connector, &url).await;
        answer.unwrap();
        capture.get().unwrap().poison();
        ask(&connector, &url).await.0.unwrap();
        assert_eq!(connections.load(Ordering::Relaxed), 2, "it was given up");
    }

    #[tokio::test]
    async fn nobody_is_waited_for_longer_than_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answer, _) = ask(&connector(Some(Duration::from_millis(20))), &url).await;
        assert!(answer.unwrap_err().is_timeout());
    }

    #[tokio::test]
    async fn a_request_that_was_never_sent_is_told_from_one_that_may_have_been() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move {
            drop(listener.accept().await.unwrap());
        });
        let connector = connector(None);
        let never_connected =
            |error: &ConnectorError| sources(error).any(<dyn Error>::is::<NeverConnected>);
        let error = ask(&connector, &url).await.0.unwrap_err();
        assert!(!never_connected(&error), "{error:?}");
        server.join_next().await.unwrap().unwrap();
        let error = ask(&connector, &url).await.0.unwrap_err();
        assert!(error.is_io() && never_connected(&error), "{error:?}");
    }
}
