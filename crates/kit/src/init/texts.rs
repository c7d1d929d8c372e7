//! What stands in the files.

use std::fmt::Write as _;

use super::Plan;
use crate::cert::Name;

/// The name by which clients reach the broker, for examples: one that other machines know.
pub(super) fn host(plan: &Plan<'_>) -> String {
    let is_local = |name: &&Name| matches!(name, Name::Dns(text) if text.starts_with("localhost"));
    let mut names = plan.names.iter().filter(|name| matches!(name, Name::Dns(_)));
    let named = names.find(|name| !is_local(name)).or_else(|| plan.names.first());
    named.map_or_else(|| "localhost".into(), Name::to_string)
}

/// The configuration; `place` is the directory and `data` that of the store, from the root.
pub(super) fn config(plan: &Plan<'_>, place: &str, data: &str) -> String {
    let path = |name: &str| quoted(&format!("{place}/{name}"));
    let mut text = format!(
        "# Made by `dunlin init`. All keys: docs/configuration.md. `dunlin audit -c {place}/dunlin.toml` judges it.\n\
         # A reload (SIGHUP) takes in what changed, here and in the files named here.\n\n"
    );
    if let Some(service) = &plan.service {
        write!(
            text,
            "[server]\n# Whom the broker becomes when it is started as root.\nuser = {}\n\n",
            quoted(&service.user)
        )
        .unwrap_or_default();
    }
    write!(
        text,
        "# MQTT with TLS, for clients with a certificate of our authority.\n\
         [[listener]]\n\
         name = \"tls\"\n\
         port = {port}\n\
         certfile = {certificate}\n\
         keyfile = {key}\n\
         cafile = {ca}\n\
         # `dunlin cert revoke` adds to it.\n\
         crlfile = {crl}\n\
         # \"optional\" lets clients in that have a user name and password only.\n\
         client_certificate = \"required\"\n\
         # Certificate and password are both asked for. With \"common-name\" the certificate alone says who it is.\n\
         identity = \"login\"\n\
         minimum_tls_version = \"1.2\"\n\n",
        port = plan.port,
        certificate = path("server/server.crt"),
        key = path("server/server.key"),
        ca = path("ca/ca.crt"),
        crl = path("ca/ca.crl"),
    )
    .unwrap_or_default();
    let local = "[[listener]]\nname = \"local\"\nport = 1883\naddress = \"loopback\"\n";
    if plan.local {
        text.push_str("# Without TLS, for programs on this machine; they need a user name and password too.\n");
        text.push_str(local);
    } else {
        text.push_str("# Without TLS, for programs on this machine.\n");
        for line in local.lines() {
            writeln!(text, "#{line}").unwrap_or_default();
        }
    }
    write!(
        text,
        "\n[security]\n\
         allow_anonymous = false\n\
         # `dunlin passwd` adds users.\n\
         password_file = {passwd}\n\
         acl_file = {acl}\n\
         # A subscription that would never get anything is refused, so that the mistake is seen.\n\
         denied_subscribe = \"refuse\"\n\n\
         [persistence]\n\
         directory = {data}\n\n\
         [alarms]\n\
         certificate_expiry = \"30d\"\n",
        passwd = path("passwd"),
        acl = path("acl"),
        data = quoted(data),
    )
    .unwrap_or_default();
    text
}

/// The rules: the first user may do everything, others have a branch of their own.
pub(super) fn acl(plan: &Plan<'_>) -> String {
    format!(
        "# Who may read and write which topics, as Mosquitto writes it. What nothing allows is denied.\n\n\
         # May do everything. Give devices users of their own.\n\
         user {}\n\
         topic readwrite #\n\
         topic read $SYS/#\n\n\
         # Every user: a branch of its own (%u is the user name).\n\
         pattern readwrite devices/%u/#\n",
        plan.user
    )
}

/// How the first client connects.
pub(super) fn readme(plan: &Plan<'_>, stem: &str) -> String {
    let host = host(plan);
    let (port, user) = (plan.port, shell(plan.user));
    let (certificate, key) = (shell(&format!("{stem}.crt")), shell(&format!("{stem}.key")));
    let common = format!(
        "-h {host} -p {port} --cafile ca.crt --cert {certificate} --key {key} -u {user} -P \"$MQTT_PASSWORD\""
    );
    format!(
        "# How to connect\n\n\
         `ca.crt` is the authority to trust, `{stem}.crt` and `{stem}.key` say who you are. Keep the key to yourself:\n\
         whoever has it is you. In this directory, after `read -rs MQTT_PASSWORD`:\n\n\
         ```sh\n\
         dunlin sub {common} -t 'devices/#' -v\n\
         dunlin pub {common} -t devices/hello -m world -q 1\n\
         ```\n\n\
         The same with the clients of Mosquitto, and the handshake alone:\n\n\
         ```sh\n\
         mosquitto_sub {common} -t 'devices/#' -v\n\
         mosquitto_pub {common} -t devices/hello -m world -q 1\n\
         openssl s_client -connect {host}:{port} -CAfile ca.crt -cert {certificate} -key {key} -verify_hostname {host} </dev/null\n\
         ```\n\n\
         Libraries want the same: host `{host}`, port {port}, the three files, user name and password. Do not switch the\n\
         check of names off: the certificate of the broker has all names that `dunlin cert show` lists for it.\n"
    )
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(control)).unwrap_or_default();
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// A word as a shell reads it.
fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./@%+=:,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_toml_and_shell() {
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000A\"");
        assert_eq!((shell("it's").as_str(), shell("plain-1").as_str()), ("'it'\\''s'", "plain-1"));
    }
}
