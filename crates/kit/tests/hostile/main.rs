//! Hostile files for the kit: certificates, lists of devices, password files, whole configurations to
//! audit. `SEEDS=10000 cargo test -p dunlin-kit --test hostile` tries more of them.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod bodies;
#[path = "../../../../fuzz/harness/measure.rs"]
mod measure;
#[path = "../../../../fuzz/harness/mutation.rs"]
mod mutation;

use std::fs;

use bodies::NOW;
use dunlin_config::{Disk, Loader};
use dunlin_kit::audit::audit;
use dunlin_kit::cert::{Authority, Chain, Name, NewAuthority, PrivateKey, Request, RevocationList};
use dunlin_kit::files::Replace;
use dunlin_kit::init::{Plan, init};
use dunlin_kit::passwd::{Change, Scheme, change};
use measure::bounded;
use mutation::seeds;

const PEM_WORDS: &[&str] = &[
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN X509 CRL-----\n",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
    "-----",
    "AAAA",
    "==",
    "\n",
    "\r\n",
    " ",
];

/// An authority with its key, a certificate of a server and a list of revoked ones.
struct Workshop {
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Workshop {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let new = NewAuthority { name: "CA", days: 3650, replace: Replace::Never };
        let authority = Authority::create(directory.path(), &new, NOW).unwrap();
        let names = [Name::parse("localhost").unwrap(), Name::parse("10.1.2.3").unwrap()];
        let request = Request::server(&names, 397).unwrap();
        authority.issue_files(&request, directory.path(), "server", Replace::Never, NOW).unwrap();
        Self { directory, authority }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.path().join(name)).unwrap()
    }
}

#[test]
fn certificates_in_pem_and_in_der() {
    let workshop = Workshop::new();
    let (ca, server) = (workshop.read("ca.crt"), workshop.read("server.crt"));
    let both = [&*server, &*ca].concat();
    let chain = Chain::read(&workshop.directory.path().join("server.crt")).unwrap();
    seeds(400, |mutator| {
        let pem = mutator.variant(&[&ca, &server, &both], PEM_WORDS);
        bounded(pem.len(), || bodies::chain(&pem));
        let der =
            mutator.variant(&[chain.first()], &["\x30\x03", "0\u{0}", "\u{2}\u{1}", "Z", "\u{7f}"]);
        bounded(der.len(), || bodies::facts(&der));
    });
}

#[test]
fn keys_authorities_and_lists_of_revoked_certificates() {
    let workshop = Workshop::new();
    let path = |name: &str| workshop.directory.path().join(name);
    let (key, ca) = (workshop.read("ca.key"), workshop.read("ca.crt"));
    let list = RevocationList::read(&path("ca.crl"), &workshop.authority).unwrap();
    list.write(&path("ca.crl"), &workshop.authority, NOW).unwrap();
    let list = workshop.read("ca.crl");
    let hostile = path("hostile.pem");
    seeds(200, |mutator| {
        let bytes = mutator.variant(&[&key, &ca, &list], PEM_WORDS);
        fs::write(&hostile, &bytes).unwrap();
        bounded(bytes.len(), || {
            if let Err(why) = PrivateKey::read(&hostile) {
                assert!(why.to_string().contains("hostile.pem"), "{why}");
            }
            drop(Authority::open(&hostile, &path("ca.key"), NOW));
            drop(Authority::open(&path("ca.crt"), &hostile, NOW));
            if let Err(why) = RevocationList::read(&hostile, &workshop.authority) {
                assert!(why.to_string().contains("hostile.pem"), "{why}");
            }
        });
    });
}

#[test]
fn lists_of_devices_and_users() {
    let samples = [
        "Name;place\n# the quay\nboat-1;north\n\"a, \"\"b\"\"\",x\n\n boat-2 \t\n",
        "meter-1\nmeter-2\nmeter-3\n",
        "root:x:0:0:root:/root:/bin/sh\ndunlin:x:998:997::/var/lib/dunlin:/usr/sbin/nologin\n",
    ];
    let words = [
        "\"", "\"\"", ",", ";", "\t", "\n", "../", ".", "/", "\u{FEFF}", "\u{0}", ":", "#", "name",
    ];
    seeds(500, |mutator| {
        let text = mutator.text(&samples, &words);
        bounded(text.len(), || {
            bodies::devices(&text);
            bodies::users(&text);
        });
    });
}

/// What `dunlin passwd` does to a file that something else has damaged: the file is well after it, or as it
/// was.
#[test]
fn password_files_that_are_changed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("passwd");
    let scheme = Scheme::new(Some("sha512"), None).unwrap();
    let samples =
        ["anna:$6$c2FsdHNhbHQ=$AAAA\nbert:plain\n", "# staff\r\nanna:$7$101$AAAA$AAAA\r\n"];
    seeds(200, |mutator| {
        let text =
            mutator.variant(&samples.map(str::as_bytes), &["$", ":", "\n", "anna:", "\u{0}", "#"]);
        fs::write(&path, &text).unwrap();
        for change_of in [
            Change::Set("zoe", "four words", scheme),
            Change::Delete("anna"),
            Change::Upgrade(scheme),
        ] {
            let before = fs::read(&path).unwrap();
            if change(&path, &change_of).is_err() {
                assert_eq!(fs::read(&path).unwrap(), before, "changed, and an error told");
            }
        }
    });
}

#[test]
fn configurations_that_are_audited() {
    let directory = tempfile::tempdir().unwrap();
    let site = directory.path().join("site");
    let names = [Name::parse("localhost").unwrap()];
    let plan = Plan {
        directory: &site,
        names: &names,
        user: "ann",
        password: Some("four words that nobody knows".to_owned().into()),
        service: None,
        data: None,
        port: 8883,
        local: false,
    };
    init(&plan, NOW).unwrap();
    let mut files: Vec<_> = walk(&site);
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    let path = site.join("dunlin.toml").display().to_string();
    let words = [
        "\n",
        "\"",
        "[[listener]]\n",
        "#",
        "topic #\n",
        "user ",
        "AAAA",
        "-----",
        "=",
        "true",
        "../",
        "0.0.0.0",
    ];
    seeds(200, |mutator| {
        let hostile = mutator.pick(&files).clone();
        let before = fs::read(&hostile).unwrap();
        let bytes = mutator.variant(&[&before], &words);
        fs::write(&hostile, &bytes).unwrap();
        bounded(bytes.len() + 65_536, || {
            if let Ok(loaded) = Loader::new(&Disk).load(Some(&path)) {
                let report = audit(&loaded, NOW);
                assert!(report.score() <= report.rules.len());
            }
        });
        fs::write(&hostile, before).unwrap();
    });
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
