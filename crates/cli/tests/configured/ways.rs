//! The ways of `dunlin pub` and `dunlin sub` to a broker: TLS, certificates, WebSocket, unix sockets; and what is
//! said when one is barred.

use crate::process::{Broker, Place};

const LISTENERS: &str = "allow_anonymous true\npersistence false\n\
    listener PORT 127.0.0.1\ncertfile DIR/server.crt\nkeyfile DIR/server.key\ncafile DIR/ca/ca.crt\n\
    crlfile DIR/ca/ca.crl\nrequire_certificate true\n\
    listener PORT2 127.0.0.1\ncertfile DIR/server.crt\nkeyfile DIR/server.key\nprotocol websockets\n\
    listener PORT3 127.0.0.1\nprotocol websockets\n\
    listener 0 DIR/broker.sock\n";

/// An authority, a server for `localhost`, the clients `boat` and `lost`, of which the second was taken back.
fn place() -> Place {
    let place = Place::new();
    for line in [
        "cert ca --name Quay",
        "cert server localhost",
        "cert client boat",
        "cert client lost",
        "cert revoke lost.crt",
        "cert ca other --name Other",
    ] {
        let output = place.run("dunlin", line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    place.write("ways.conf", LISTENERS);
    place
}

fn started(place: &Place) -> Broker {
    place.start("-c ways.conf", &[place.port(), place.second_port()])
}

/// What is printed, and what is said when it fails.
fn run(place: &Place, line: &str) -> (String, String) {
    let output = place.run("dunlin", line);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        text(&output.stdout),
        if output.status.success() { String::new() } else { text(&output.stderr) },
    )
}

#[test]
fn who_comes_and_goes_is_told_in_mosquittos_words_where_its_file_is_used() {
    let place = Place::new();
    place.write("a.conf", "listener PORT 127.0.0.1\nallow_anonymous true\nacl_file acl\n");
    place.write("acl", "topic read a\n");
    place.write("a.toml", "[[listener]]\nport = PORT\n[security]\nallow_anonymous = true\n");
    let port = [place.port()];
    let publish = "pub -p PORT -i meter -u us\u{202e}er -t a -m b -k 7 -V 5";
    let mut broker = place.start("-c a.conf", &port);
    run(&place, publish);
    // What would change the direction of the line is written out.
    broker.hears("as meter (p5, c1, k7, u'us\\u{202e}er').\n");
    broker.hears(": New client connected from 127.0.0.1:");
    broker.hears("Client meter [127.0.0.1:");
    broker.hears("] disconnected.\n");
    drop(broker);
    let mut broker = place.start("-c a.toml", &port);
    run(&place, publish);
    broker.hears("client \"meter\" connected from ");
    drop(broker);
    let mut broker = place.start_as("mosquitto", "-p PORT", &port);
    run(&place, publish);
    broker.hears(": New client connected from ");
}

#[test]
fn a_message_goes_every_way() {
    let place = place();
    let broker = started(&place);
    for (number, way) in [
        "-p PORT --cafile ca/ca.crt --cert boat.crt --key boat.key",
        "-p PORT --cafile ca/ca.crt --cert boat.crt --key boat.key --tls-version tlsv1.3 --tls-alpn mqtt",
        "-h 127.0.0.1 -p PORT --cafile ca/ca.crt --cert boat.crt --key boat.key --servername localhost",
        "-h 127.0.0.1 -p PORT --capath ca --cert boat.crt --key boat.key --insecure",
        "-L mqtts://localhost:PORT/a --cafile ca/ca.crt --cert boat.crt --key boat.key",
        "-L ws://localhost:PORT3/a",
        "-L wss://localhost:PORT2/a --cafile ca/ca.crt",
        "--unix broker.sock",
    ]
    .into_iter()
    .enumerate()
    {
        for version in ["311", "5"] {
            let way = format!("{way} -V {version} -t a -q 2");
            let (_, failed) = run(&place, &format!("pub {way} -m {number} -r"));
            assert_eq!(failed, "", "{way}: {}", broker.log());
            let (got, failed) = run(&place, &format!("sub {way} -C 1 -W 60"));
            assert_eq!((got.trim(), failed.as_str()), (number.to_string().as_str(), ""), "{way}");
        }
    }
}

#[test]
fn a_long_message_and_many_short_ones_go_over_tls_and_web_socket() {
    let place = place();
    let _broker = started(&place);
    place.write("long", &"abcdefgh".repeat(100_000));
    for way in [
        "-L wss://localhost:PORT2/a --cafile ca/ca.crt",
        "-p PORT --cafile ca/ca.crt --cert boat.crt --key boat.key -t a",
    ] {
        let (_, failed) = run(&place, &format!("pub {way} -q 1 -r -f long"));
        assert_eq!(failed, "", "{way}");
        let (got, failed) = run(&place, &format!("sub {way} -q 1 -C 1 -W 60"));
        assert_eq!((got.len(), failed.as_str()), (800_001, ""), "{way}");
        let many = format!("{way} -q 1 -c -i many -W 60");
        assert_eq!(run(&place, &format!("sub {many} -E -R")).1, "");
        assert_eq!(run(&place, &format!("pub {way} -q 1 -m x --repeat 900")).1, "");
        let (got, failed) = run(&place, &format!("sub {many} -R -C 900"));
        assert_eq!((got.lines().count(), failed.as_str()), (900, ""), "{way}");
    }
}

#[test]
fn whoever_disconnects_over_tls_is_not_reset() {
    let place = place();
    let _broker = started(&place);
    for number in 0..20 {
        let way = "-L wss://localhost:PORT2/a --cafile ca/ca.crt";
        let own = "-p PORT --cafile ca/ca.crt --cert boat.crt --key boat.key -t a";
        for way in [way, own] {
            let (_, failed) = run(&place, &format!("pub {way} -m {number} -q 1"));
            assert_eq!(failed, "", "{way}, {number}");
        }
    }
}

#[test]
fn a_barred_way_is_named_with_what_opens_it() {
    let place = place();
    let _broker = started(&place);
    let own = "--cert boat.crt --key boat.key";
    for (way, part) in [
        (format!("-p PORT --cafile other/ca.crt {own}"), "--cafile"),
        (format!("-h 127.0.0.1 -p PORT --cafile ca/ca.crt {own}"), "not for 127.0.0.1, but for"),
        ("-p PORT --cafile ca/ca.crt".to_owned(), "--cert and --key"),
        ("-p PORT --cafile ca/ca.crt --cert lost.crt --key lost.key".to_owned(), "revoked"),
        ("-p PORT --cafile ca/ca.crt --cert boat.crt --key lost.key".to_owned(), "does not belong"),
        ("-p PORT --cafile missing.crt".to_owned(), "missing.crt"),
        ("-p PORT3 --cafile ca/ca.crt".to_owned(), "is it the port with TLS"),
        ("-L ws://localhost:PORT3/a --ws-path /other".to_owned(), ""),
        ("-p PORT --cafile ca/ca.crt --tls-alpn h2".to_owned(), "--tls-alpn"),
        ("--unix missing.sock".to_owned(), "missing.sock"),
    ] {
        let (_, failed) = run(&place, &format!("pub {way} -t a -m b -q 1"));
        assert!(failed.contains(part), "{way}: {failed:?}");
        assert_eq!(failed.is_empty(), part.is_empty(), "{way}: {failed:?}");
    }
}

#[test]
fn a_client_that_does_not_believe_the_broker_tells_it_why() {
    let place = place();
    place.run("dunlin", "cert ca twin --name Quay");
    let mut broker = started(&place);
    for (way, told) in [
        ("localhost:PORT2/a --cafile other/ca.crt", "does not know the authority that signed our"),
        ("localhost:PORT2/a --cafile twin/ca.crt", "the client finds a wrong signature"),
        ("127.0.0.1:PORT2/a --cafile ca/ca.crt", "the client does not accept our certificate"),
    ] {
        let (_, failed) = run(&place, &format!("pub -L wss://{way} -m b"));
        assert!(failed.contains("certificate of the broker"), "{way}: {failed}");
        broker.hears(told);
    }
}

#[test]
fn an_expired_certificate_is_called_so() {
    let place = place();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    let ca = rcgen::KeyPair::from_pem(&place.read("ca/ca.key")).expect("a key");
    let issuer = rcgen::Issuer::from_ca_cert_pem(&place.read("ca/ca.crt"), ca);
    let key = rcgen::KeyPair::generate().expect("a key");
    let signed = params.signed_by(&key, &issuer.expect("an authority")).expect("it is signed");
    place.write("server.crt", &signed.pem()).write("server.key", &key.serialize_pem());
    let _broker = started(&place);
    let (_, failed) = run(&place, "pub -L wss://localhost:PORT2/a --cafile ca/ca.crt -m b -q 1");
    assert!(failed.contains("expired"), "{failed}");
}
