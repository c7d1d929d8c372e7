//! What is made here, OpenSSL and Mosquitto use, and the other way round: `cargo test -p dunlin-kit --test
//! foreign -- --ignored` with Debian's packages openssl, mosquitto and mosquitto-clients installed.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dunlin_access::password::PasswordFile;
use dunlin_kit::cert::{
    Authority, Chain, Facts, Name, NewAuthority, PrivateKey, Request, RevocationList, verify,
};
use dunlin_kit::files::Replace;
use dunlin_kit::passwd::{Change, Scheme, change};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a program in here; whether it succeeded, and all that it said.
    fn run(&self, line: &str) -> (bool, String) {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap());
        let output = command.args(words).current_dir(self.0.path()).stdin(Stdio::null()).output();
        let output = output.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn works(&self, line: &str) -> String {
        let (success, said) = self.run(line);
        assert!(success, "{line}: {said}");
        said
    }

    fn authority(&self) -> Authority {
        let new = NewAuthority { name: "Quay CA", days: 3650, replace: Replace::Never };
        Authority::create(self.0.path(), &new, now()).unwrap()
    }

    fn server(&self, authority: &Authority) {
        let names = ["localhost", "127.0.0.1"].map(|name| Name::parse(name).unwrap());
        let request = Request::server(&names, 397).unwrap();
        authority.issue_files(&request, self.0.path(), "server", Replace::Never, now()).unwrap();
    }

    fn client(&self, authority: &Authority, name: &str) {
        let request = Request::client(name, &[], 825).unwrap();
        authority.issue_files(&request, self.0.path(), name, Replace::Never, now()).unwrap();
    }
}

#[test]
#[ignore = "needs openssl"]
fn openssl_verifies_what_is_signed_here() {
    let directory = Directory::new();
    let authority = directory.authority();
    directory.server(&authority);
    directory.client(&authority, "boat");
    let verify = "openssl verify -x509_strict -CAfile ca.crt";
    directory.works(&format!("{verify} -purpose sslserver -verify_hostname localhost server.crt"));
    directory.works(&format!("{verify} -purpose sslserver -verify_ip 127.0.0.1 server.crt"));
    directory.works(&format!("{verify} -purpose sslclient boat.crt"));
    for wrong in ["-purpose sslclient server.crt", "-verify_hostname other.host server.crt"] {
        assert!(!directory.run(&format!("{verify} {wrong}")).0, "{wrong}");
    }
    let subject =
        directory.works("openssl x509 -in boat.crt -noout -subject -ext extendedKeyUsage");
    assert!(
        subject.contains("CN = boat") && subject.contains("Client Authentication"),
        "{subject}"
    );
}

#[test]
#[ignore = "needs openssl"]
fn openssl_refuses_what_was_taken_back() {
    let directory = Directory::new();
    let authority = directory.authority();
    directory.client(&authority, "one");
    directory.client(&authority, "two");
    let mut list = RevocationList::default();
    let one = Chain::read(&directory.path("one.crt")).unwrap();
    list.revoke(&authority, &one, now()).unwrap();
    list.write(&directory.path("ca.crl"), &authority, now()).unwrap();
    let check = "openssl verify -crl_check -CAfile ca.crt -CRLfile ca.crl";
    directory.works(&format!("{check} two.crt"));
    let (success, said) = directory.run(&format!("{check} one.crt"));
    assert!(!success && said.contains("revoked"), "{said}");
}

/// The steps that tutorials give: an authority of RSA, and a server with nothing but a common name.
#[test]
#[ignore = "needs openssl"]
fn authorities_of_openssl_sign_here_and_what_they_signed_badly_is_named() {
    let directory = Directory::new();
    directory.works("openssl genrsa -traditional -out ca.key 2048");
    directory.works(
        "openssl req -new -x509 -days 365 -extensions v3_ca -key ca.key -out ca.crt -subj \
         /C=US/ST=State/L=City/O=IoTClass/CN=CA"
            .replace("  ", " ")
            .as_str(),
    );
    directory.works("openssl genrsa -out server.key 2048");
    directory.works("openssl req -new -out server.csr -key server.key -subj /CN=mqtt.local");
    directory.works(
        "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 365",
    );
    let ca = Chain::read(&directory.path("ca.crt")).unwrap();
    let server = Chain::read(&directory.path("server.crt")).unwrap();
    let facts = Facts::parse(server.first()).unwrap();
    let told = dunlin_kit::cert::warnings(&facts, now()).join("\n");
    assert!(told.contains("no subject alternative name"), "{told}");
    let why = verify(&server, &ca, now()).unwrap_err();
    assert!(why.contains("version 1"), "{why}");
    let key = PrivateKey::read(&directory.path("server.key")).unwrap();
    assert!(server.has_key(&key));

    let (certificate, key) = (directory.path("ca.crt"), directory.path("ca.key"));
    let authority = Authority::open(&certificate, &key, now()).unwrap();
    fs::remove_file(directory.path("server.crt")).unwrap();
    fs::remove_file(directory.path("server.key")).unwrap();
    directory.server(&authority);
    directory.works(
        "openssl verify -CAfile ca.crt -purpose sslserver -verify_hostname localhost server.crt",
    );
}

#[test]
#[ignore = "needs openssl"]
fn keys_of_openssl_are_read_in_all_their_forms() {
    let directory = Directory::new();
    for (line, usable) in [
        ("openssl ecparam -name prime256v1 -genkey -noout -out x.key", Ok(())),
        ("openssl ecparam -name secp384r1 -genkey -noout -out x.key", Ok(())),
        ("openssl genpkey -algorithm ed25519 -out x.key", Ok(())),
        ("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out x.key", Ok(())),
        ("openssl genrsa -traditional -out x.key 3072", Ok(())),
        ("openssl genrsa -out x.key 4096", Ok(())),
        ("openssl genrsa -out x.key 1024", Err("2048")),
        ("openssl ecparam -name secp521r1 -genkey -noout -out x.key", Err("P-384")),
        ("openssl genrsa -aes128 -passout pass:abcd -out x.key 2048", Err("passphrase")),
        (
            "openssl genrsa -aes128 -traditional -passout pass:abcd -out x.key 2048",
            Err("passphrase"),
        ),
    ] {
        directory.works(line);
        match (PrivateKey::read(&directory.path("x.key")), usable) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(words)) => {
                assert!(error.to_string().contains(words), "{line}: {error}")
            }
            (read, _) => panic!("{line}: {read:?}"),
        }
    }
}

struct Mosquitto(Child);

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Mosquitto {
    fn start(directory: &Directory, port: u16, settings: &str) -> Self {
        let text =
            format!("listener {port} 127.0.0.1\nallow_anonymous false\nuser root\n{settings}");
        fs::write(directory.path("mosquitto.conf"), text).unwrap();
        let mut command = Command::new("mosquitto");
        command.args(["-c", "mosquitto.conf"]).current_dir(directory.0.path());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "Mosquitto does not listen");
            sleep(Duration::from_millis(50));
        }
        Self(process)
    }
}

/// One that the system gives neither to who asks for any nor to who connects, so that it is still free when
/// Mosquitto starts.
fn free_port() -> u16 {
    let first = 10_000 + u16::try_from(std::process::id() % 200).unwrap() * 100;
    (first..).find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok()).unwrap()
}

#[test]
#[ignore = "needs mosquitto and its clients"]
fn mosquitto_uses_certificates_lists_and_passwords_from_here() {
    let directory = Directory::new();
    let authority = directory.authority();
    directory.server(&authority);
    directory.client(&authority, "boat");
    directory.client(&authority, "lost");
    let mut list = RevocationList::default();
    list.revoke(&authority, &Chain::read(&directory.path("lost.crt")).unwrap(), now()).unwrap();
    list.write(&directory.path("ca.crl"), &authority, now()).unwrap();
    let passwd = directory.path("passwd");
    let scheme = Scheme::new(Some("sha512-pbkdf2"), None).unwrap();
    change(&passwd, &Change::Create("ann", "over the water", scheme)).unwrap();
    let scheme = Scheme::new(Some("sha512"), None).unwrap();
    change(&passwd, &Change::Set("bob", "under the bridge", scheme)).unwrap();

    let port = free_port();
    let _broker = Mosquitto::start(
        &directory,
        port,
        "cafile ca.crt\ncertfile server.crt\nkeyfile server.key\ncrlfile ca.crl\nrequire_certificate true\n\
         password_file passwd\n",
    );
    let publishes = |certificate: &str, user: &str, password: &str| {
        let output = Command::new("mosquitto_pub")
            .args(["-h", "localhost", "-p", &port.to_string(), "-t", "a", "-m", "b", "-q", "1"])
            .args(["--cafile", "ca.crt", "-u", user, "-P", password])
            .args(["--cert", &format!("{certificate}.crt"), "--key", &format!("{certificate}.key")])
            .current_dir(directory.0.path())
            .output()
            .unwrap();
        output.status.success()
    };
    assert!(publishes("boat", "ann", "over the water"));
    assert!(publishes("boat", "bob", "under the bridge"));
    assert!(!publishes("boat", "ann", "something else"));
    assert!(!publishes("lost", "ann", "over the water"), "it was taken back");
}

#[test]
#[ignore = "needs mosquitto_passwd"]
fn files_of_mosquitto_passwd_and_ours_are_the_same_files() {
    let directory = Directory::new();
    directory.works("mosquitto_passwd -c -b passwd ann one-password");
    directory.works("mosquitto_passwd -H sha512 -b passwd bob two-password");
    let path = directory.path("passwd");
    let scheme = Scheme::new(Some("sha512-pbkdf2"), std::num::NonZeroU32::new(101)).unwrap();
    change(&path, &Change::Set("eve", "three-password", scheme)).unwrap();
    directory.works("mosquitto_passwd -b passwd ann new-password");
    assert_eq!(users(&path), ["ann", "bob", "eve"]);
    change(&path, &Change::Delete("bob")).unwrap();
    directory.works("mosquitto_passwd -D passwd eve");
    assert_eq!(users(&path), ["ann"]);
    let (file, faults) = PasswordFile::parse("passwd", &fs::read_to_string(&path).unwrap());
    assert_eq!(faults, []);
    assert!(file.attempt("ann").verify(Some(b"new-password")));
}

fn users(path: &Path) -> Vec<String> {
    let (file, _) = PasswordFile::parse("passwd", &fs::read_to_string(path).unwrap());
    let mut users: Vec<String> = file.users().map(|(user, _)| user.to_owned()).collect();
    users.sort();
    users
}
