//! What is written here, Mosquitto reads: `cargo test -p dunlin-access --test mosquitto -- --ignored`
//! with Debian's packages mosquitto and mosquitto-clients installed.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dunlin_access::dynsec::Dynsec;
use dunlin_access::password::{Hash, Kind, PasswordFile, set};

const PLUGIN: &str = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so";

struct Mosquitto {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Mosquitto {
    /// Starts it with a file and the lines of the configuration that name it.
    fn start(text: &str, settings: impl Fn(&Path) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, text).unwrap();
        let port = free_port();
        let configuration = directory.path().join("mosquitto.conf");
        let lines = settings(&file);
        let text =
            format!("listener {port} 127.0.0.1\nallow_anonymous false\nuser root\n{lines}\n");
        std::fs::write(&configuration, text).unwrap();
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(configuration).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "Mosquitto does not listen");
            sleep(Duration::from_millis(50));
        }
        Self { process, port, _directory: directory }
    }

    fn run(&self, program: &str, user: &str, password: &str, arguments: &[&str]) -> (bool, String) {
        let port = self.port.to_string();
        let output = Command::new(program)
            .args(["-h", "127.0.0.1", "-p", &port, "-u", user, "-P", password])
            .args(arguments)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// One that the system gives neither to who asks for any nor to who connects, so that it is still free when
/// Mosquitto starts.
fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 200).unwrap() * 100;
    loop {
        let port = first + GIVEN.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_add(1);
            *byte = next;
        }
    }
}

#[test]
#[ignore = "needs Mosquitto"]
fn mosquitto_reads_our_password_files() {
    let mut random = counting();
    let old = Hash::create(Kind::Sha512, b"one", &mut random);
    let new = Hash::create(Kind::Pbkdf2Sha512, b"two", &mut random);
    let text = set(&set("", "anna", &old).unwrap(), "bob", &new).unwrap();
    let broker = Mosquitto::start(&text, |file| format!("password_file {}", file.display()));
    for (user, password, expected) in
        [("anna", "one", true), ("bob", "two", true), ("bob", "one", false), ("eve", "one", false)]
    {
        let publish = ["-t", "a", "-m", "b"];
        let (found, _) = broker.run("mosquitto_pub", user, password, &publish);
        assert_eq!(found, expected, "{user}");
    }
}

#[test]
#[ignore = "needs Mosquitto"]
fn we_read_what_mosquitto_passwd_writes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users");
    for kind in ["sha512", "sha512-pbkdf2"] {
        let mut command = Command::new("mosquitto_passwd");
        command.args(["-H", kind, "-c", "-b"]).arg(&path).args(["anna", "a secret:$"]);
        assert!(command.status().unwrap().success());
        let (file, faults) = PasswordFile::parse("users", &std::fs::read_to_string(&path).unwrap());
        assert_eq!(faults, []);
        assert!(file.attempt("anna").verify(Some(b"a secret:$")));
    }
}

#[test]
#[ignore = "needs Mosquitto"]
fn the_plugin_reads_our_dynamic_security() {
    let mut random = counting();
    let mut state = Dynsec::init("admin", b"pw", &mut random);
    let commands = br#"{"commands":[
        {"command":"createRole","rolename":"writer",
         "acls":[{"acltype":"publishClientSend","topic":"a/#","allow":true,"priority":3}]},
        {"command":"createGroup","groupname":"plant","roles":[{"rolename":"writer","priority":2}]},
        {"command":"createClient","username":"anna","password":"hers",
         "groups":[{"groupname":"plant","priority":5}]}]}"#;
    let outcome = state.handle(commands, &mut random);
    assert!(!outcome.response.contains("error"), "{}", outcome.response);
    let broker = Mosquitto::start(&state.to_json(), |file| {
        format!("plugin {PLUGIN}\nplugin_opt_config_file {}", file.display())
    });
    let control = |arguments: &[&str]| {
        let arguments = [&["dynsec"], arguments].concat();
        broker.run("mosquitto_ctrl", "admin", "pw", &arguments).1
    };
    let client = control(&["getClient", "anna"]);
    assert!(client.contains("plant (priority: 5)"), "{client}");
    let role = control(&["getRole", "writer"]);
    assert!(role.contains("publishClientSend    : allow : a/# (priority: 3)"), "{role}");
    let publish = ["-V", "5", "-q", "1", "-t", "a/b", "-m", "x"];
    assert!(broker.run("mosquitto_pub", "anna", "hers", &publish).0);
    assert!(!broker.run("mosquitto_pub", "anna", "his", &publish).0);
}

/// The tool against our state: a listener that knows just enough of MQTT 5 stands for the broker.
#[test]
#[ignore = "needs Mosquitto"]
fn mosquitto_ctrl_works_with_our_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        let mut random = counting();
        let mut state = Dynsec::init("admin", b"pw", &mut random);
        for stream in listener.incoming() {
            serve(&mut stream.unwrap(), &mut state);
        }
    });
    let table: &[(&[&str], &str)] = &[
        (&["createRole", "sensor"], ""),
        (&["addRoleACL", "sensor", "publishClientSend", "s/#", "allow", "5"], ""),
        (
            &["addRoleACL", "nope", "publishClientSend", "s/#", "allow"],
            "addRoleACL: Error: Role not found\n",
        ),
        (&["createClient", "anna", "-c", "cid", "-p", "pw1"], ""),
        (&["createGroup", "plant"], ""),
        (&["addGroupClient", "plant", "anna", "3"], ""),
        (&["addGroupRole", "plant", "sensor", "4"], ""),
        (&["addClientRole", "anna", "sensor", "2"], ""),
        (&["disableClient", "anna"], ""),
        (
            &["getClient", "anna"],
            "Username: anna\nClientid: cid\nDisabled: true\nRoles:    sensor (priority: 2)\n\
             Groups:   plant (priority: 3)\n",
        ),
        (
            &["getGroup", "plant"],
            "Groupname: plant\nRoles:     sensor (priority: 4)\nClients:   anna\n",
        ),
        (
            &["getRole", "sensor"],
            "Rolename: sensor\nACLs:     publishClientSend    : allow : s/# (priority: 5)\n",
        ),
        (&["listClients"], "admin\nanna\n"),
        (&["listGroups", "1", "0"], "plant\n"),
        (&["listRoles"], "admin\nsensor\n"),
        (&["setAnonymousGroup", "plant"], ""),
        (&["getAnonymousGroup"], "plant\n"),
        (&["setDefaultACLAccess", "publishClientSend", "allow"], ""),
        (
            &["getDefaultACLAccess"],
            "publishClientSend    : allow\npublishClientReceive : allow\nsubscribe            : deny\n\
             unsubscribe          : allow\n",
        ),
        (&["deleteRole", "sensor"], ""),
        // As Mosquitto 2.1 has it.
        (
            &["deleteGroup", "plant"],
            "deleteGroup: Error: Deleting the anonymous group is forbidden\n",
        ),
        (&["deleteClient", "anna"], ""),
        (&["getClient", "anna"], "getClient: Error: Client not found\n"),
    ];
    for (arguments, expected) in table {
        let output = Command::new("mosquitto_ctrl")
            .args(["-h", "127.0.0.1", "-p", &port, "-u", "admin", "-P", "pw", "dynsec"])
            .args(*arguments)
            .output()
            .unwrap();
        let all = [output.stdout, output.stderr].concat();
        let all = String::from_utf8(all).unwrap();
        let shown: String = all
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with(['W', 'T']))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(shown, *expected, "{arguments:?}");
    }
}

/// CONNECT, SUBSCRIBE and PUBLISH with QoS 1, each in one packet; answers to commands.
fn serve(stream: &mut TcpStream, state: &mut Dynsec) {
    let packet = |first: u8, body: &[u8]| {
        let mut bytes = vec![first];
        let mut len = body.len();
        while len >= 128 {
            bytes.push(u8::try_from(len % 128).unwrap() | 128);
            len /= 128;
        }
        bytes.push(u8::try_from(len).unwrap());
        [&bytes, body].concat()
    };
    while let Some((first, body)) = receive(stream) {
        let topic = |at: usize| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
        let answer = match first >> 4 {
            1 => packet(0x20, &[0, 0, 0]),
            8 => packet(0x90, &[body[0], body[1], 0, 1]),
            3 => {
                let id = 2 + topic(0);
                let payload = &body[id + 3 + usize::from(body[id + 2])..];
                let response = state.handle(payload, &mut counting()).response;
                let name = dunlin_access::dynsec::RESPONSE_TOPIC;
                let len = u16::try_from(name.len()).unwrap().to_be_bytes();
                let body = [&len[..], name.as_bytes(), &[0], response.as_bytes()].concat();
                [packet(0x40, &body[id..id + 2]), packet(0x30, &body)].concat()
            }
            _ => continue,
        };
        stream.write_all(&answer).unwrap();
    }
}

fn receive(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    let first = byte[0];
    let (mut len, mut shift) = (0_usize, 0);
    loop {
        stream.read_exact(&mut byte).ok()?;
        len |= usize::from(byte[0] & 127) << shift;
        shift += 7;
        if byte[0] < 128 {
            break;
        }
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).ok()?;
    Some((first, body))
}
