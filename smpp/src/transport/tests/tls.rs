//! Lives here: tests of TLS: roots, pins, certificates of both sides, and clients that are silent.

use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpStream;

use super::{credentials, listen, serve, serve_one, submit_all, to, within};
use crate::client::{ConnectError, bind, connect};
use crate::session::{CloseReason, SessionConfig};
use crate::transport::{Roots, TlsClient, TlsServer};

#[tokio::test]
async fn tls_with_certificates_on_both_sides_carries_a_session() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (chain, key) = (cert.pem(), signing_key.serialize_pem());
    let (chain, key) = (chain.as_bytes(), key.as_bytes());

    let server = TlsServer::new(chain, key, Some(chain)).unwrap();
    let (listener, port) = listen(Some(server.clone())).await;
    let serving = tokio::spawn(serve_one(listener));
    let client = TlsClient::new(Roots::Pem(chain), Some((chain, key)), None).unwrap();
    let config = SessionConfig {
        window: 500,
        ..SessionConfig::esme()
    };
    let mut esme = within(bind(&to(port, Some(client)), &credentials(), config))
        .await
        .unwrap();
    assert_eq!(
        within(submit_all(&mut esme, 3_000)).await,
        CloseReason::Unbound
    );
    assert_eq!(within(serving).await.unwrap(), CloseReason::PeerUnbound);

    // Without its certificate the client gets no bind.
    let (listener, port) = listen(Some(server)).await;
    let serving = tokio::spawn(serve_one(listener));
    let client = TlsClient::new(Roots::Pem(chain), None, None).unwrap();
    let refused = within(bind::<u32>(
        &to(port, Some(client)),
        &credentials(),
        SessionConfig::esme(),
    ))
    .await;
    assert!(refused.is_err());
    assert!(matches!(within(serving).await.unwrap(), CloseReason::Io(_)));
}

#[tokio::test]
async fn a_server_that_is_not_the_pinned_one_is_not_trusted() {
    let make = || generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (ours, other) = (make(), make());
    let key = ours.signing_key.serialize_pem();
    let server = TlsServer::new(ours.cert.pem().as_bytes(), key.as_bytes(), None).unwrap();
    let pem = other.cert.pem();
    for roots in [
        Roots::Pem(pem.as_bytes()),
        Roots::Pinned(pem.as_bytes()),
        Roots::WebPki,
    ] {
        let (listener, port) = listen(Some(server.clone())).await;
        let serving = tokio::spawn(serve_one(listener));
        let to = to(port, Some(TlsClient::new(roots, None, None).unwrap()));
        let failed = within(connect::<u32>(&to, SessionConfig::esme())).await;
        assert!(matches!(failed, Err(ConnectError::Tls(_))));
        assert!(matches!(within(serving).await.unwrap(), CloseReason::Io(_)));
    }
}

#[tokio::test]
async fn a_pinned_certificate_is_trusted_under_any_name_and_by_any_issuer() {
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = rcgen::Issuer::new(params, authority);
    let key = rcgen::KeyPair::generate().unwrap();
    let named = rcgen::CertificateParams::new(vec!["smsc.carrier.example".into()]).unwrap();
    let pem = named.signed_by(&key, &issuer).unwrap().pem();
    let server = TlsServer::new(pem.as_bytes(), key.serialize_pem().as_bytes(), None).unwrap();
    for (roots, trusted) in [
        (Roots::Pinned(pem.as_bytes()), true),
        (Roots::Pem(pem.as_bytes()), false),
    ] {
        let (listener, port) = listen(Some(server.clone())).await;
        let serving = tokio::spawn(serve_one(listener));
        let to = to(port, Some(TlsClient::new(roots, None, None).unwrap()));
        let bound = within(bind(&to, &credentials(), SessionConfig::esme())).await;
        assert_eq!(bound.is_ok(), trusted);
        if let Ok(mut esme) = bound {
            let reason = within(submit_all(&mut esme, 10)).await;
            assert_eq!(reason, CloseReason::Unbound);
        }
        within(serving).await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_tls_client_holds_up_nobody_and_times_out() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let chain = cert.pem();
    let key = signing_key.serialize_pem();
    let server = TlsServer::new(chain.as_bytes(), key.as_bytes(), None).unwrap();
    let (listener, port) = listen(Some(server)).await;
    let silent = TcpStream::connect(("localhost", port)).await.unwrap();
    let config = SessionConfig {
        bind_timeout: Duration::from_millis(100),
        ..SessionConfig::smsc()
    };
    let (mut first, _) = within(listener.accept::<u32>(config)).await.unwrap();
    let client = TlsClient::new(Roots::Pem(chain.as_bytes()), None, None).unwrap();
    let serving = tokio::spawn(serve_one(listener));
    let mut esme = within(bind(
        &to(port, Some(client)),
        &credentials(),
        SessionConfig::esme(),
    ))
    .await
    .unwrap();
    assert_eq!(
        within(submit_all(&mut esme, 10)).await,
        CloseReason::Unbound
    );
    within(serving).await.unwrap();
    assert_eq!(within(serve(&mut first)).await, CloseReason::BindTimeout);
    drop(silent);
}
