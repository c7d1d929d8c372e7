//! Certificates that are made here, and what becomes of files that are none.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dunlin_kit::cert::{
    Authority, Chain, Facts, Name, NewAuthority, PrivateKey, Purpose, Request, RevocationList,
    names, verify, warnings,
};
use dunlin_kit::files::Replace;

const NOW: u64 = 1_795_280_700;
const DAY: u64 = 86_400;

struct Workshop {
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Workshop {
    fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let new = NewAuthority { name, days: 3650, replace: Replace::Never };
        let authority = Authority::create(directory.path(), &new, NOW).unwrap();
        Self { directory, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn ca(&self) -> Chain {
        Chain::read(&self.path("ca.crt")).unwrap()
    }

    fn issue(&self, name: &str, request: &Request) -> Chain {
        let key = PrivateKey::generate().unwrap();
        fs::write(self.path(&format!("{name}.key")), key.to_pem().as_bytes()).unwrap();
        let path = self.path(&format!("{name}.crt"));
        fs::write(&path, self.authority.issue(request, &key, NOW).unwrap().pem).unwrap();
        Chain::read(&path).unwrap()
    }

    fn server(&self, names: &[&str]) -> Chain {
        let names: Vec<Name> = names.iter().map(|name| Name::parse(name).unwrap()).collect();
        self.issue("server", &Request::server(&names, 397).unwrap())
    }
}

fn facts(chain: &Chain) -> Facts {
    Facts::parse(chain.first()).unwrap()
}

#[test]
fn a_server_has_its_names_and_leads_to_its_authority() {
    let workshop = Workshop::new("Shore CA");
    let server = workshop.server(&["mqtt.local", "10.1.2.3", "::1", "mqtt.local"]);
    let facts = facts(&server);
    assert_eq!(facts.names, ["mqtt.local", "10.1.2.3", "::1"]);
    assert_eq!((facts.subject.as_str(), facts.issuer.as_str()), ("CN=mqtt.local", "CN=Shore CA"));
    assert_eq!((facts.purpose, facts.is_authority), (Purpose::Server, false));
    assert_eq!(facts.key, "ECDSA, P-256");
    assert_eq!(facts.ends, NOW + 397 * DAY);
    assert!(facts.begins < NOW, "clocks of devices are late");
    assert_eq!(verify(&server, &workshop.ca(), NOW), Ok(()));
    assert_eq!(warnings(&facts, NOW), Vec::<String>::new());
}

#[test]
fn a_server_without_names_is_refused() {
    assert!(Request::server(&[], 397).is_err());
}

#[test]
fn a_client_is_known_by_its_common_name() {
    let workshop = Workshop::new("CA");
    let client = workshop.issue("c", &Request::client("boat 7", &[], 825).unwrap());
    let facts = facts(&client);
    assert_eq!(facts.common_name.as_deref(), Some("boat 7"));
    assert_eq!(facts.purpose, Purpose::Client);
    assert_eq!(verify(&client, &workshop.ca(), NOW), Ok(()));
    assert_eq!(warnings(&facts, NOW), Vec::<String>::new());
    for name in ["", "a:b", "#x", " x", "a\nb", &"x".repeat(65)] {
        assert!(Request::client(name, &[], 1).is_err(), "{name:?}");
    }
}

#[test]
fn nothing_outlives_its_authority() {
    let directory = tempfile::tempdir().unwrap();
    let new = NewAuthority { name: "short", days: 10, replace: Replace::Never };
    let authority = Authority::create(directory.path(), &new, NOW).unwrap();
    let key = PrivateKey::generate().unwrap();
    let request = Request::client("a", &[], 825).unwrap();
    let issued = authority.issue(&request, &key, NOW).unwrap();
    assert_eq!((issued.ends, issued.shortened), (NOW + 10 * DAY, true));
    let (certificate, key) = Authority::files(directory.path());
    let late = Authority::open(&certificate, &key, NOW + 11 * DAY).unwrap_err();
    assert!(late.to_string().contains("expired"), "{late}");
}

#[test]
fn an_authority_is_not_replaced_by_mistake() {
    let workshop = Workshop::new("one");
    let new = NewAuthority { name: "two", days: 1, replace: Replace::Never };
    let again = Authority::create(workshop.directory.path(), &new, NOW).unwrap_err();
    assert!(again.to_string().contains("--force"), "{again}");
    assert_eq!(facts(&workshop.ca()).subject, "CN=one");
}

#[test]
fn a_directory_that_is_not_there_is_made_so_that_a_service_comes_to_its_key() {
    let workshop = Workshop::new("Shore CA");
    let request = Request::client("boat", &[], 825).unwrap();
    let directory = workshop.path("clients");
    workshop.authority.issue_files(&request, &directory, "boat", Replace::Never, NOW).unwrap();
    assert!(directory.join("boat.crt").exists());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&directory.join("boat.key"))), (0o755, 0o600));
}

#[test]
fn why_a_chain_does_not_hold_is_told() {
    let (workshop, other) = (Workshop::new("CA"), Workshop::new("Another CA"));
    let namesake = Workshop::new("CA");
    let server = workshop.server(&["localhost"]);
    let wrong = verify(&server, &other.ca(), NOW).unwrap_err();
    assert!(wrong.contains("signed by `CN=CA`"), "{wrong}");
    let remade = verify(&server, &namesake.ca(), NOW).unwrap_err();
    assert!(remade.contains("same name"), "{remade}");
    let late = verify(&server, &workshop.ca(), NOW + 400 * DAY).unwrap_err();
    assert!(late.contains("expired"), "{late}");
    let early = verify(&server, &workshop.ca(), NOW - 2 * DAY).unwrap_err();
    assert!(early.contains("not valid before"), "{early}");
}

#[test]
fn a_renewed_certificate_says_the_same_with_new_dates() {
    let workshop = Workshop::new("CA");
    let server = workshop.server(&["mqtt.local", "10.1.2.3"]);
    let later = NOW + 300 * DAY;
    let request = Request::again(&workshop.authority, &server, None).unwrap();
    let key = PrivateKey::read(&workshop.path("server.key")).unwrap();
    let issued = workshop.authority.issue(&request, &key, later).unwrap();
    let renewed = Chain::parse(Path::new("renewed"), issued.pem.as_bytes()).unwrap();
    let (before, after) = (facts(&server), facts(&renewed));
    assert_eq!((&before.subject, &before.names), (&after.subject, &after.names));
    assert_eq!(before.purpose, after.purpose);
    assert_eq!(after.ends, later + 397 * DAY);
    assert_ne!(before.serial, after.serial, "it can be taken back by itself");
    assert_eq!(verify(&renewed, &workshop.ca(), later), Ok(()));
    let more = ["mqtt.local", "new.host"].map(|name| Name::parse(name).unwrap());
    let wider = workshop.authority.issue(&request.and_names(&more).unwrap(), &key, later).unwrap();
    let wider = Chain::parse(Path::new("wider"), wider.pem.as_bytes()).unwrap();
    assert_eq!(facts(&wider).names, ["mqtt.local", "10.1.2.3", "new.host"]);
    let other = Workshop::new("CA");
    assert!(Request::again(&other.authority, &server, None).is_err());
    let own = Request::again(&workshop.authority, &workshop.ca(), None).unwrap_err();
    assert!(own.to_string().contains("authority"), "{own}");
}

#[test]
fn what_is_taken_back_stays_in_the_list() {
    let workshop = Workshop::new("CA");
    let path = workshop.path("ca.crl");
    let mut names = Vec::new();
    for name in ["a", "b"] {
        let client = workshop.issue(name, &Request::client(name, &[], 825).unwrap());
        let mut list = RevocationList::read(&path, &workshop.authority).unwrap();
        assert!(list.revoke(&workshop.authority, &client, NOW).unwrap());
        assert!(!list.revoke(&workshop.authority, &client, NOW).unwrap(), "once is enough");
        list.write(&path, &workshop.authority, NOW).unwrap();
        names.push(facts(&client).serial);
    }
    let list = RevocationList::read(&path, &workshop.authority).unwrap();
    let serials: Vec<_> = list.entries().iter().map(|entry| entry.serial()).collect();
    assert_eq!(serials, names);
    let other = Workshop::new("CA");
    assert!(RevocationList::read(&path, &other.authority).is_err());
    let foreign = other.issue("c", &Request::client("c", &[], 1).unwrap());
    let mut list = RevocationList::default();
    assert!(list.revoke(&workshop.authority, &foreign, NOW).is_err());
}

#[test]
fn what_people_will_stumble_over_is_told() {
    let workshop = Workshop::new("CA");
    let good = facts(&workshop.server(&["localhost"]));
    let table: [(&str, Facts); 7] = [
        ("expired on", Facts { ends: NOW - DAY, ..good.clone() }),
        ("expires in 29 days", Facts { ends: NOW + 30 * DAY - 1, ..good.clone() }),
        ("not valid before", Facts { begins: NOW + DAY, ..good.clone() }),
        ("no subject alternative name", Facts { names: Vec::new(), ..good.clone() }),
        ("825 days", Facts { ends: NOW + 1000 * DAY, ..good.clone() }),
        ("1024 bits", Facts { rsa_bits: Some(1024), ..good.clone() }),
        ("SHA-1", Facts { weak_signature: true, ..good }),
    ];
    for (words, facts) in table {
        let told = warnings(&facts, NOW);
        assert!(told.len() == 1 && told[0].contains(words), "{words}: {told:?}");
    }
}

#[test]
fn what_is_no_certificate_or_key_is_named() {
    let workshop = Workshop::new("CA");
    let server = fs::read_to_string(workshop.server(&["localhost"]).path()).unwrap();
    let key = fs::read_to_string(workshop.path("server.key")).unwrap();
    let damaged = server.replacen("MII", "AAA", 1);
    let path = workshop.path("file");
    let write = |content: &str| fs::write(&path, content).unwrap();
    for (content, words) in [
        ("", "no certificate"),
        ("hello", "no certificate"),
        (key.as_str(), "mixed up"),
        ("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", "no PEM"),
        (damaged.as_str(), "damaged"),
        (
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            "request",
        ),
    ] {
        write(content);
        let error = Chain::read(&path).unwrap_err().to_string();
        assert!(error.contains(words), "{content}: {error}");
    }
    let head: String = key.chars().take(80).collect();
    let half = format!("{head}\n-----END PRIVATE KEY-----\n");
    for (content, words) in [
        ("", "no key"),
        (server.as_str(), "mixed up"),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "passphrase",
        ),
        (half.as_str(), "cannot be used"),
    ] {
        write(content);
        let error = PrivateKey::read(&path).unwrap_err().to_string();
        assert!(error.contains(words), "{content}: {error}");
    }
    let missing = PrivateKey::read(&workshop.path("nowhere")).unwrap_err().to_string();
    assert!(missing.contains("nowhere"), "{missing}");
    let der = Chain::parse(Path::new("x.der"), &[0x30, 0x82, 1, 1]).unwrap_err().to_string();
    assert!(der.contains("openssl x509"), "{der}");
}

#[test]
fn an_authority_needs_its_own_key_and_the_right_to_sign() {
    let workshop = Workshop::new("CA");
    workshop.server(&["localhost"]);
    let (certificate, key) = Authority::files(workshop.directory.path());
    let foreign = Authority::open(&certificate, &workshop.path("server.key"), NOW).unwrap_err();
    assert!(foreign.to_string().contains("not the key"), "{foreign}");
    drop(key);
    let leaf = Authority::open(&workshop.path("server.crt"), &workshop.path("server.key"), NOW);
    assert!(leaf.unwrap_err().to_string().contains("no authority"));
}

proptest::proptest! {
    /// Whatever stands in a file: an error at worst.
    #[test]
    fn arbitrary_lists_give_names_or_an_error(text: String) {
        for name in names(Path::new("list"), &text).unwrap_or_default() {
            assert!(!name.is_empty());
            drop(Request::client(&name, &[], 1));
        }
        drop(Name::parse(&text));
    }

    /// The same for certificates.
    #[test]
    fn arbitrary_bytes_are_no_certificate(bytes: Vec<u8>, at: usize, with: u8) {
        drop(Chain::parse(Path::new("x"), &bytes));
        assert_eq!(Facts::parse(&bytes), None);
        let mut changed = GOOD.clone();
        let at = at % changed.len();
        changed[at] = with;
        drop(Facts::parse(&changed));
    }
}

static GOOD: std::sync::LazyLock<Vec<u8>> =
    std::sync::LazyLock::new(|| Workshop::new("CA").server(&["localhost"]).first().to_vec());
