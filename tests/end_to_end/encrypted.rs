//! The services over TLS: whom the binary believes, and what it says of others.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::stage::{Came, PATIENCE, Stage, days_ago, world};

/// What the certificate says that it is for.
const HOST: &str = "127.0.0.1";

/// A stage whose door is only reached over TLS, and the certificate that proves the door.
struct Encrypted {
    stage: Stage,
    certificate: String,
    _serving: JoinSet<()>,
}

impl Encrypted {
    async fn set() -> Self {
        let stage = Stage::set(world().gap(days_ago(12))).await;
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind((HOST, 0)).await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        stage.write("conf.d/30-tls.toml", &format!("[aws]\nendpoint_url = \"{url}\"\n"));
        let door = stage.door.url().replace("http://", "");
        let mut serving = JoinSet::new();
        serving.spawn(pass_on(listener, TlsAcceptor::from(Arc::new(config)), door));
        Self { stage, certificate: cert.pem(), _serving: serving }
    }

    /// What a scan comes to that believes this certificate.
    async fn scan_believing(&self, certificate: &str) -> Came {
        self.stage.write("authorities.pem", certificate);
        let mut command = self.stage.command(&["--output", "json", "scan"]);
        command.env("SSL_CERT_FILE", self.stage.path("authorities.pem"));
        let ended = tokio::time::timeout(PATIENCE, command.output()).await;
        ended.expect("it ends").unwrap().into()
    }
}

/// Takes the encryption off every connection, as long as it is held.
async fn pass_on(listener: TcpListener, acceptor: TlsAcceptor, door: String) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, door) = (acceptor.clone(), door.clone());
        connections.spawn(async move {
            let mut inside = acceptor.accept(stream).await?;
            let mut outside = TcpStream::connect(door).await?;
            tokio::io::copy_bidirectional(&mut inside, &mut outside).await
        });
    }
}

#[tokio::test]
async fn a_service_that_proves_itself_is_asked() {
    let encrypted = Encrypted::set().await;
    let scan = encrypted.scan_believing(&encrypted.certificate).await.with_code(0).json();
    let gaps = &scan["datasets"][0]["gaps"];
    assert_eq!(gaps[0]["from"], days_ago(12).to_string().as_str(), "{scan}");
    assert!(encrypted.stage.calls() > 0);
}

#[tokio::test]
async fn nothing_is_asked_of_one_that_does_not() {
    let encrypted = Encrypted::set().await;
    let stranger = generate_simple_self_signed([HOST.to_owned()]).unwrap().cert.pem();
    let came = encrypted.scan_believing(&stranger).await.with_code(1);
    assert!(came.stderr.contains("invalid peer certificate"), "{}", came.stderr);
    assert_eq!(encrypted.stage.calls(), 0);
}
