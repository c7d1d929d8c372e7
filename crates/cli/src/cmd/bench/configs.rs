//! Configurations of other brokers, written where a command names them.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use dunlin_kit::cert::{Authority, Name, NewAuthority, Request};
use dunlin_kit::files::Replace;

/// Port and directory go in, the text of the file comes out.
type Content = fn(u16, &str) -> String;

/// What can stand in a command: the word, the name of the file, and what is in it.
const CONFIGS: [(&str, &str, Content); 6] = [
    ("{conf}", "mosquitto.conf", |port, _| mosquitto(port)),
    (TLS, "tls.conf", |port, dir| {
        let files = format!("certfile {dir}/{SERVER}.crt\nkeyfile {dir}/{SERVER}.key\nuser root\n");
        format!("{}{files}", mosquitto(port))
    }),
    ("{ws-conf}", "ws.conf", |port, _| format!("{}protocol websockets\n", mosquitto(port))),
    ("{persistent-conf}", "persistent.conf", mosquitto_persistent),
    ("{nats-conf}", "nats.conf", |port, dir| nats(port, dir, "")),
    ("{nats-always-conf}", "nats.conf", |port, dir| nats(port, dir, SYNC_ALWAYS)),
];

/// The one that needs a certificate.
const TLS: &str = "{tls-conf}";

/// What the files of the certificate are called.
const SERVER: &str = "server";

/// Before each acknowledgement; NATS knows it since 2.10.
const SYNC_ALWAYS: &str = "  sync_interval: always\n";

/// Words with {port}, {dir} and the configurations replaced; these are written to `directory`.
pub(super) fn fill_in(words: &[String], port: u16, directory: &Path) -> Result<Vec<String>> {
    let mut words = words.to_vec();
    let place = directory.to_string_lossy();
    if words.iter().any(|word| word.contains(TLS)) {
        make_certificate(directory).context("making a certificate")?;
    }
    for (name, file, content) in CONFIGS {
        let path = directory.join(file);
        if words.iter().any(|word| word.contains(name)) {
            fs::write(&path, content(port, &place)).context("writing the configuration")?;
        }
        for word in &mut words {
            *word = word.replace(name, &path.to_string_lossy());
        }
    }
    for word in &mut words {
        *word = word.replace("{port}", &port.to_string()).replace("{dir}", &place);
    }
    Ok(words)
}

/// ECDSA P-256, signed by an authority of its own.
fn make_certificate(directory: &Path) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let replace = Replace::Allowed;
    let new = NewAuthority { name: "bench", days: 1, replace };
    let authority = Authority::create(directory, &new, now)?;
    let request = Request::server(&[Name::parse("localhost")?], 1)?;
    authority.issue_files(&request, directory, SERVER, replace, now)?;
    Ok(())
}

/// Whether the command starts a NATS server.
pub(super) fn speaks_nats(words: &[String]) -> bool {
    words.iter().any(|word| word.contains("{nats-"))
}

/// Mosquitto without limits on queues and windows, and without log: what saturation needs.
fn mosquitto(port: u16) -> String {
    format!("{}persistence false\n", mosquitto_base(port))
}

/// The same, and every second all it holds is written to a file, which is not synced.
fn mosquitto_persistent(port: u16, directory: &str) -> String {
    let base = mosquitto_base(port);
    format!(
        "{base}persistence true\npersistence_location {directory}/\nautosave_interval 1\n\
         user root\n"
    )
}

fn mosquitto_base(port: u16) -> String {
    format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\n\
         max_queued_messages 0\nlog_type none\n"
    )
}

/// JetStream in files, synced as `sync` says, else every two minutes.
fn nats(port: u16, directory: &str, sync: &str) -> String {
    format!("listen: \"127.0.0.1:{port}\"\njetstream {{\n  store_dir: \"{directory}\"\n{sync}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_written_where_the_command_names_it() {
        let directory = std::env::temp_dir().join(format!("dunlin-configs-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let words = ["broker", "-p", "{port}", "-c", "{nats-always-conf}"].map(str::to_owned);
        let filled = fill_in(&words, 77, &directory).unwrap();
        assert!(speaks_nats(&words));
        assert_eq!(filled[2], "77");
        let text = fs::read_to_string(&filled[4]).unwrap();
        assert!(text.contains("127.0.0.1:77") && text.contains("sync_interval: always"));
        fs::remove_dir_all(&directory).unwrap();
    }
}
