//! Configurations, and what the audit says about them.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dunlin_config::{Disk, Loader};
use dunlin_kit::audit::{Report, Weight, audit};
use dunlin_kit::cert::Name;
use dunlin_kit::init::{Plan, init};

const NOW: u64 = 1_795_280_700;
const DAY: u64 = 86_400;

/// A directory as `dunlin init` makes it.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let names = [Name::parse("localhost").unwrap()];
        let password = Some("four words that nobody knows".to_owned().into());
        let directory_of = directory.path();
        let plan = Plan {
            directory: directory_of,
            names: &names,
            user: "ann",
            password,
            service: None,
            data: None,
            port: 8883,
            local: false,
        };
        init(&plan, NOW).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn change(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{from:?} is not in {name}");
        fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn audit(&self) -> Report {
        self.audit_at(NOW)
    }

    fn audit_at(&self, now: u64) -> Report {
        judge(&self.path("dunlin.toml"), now)
    }
}

fn judge(path: &Path, now: u64) -> Report {
    audit(&Loader::new(&Disk).load(path.to_str()).unwrap(), now)
}

/// The numbers of the rules that are broken.
fn broken(report: &Report) -> Vec<usize> {
    let rules = report.rules.iter().zip(1..);
    rules.filter(|(rule, _)| !rule.is_kept()).map(|(_, number)| number).collect()
}

/// All that breaks a rule, with its places.
fn told(report: &Report) -> String {
    let findings = report.rules.iter().flat_map(|rule| &rule.findings);
    let findings = findings.filter(|finding| finding.weight == Weight::Broken);
    let line = |finding: &dunlin_kit::audit::Finding| {
        format!("{}: {}\n", finding.place.clone().unwrap_or_default(), finding.what)
    };
    findings.map(line).collect()
}

#[test]
fn what_init_makes_keeps_all_rules() {
    let report = Site::new().audit();
    assert_eq!((told(&report).as_str(), report.score()), ("", 7));
}

#[test]
fn each_rule_is_broken_by_what_it_is_about() {
    type Change = fn(&Site);
    let table: [(&str, &[usize], &str, Change); 14] = [
        ("plain", &[1, 5, 7], "not encrypted", |site| {
            let text = "[[listener]]\nport = 1883\n[security]\nallow_anonymous = false\n";
            let rest = format!(
                "password_file = {:?}\nacl_file = {:?}\n",
                site.path("passwd"),
                site.path("acl")
            );
            fs::write(site.path("dunlin.toml"), format!("{text}{rest}")).unwrap();
        }),
        ("key log", &[1], "keys of all connections", |site| {
            site.change(
                "dunlin.toml",
                "[security]",
                "[server]\ntls_keylog = \"/tmp/x\"\n[security]",
            );
        }),
        ("anonymous", &[2], "without a user name", |site| {
            site.change("dunlin.toml", "allow_anonymous = false", "allow_anonymous = true");
        }),
        ("plain password", &[3], "passwd:2: user \"bob\": the password is in plain text", |site| {
            let text = fs::read_to_string(site.path("passwd")).unwrap();
            fs::write(site.path("passwd"), format!("{text}bob:hello\n")).unwrap();
        }),
        ("password as the name", &[3], "the user name or `password`", |site| {
            let scheme = dunlin_kit::passwd::Scheme::default();
            let change = dunlin_kit::passwd::Change::Set("bob", "bob", scheme);
            dunlin_kit::passwd::change(&site.path("passwd"), &change).unwrap();
        }),
        ("few rounds", &[3], "hundred rounds", |site| {
            let rounds = std::num::NonZeroU32::new(101);
            let scheme = dunlin_kit::passwd::Scheme::new(Some("sha512-pbkdf2"), rounds).unwrap();
            let change = dunlin_kit::passwd::Change::Set("bob", "good enough", scheme);
            dunlin_kit::passwd::change(&site.path("passwd"), &change).unwrap();
        }),
        ("open password file", &[3], "mode 0644", |site| site.mode("passwd", 0o644)),
        ("rule for all", &[4], "acl:1: every user may write every topic", |site| {
            fs::write(site.path("acl"), "pattern write #\n").unwrap();
        }),
        ("no rules", &[4], "may read and write every topic", |site| {
            site.change("dunlin.toml", "acl_file", "#acl_file");
        }),
        ("open key", &[5], "mode 0644", |site| site.mode("server/server.key", 0o644)),
        ("another key", &[5], "is not the key of", |site| {
            fs::copy(site.path("clients/ann/ann.key"), site.path("server/server.key")).unwrap();
        }),
        ("no certificate", &[5], "No such file", |site| {
            fs::remove_file(site.path("server/server.crt")).unwrap();
        }),
        ("no log", &[6], "no log", |site| {
            site.change("dunlin.toml", "[security]", "[log]\ndestinations = []\n[security]");
        }),
        ("optional", &[7], "certificates are optional", |site| {
            site.change("dunlin.toml", "= \"required\"", "= \"optional\"");
        }),
    ];
    for (name, rules, words, change) in table {
        let site = Site::new();
        change(&site);
        let report = site.audit();
        let told = told(&report);
        assert_eq!(broken(&report), rules, "{name}: {told}");
        assert!(told.contains(words), "{name}: {told}");
    }
}

#[test]
fn secrets_in_the_configuration_stay_secret() {
    let site = Site::new();
    site.change("dunlin.toml", "[alarms]", "[security.jwt]\nsecret = \"of all\"\n[alarms]");
    assert!(site.audit().is_clean());
    site.mode("dunlin.toml", 0o644);
    let report = site.audit();
    assert!(told(&report).contains("dunlin.toml has mode 0644"), "{}", told(&report));
    assert_eq!(broken(&report), [3]);
}

#[test]
fn a_login_service_is_not_asked_in_the_open() {
    for (url, rules) in [
        ("http://auth.example/ask", &[3][..]),
        ("https://auth.example/ask", &[]),
        ("http://127.0.0.1:8080/ask", &[]),
    ] {
        let site = Site::new();
        let service = format!("[security.http]\nurl = \"{url}\"\n[alarms]");
        site.change("dunlin.toml", "[alarms]", &service);
        assert_eq!(broken(&site.audit()), rules, "{url}");
    }
}

#[test]
fn time_breaks_the_rule_about_certificates() {
    let site = Site::new();
    let soon = site.audit_at(NOW + 380 * DAY);
    assert_eq!(broken(&soon), [5]);
    assert!(told(&soon).contains("expires in 17 days"), "{}", told(&soon));
    let late = site.audit_at(NOW + 4000 * DAY);
    let told = told(&late);
    assert!(told.contains("ca.crl expired") && told.contains("it expired on"), "{told}");
}

#[test]
fn findings_say_the_line() {
    let site = Site::new();
    site.change("dunlin.toml", "allow_anonymous = false", "allow_anonymous = true");
    let text = fs::read_to_string(site.path("dunlin.toml")).unwrap();
    let line = text.lines().position(|line| line.starts_with("allow_anonymous")).unwrap() + 1;
    let told = told(&site.audit());
    assert!(told.contains(&format!("dunlin.toml:{line}: ")), "{told}");
}

#[test]
fn the_usual_mosquitto_conf_breaks_what_it_breaks() {
    let site = Site::new();
    let path = site.path("mosquitto.conf");
    let text = "# the first steps of a tutorial\nlistener 1883\nallow_anonymous true\n\
                listener 8883\n";
    let tls = format!(
        "certfile {}\nkeyfile {}\ncafile {}\nrequire_certificate false\n",
        site.path("server/server.crt").display(),
        site.path("server/server.key").display(),
        site.path("ca/ca.crt").display()
    );
    fs::write(&path, format!("{text}{tls}")).unwrap();
    let report = judge(&path, NOW);
    let told = told(&report);
    assert_eq!(broken(&report), [1, 2, 4, 7], "{told}");
    assert!(told.contains("mosquitto.conf:2: ") && told.contains("mosquitto.conf:3: "), "{told}");
    let advice: Vec<_> = report.rules.iter().flat_map(|rule| &rule.findings).collect();
    assert!(advice.iter().any(|finding| finding.change.contains("`require_certificate true`")));
}

#[test]
fn without_a_configuration_nobody_comes_from_outside() {
    let report = audit(&Loader::new(&Disk).load(None).unwrap(), NOW);
    assert_eq!(broken(&report), [2, 4], "{}", told(&report));
}
