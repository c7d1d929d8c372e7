//! Certificates that say who a client is.

use std::sync::Arc;

use dunlin_access::password::Kind;
use dunlin_config::Config;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::client::{Client, Login};
use super::pki::{Pki, Signed};
use super::place::{Place, Server};

fn client(pki: &Pki, shown: Option<&Signed>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(pki.authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.unwrap().with_root_certificates(roots);
    Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some(signed) => {
            let chain = vec![CertificateDer::from_pem_file(&signed.chain).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&signed.key).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}

/// A listener with TLS, and what else it says.
fn serve(place: &Place, pki: &Pki, more: &str) -> Server {
    let server = pki.server("server", &["localhost"]);
    place.passwords("passwords", &[("anna", "hush-anna", Kind::Sha512)]);
    place.write("acl", "user anna\ntopic anna/#\npattern write by/%u\npattern write of/%c\n");
    let (chain, key, ca) = (server.chain.display(), server.key.display(), pki.ca());
    place.serve(&format!(
        "security.acl_file = 'DIR/acl'\nsecurity.password_file = 'DIR/passwords'\n[[listener]]\nport = 1\n\
         certfile = '{chain}'\nkeyfile = '{key}'\ncafile = '{}'\n{more}",
        ca.display()
    ))
}

#[test]
fn the_common_name_is_the_user_name_and_needs_no_password() {
    let (place, pki) = (Place::new(), Pki::new());
    let more = "client_certificate = 'required'\nidentity = 'common-name'";
    let server = serve(&place, &pki, more);
    let (anna, nobody) = (client(&pki, Some(&pki.client("anna"))), client(&pki, None));
    let stranger = Pki::new();
    let other = client(&pki, Some(&stranger.client("anna")));
    let connect = |config, login| Client::try_encrypted(server.addresses[0], config, login);
    let (mut by_certificate, reason) = connect(&anna, Login::nameless("c")).unwrap();
    assert_eq!(reason, 0);
    assert_ne!(by_certificate.publish("anna/1", ""), 0x87);
    assert_ne!(by_certificate.publish("by/anna", ""), 0x87);
    assert_eq!(by_certificate.publish("by/root", ""), 0x87);
    // What it calls itself does not count.
    let (mut pretender, reason) = connect(&anna, Login::new("d", "root", "hush-anna")).unwrap();
    assert_eq!(reason, 0);
    assert_eq!(pretender.publish("by/root", ""), 0x87);
    assert!(connect(&nobody, Login::new("e", "anna", "hush-anna")).is_err());
    assert!(connect(&other, Login::nameless("f")).is_err());
}

#[test]
fn without_a_certificate_nobody_has_a_name() {
    let (place, pki) = (Place::new(), Pki::new());
    let more = "client_certificate = 'optional'\nidentity = 'subject'\nallow_anonymous = true";
    let server = serve(&place, &pki, more);
    let (anna, nobody) = (client(&pki, Some(&pki.client("anna"))), client(&pki, None));
    let connect = |config, login| Client::try_encrypted(server.addresses[0], config, login);
    assert_eq!(connect(&nobody, Login::new("c", "anna", "hush-anna")).unwrap().1, 0x86);
    assert_eq!(connect(&nobody, Login::nameless("c")).unwrap().1, 0x86);
    let (mut anna, reason) = connect(&anna, Login::nameless("c")).unwrap();
    assert_eq!(reason, 0);
    // Her user name is the whole subject.
    assert_eq!(anna.publish("anna/1", ""), 0x87);
}

#[test]
fn the_name_of_a_certificate_can_be_the_client_identifier() {
    let (place, pki) = (Place::new(), Pki::new());
    let more =
        "client_certificate = 'required'\nidentity = 'common-name'\nusername_as_client_id = true";
    let server = serve(&place, &pki, more);
    let bert = client(&pki, Some(&pki.client("bert")));
    let (mut bert, reason) =
        Client::try_encrypted(server.addresses[0], &bert, Login::nameless("someone")).unwrap();
    assert_eq!(reason, 0);
    assert_ne!(bert.publish("of/bert", ""), 0x87);
    assert_eq!(bert.publish("of/someone", ""), 0x87);
}

#[test]
fn connections_end_whose_certificates_were_taken_back() {
    let (place, pki) = (Place::new(), Pki::new());
    let numbered = |name, number: u64| {
        pki.client_with(name, |params| params.serial_number = Some(number.into()))
    };
    let (anna, bert) = (numbered("anna", 700), numbered("bert", 800));
    let server = pki.server("server", &["localhost"]);
    let (chain, key, ca) = (server.chain.display(), server.key.display(), pki.ca());
    let list = pki.revoke(&1_u64.into());
    let toml = format!(
        "persistence.enabled = false\nsecurity.allow_anonymous = true\n[[listener]]\nport = 1\n\
         certfile = '{chain}'\nkeyfile = '{key}'\ncafile = '{}'\ncrlfile = '{}'\n\
         client_certificate = 'required'\n",
        ca.display(),
        list.display()
    );
    let server = Server::start(&place.config(&toml));
    let connect = |shown: &Signed, id| {
        let config = client(&pki, Some(shown));
        Client::try_encrypted(server.addresses[0], &config, Login::nameless(id))
    };
    let (mut stays, _) = connect(&anna, "a").unwrap();
    let (mut leaves, _) = connect(&bert, "b").unwrap();
    pki.revoke(&800_u64.into());
    server.handle().replace_access(&place.config(&toml)).unwrap();
    assert_eq!(leaves.farewell(), 0x87);
    stays.ping();
    // The handshake still goes by the old list here: who comes after that is refused as well.
    assert_eq!(connect(&bert, "c").unwrap().1, 0x87);
    assert_eq!(connect(&anna, "d").unwrap().1, 0);
}

/// A listener that trusts these authorities, with this list of what they have taken back.
fn trusting(place: &Place, own: &Pki, authorities: &str, list: &str) -> Config {
    let server = own.server("server", &["localhost"]);
    place.config(&format!(
        "persistence.enabled = false\nsecurity.allow_anonymous = true\n[[listener]]\nport = 1\n\
         certfile = '{}'\nkeyfile = '{}'\ncafile = '{authorities}'\n{list}\
         client_certificate = 'required'\n",
        server.chain.display(),
        server.key.display(),
    ))
}

#[test]
fn connections_end_that_authorities_of_now_would_not_vouch_for() {
    let (place, own, other) = (Place::new(), Pki::new(), Pki::new());
    let both = place.path("both.crt");
    std::fs::write(&both, own.authority.pem() + &other.authority.pem()).unwrap();
    let server = Server::start(&trusting(&place, &own, &both.display().to_string(), ""));
    let connect = |shown: &Signed, id| {
        let config = client(&own, Some(shown));
        Client::try_encrypted(server.addresses[0], &config, Login::nameless(id))
    };
    let (anna, bert) = (own.client("anna"), other.client("bert"));
    // Enough of them that both shards have some.
    let ids: Vec<String> = (0..4).map(|number| format!("leaves-{number}")).collect();
    let mut leaves: Vec<Client> = ids.iter().map(|id| connect(&bert, id).unwrap().0).collect();
    let (mut stays, _) = connect(&anna, "stays").unwrap();
    server.reload(&trusting(&place, &own, &own.ca().display().to_string(), ""));
    for (client, id) in leaves.iter_mut().zip(&ids) {
        assert_eq!(client.farewell(), 0x87);
        let (cause, text) = server.why(id);
        assert!(cause == "no-longer-allowed" && text.contains("cafile"), "{cause}: {text}");
    }
    stays.ping();
    assert!(connect(&bert, "again").is_err());
}

#[test]
fn connections_end_that_the_first_list_of_a_listener_takes_back() {
    let (place, pki) = (Place::new(), Pki::new());
    let numbered = |name, number: u64| {
        pki.client_with(name, |params| params.serial_number = Some(number.into()))
    };
    let (anna, bert) = (numbered("anna", 700), numbered("bert", 800));
    let ca = pki.ca().display().to_string();
    let server = Server::start(&trusting(&place, &pki, &ca, ""));
    let connect = |shown: &Signed, id| {
        let config = client(&pki, Some(shown));
        Client::try_encrypted(server.addresses[0], &config, Login::nameless(id)).unwrap().0
    };
    let (mut stays, mut leaves) = (connect(&anna, "a"), connect(&bert, "b"));
    let list = pki.revoke(&800_u64.into());
    let key = format!("crlfile = '{}'\n", list.display());
    server.reload(&trusting(&place, &pki, &ca, &key));
    assert_eq!(leaves.farewell(), 0x87);
    assert!(server.why("b").1.contains("crlfile"), "{:?}", server.why("b"));
    stays.ping();
}

#[test]
fn connections_end_that_lack_the_certificate_or_the_encryption_of_now() {
    let (place, pki) = (Place::new(), Pki::new());
    let open =
        "persistence.enabled = false\nsecurity.allow_anonymous = true\n[[listener]]\nport = 1\n";
    let server = pki.server("server", &["localhost"]);
    let (chain, key, ca) = (server.chain.display(), server.key.display(), pki.ca());
    let asks = format!("certfile = '{chain}'\nkeyfile = '{key}'\ncafile = '{}'\n", ca.display());
    let server = Server::start(&place.config(open));
    let mut plain = Client::connect(server.addresses[0], Login::nameless("plain"));
    server.reload(&place.config(&format!("{open}{asks}client_certificate = 'optional'\n")));
    assert_eq!(plain.farewell(), 0x87);
    assert!(server.why("plain").1.contains("certfile"), "{:?}", server.why("plain"));
    let nameless = client(&pki, None);
    let login = Login::nameless("nameless");
    let (mut bare, _) = Client::try_encrypted(server.addresses[0], &nameless, login).unwrap();
    server.reload(&place.config(&format!("{open}{asks}client_certificate = 'required'\n")));
    assert_eq!(bare.farewell(), 0x87);
    assert!(server.why("nameless").1.contains("require_certificate"));
}

#[test]
fn a_certificate_beside_a_password_changes_nothing() {
    let (place, pki) = (Place::new(), Pki::new());
    let server = serve(&place, &pki, "client_certificate = 'required'");
    let bert = client(&pki, Some(&pki.client("bert")));
    let reason =
        |login| Client::try_encrypted(server.addresses[0], &bert, login).map(|(_, reason)| reason);
    assert_eq!(reason(Login::new("c", "anna", "hush-anna")).unwrap(), 0);
    assert_eq!(reason(Login::new("c", "anna", "hush-bert")).unwrap(), 0x87);
    assert_eq!(reason(Login::nameless("c")).unwrap(), 0x87);
}

#[test]
fn a_banned_address_gets_no_handshake() {
    let (place, pki) = (Place::new(), Pki::new());
    let server = serve(&place, &pki, "");
    let config = client(&pki, None);
    let connect = || {
        let login = Login::new("c", "anna", "hush-anna");
        Client::try_encrypted(server.addresses[0], &config, login).map(|(_, reason)| reason)
    };
    assert_eq!(connect().unwrap(), 0);
    server.handle().ban("address:127.0.0.1", "a guest", None).unwrap();
    assert!(connect().is_err());
    let report = &server.handle().listeners()[0];
    assert_eq!(report.full_handshakes + report.resumed_handshakes, 1);
    assert_eq!(server.handle().unban("address:127.0.0.1"), Ok(true));
    assert_eq!(connect().unwrap(), 0);
}

#[test]
fn behind_a_proxy_a_ban_is_for_whom_it_names_before_any_handshake() {
    use std::io::{Read as _, Write as _};
    let (place, pki) = (Place::new(), Pki::new());
    let more = "proxy_protocol = 'v1'\nproxy_from = ['127.0.0.1']\n";
    let server = serve(&place, &pki, more);
    server.handle().ban("address:192.0.2.7", "a guest", None).unwrap();
    // What a client says first; a server that goes on answers it.
    let config = client(&pki, None);
    let hello = || {
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut tls = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut hello = Vec::new();
        tls.write_tls(&mut hello).unwrap();
        hello
    };
    let answered = |source: &str| {
        let mut socket = std::net::TcpStream::connect(server.addresses[0]).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        write!(socket, "PROXY TCP4 {source} 127.0.0.1 4711 8883\r\n").unwrap();
        socket.write_all(&hello()).unwrap();
        // An end or a reset, with nothing before.
        socket.read(&mut [0; 64]).unwrap_or(0) > 0
    };
    assert!(answered("192.0.2.8"));
    assert!(!answered("192.0.2.7"));
}
