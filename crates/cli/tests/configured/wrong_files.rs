//! Files that the configuration names and that cannot be used: its line is told besides the file, wherever it is
//! read.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::process::{Place, publish};

/// A certificate that signs itself and its key, and the key of another; both valid until a year begins.
fn certificate(place: &Place, name: &str, until: i32) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).expect("it is signed");
    fs::write(place.path(&format!("{name}.pem")), certificate.pem()).expect("it is written");
    fs::write(place.path(&format!("{name}.key")), key.serialize_pem()).expect("it is written");
}

/// Name of the configuration, its text, and what is said of it.
const WRONG: [(&str, &str, &str); 9] = [
    (
        "d.toml",
        "[[listener]]\nport = PORT2\ncertfile = \"gone.pem\"\nkeyfile = \"a.key\"\n",
        "d.toml:3: listener 0.0.0.0:PORT2: cannot read gone.pem",
    ),
    (
        "d.toml",
        "[[listener]]\nport = PORT2\ncertfile = \"a.pem\"\nkeyfile = \"b.key\"\n",
        "d.toml:4: listener 0.0.0.0:PORT2: the key in b.key does not belong",
    ),
    (
        "m.conf",
        "listener PORT2 127.0.0.1\ncertfile a.pem\nkeyfile b.pem\n",
        "m.conf:3: listener 127.0.0.1:PORT2: b.pem: it holds a certificate and no key",
    ),
    (
        "m.conf",
        "listener PORT2 127.0.0.1\ncertfile a.pem\nkeyfile a.key\ncafile a.key\nrequire_certificate true\n",
        "m.conf:4: listener 127.0.0.1:PORT2: a.key: it holds a key and no certificate",
    ),
    (
        "m.conf",
        "listener PORT2 127.0.0.1\ncertfile a.pem\nkeyfile a.key\ncafile a.pem\ncrlfile b.pem\nrequire_certificate true\n",
        "m.conf:5: listener 127.0.0.1:PORT2: b.pem: it holds no list of revoked certificates",
    ),
    (
        "d.toml",
        "[security.jwt]\nsecret = \"short\"\n",
        "d.toml:2: security.jwt.secret: the secret for HS256, HS384 and HS512 must have at least 32 bytes",
    ),
    (
        "d.toml",
        "[security.jwt]\nsecret_file = \"short\"\n",
        "d.toml:2: security.jwt.secret_file short: the secret for HS256",
    ),
    (
        "d.toml",
        "[security.jwt]\njwks_file = \"a.pem\"\n",
        "d.toml:2: security.jwt.jwks_file: a.pem:1: this is not JSON",
    ),
    (
        "d.toml",
        "[security.http]\nurl = \"ftp://doors\"\n",
        "d.toml:2: security.http.url: `ftp://doors` is no URL: it begins with http:// or https://",
    ),
];

#[test]
fn what_cannot_be_used_is_told_with_the_line_that_names_it_by_the_check_the_start_and_a_reload() {
    let place = Place::new();
    place.write("short", "a\n");
    certificate(&place, "a", 2090);
    certificate(&place, "b", 2090);
    let right = "[persistence]\ndirectory = \"DIR/data\"\n[[listener]]\nport = PORT\nallow_anonymous = true\n";
    place.write("right.toml", right);
    let mut broker = place.start("-c right.toml", &[place.port()]);
    for (count, (file, text, told)) in (1..).zip(WRONG) {
        place.write(file, text);
        let told = place.fill(told);
        for line in [format!("-c {file} --test-config"), format!("-c {file}")] {
            let output = place.run("dunlin", &line);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                said.lines().filter(|line| line.contains(&told)).count(),
                1,
                "{line}: {said}"
            );
            assert_ne!(output.status.code(), Some(0), "{line}: {said}");
        }
        if file == "d.toml" {
            let told = told.replace("d.toml", "right.toml");
            place.write("right.toml", &format!("{text}#"));
            broker.signal("HUP");
            broker.hears(&told);
            broker.hears_times("everything stays as it was", count_of_toml(count));
            place.write("asked.toml", right);
            let alarms = place.run("dunlin", "ctl alarms -c asked.toml").stdout;
            let alarms = String::from_utf8_lossy(&alarms);
            assert!(alarms.contains(&told), "{alarms}");
        }
    }
    assert!(publish(place.port(), "-t a -m b -q 1"));
    assert_eq!(broker.stop(), Some(0));
}

/// How many of the first so many are of `dunlin.toml`.
fn count_of_toml(first: usize) -> usize {
    WRONG.iter().take(first).filter(|(file, _, _)| *file == "d.toml").count()
}

#[test]
fn a_certificate_that_has_expired_is_told_with_its_file_and_line_and_is_an_alarm() {
    let place = Place::new();
    certificate(&place, "c", 2021);
    let told = place.fill("the certificate in DIR/c.pem (d.toml:5) has expired");
    place.write(
        "d.toml",
        "[persistence]\ndirectory = \"DIR/data\"\n[[listener]]\nport = PORT\ncertfile = \"DIR/c.pem\"\n\
         keyfile = \"DIR/c.key\"\n",
    );
    let checked = place.run("dunlin", "-c d.toml --test-config").stderr;
    let checked = String::from_utf8_lossy(&checked);
    assert!(checked.contains(&told), "{checked}");
    let mut broker = place.start("-c d.toml", &[place.port()]);
    broker.hears(&told);
    broker.hears(
        &place.fill("the certificate of listener 0.0.0.0:PORT has expired: DIR/c.pem (d.toml:5)"),
    );
    certificate(&place, "c", 2090);
    broker.signal("HUP");
    broker.hears("is over after");
    assert_eq!(broker.stop(), Some(0));
}
