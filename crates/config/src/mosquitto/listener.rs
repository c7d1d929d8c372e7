//! Keys of listeners, but for security and TLS.

use dunlin_proto::Version;

use super::line::{Line, number, within};
use super::reader::Reader;
use super::{MosquittoKey, Outcome, Repeat, Scope, answered, sets};
use crate::model::{
    Address, IpVersion, Listener, OriginRefusal, Protocol, ProxyProtocol, Versions,
};
use crate::problem::Weight;
use crate::value::Limit;

pub(super) const KEYS: &[&[MosquittoKey]] = &[SECTIONS, SETTING, ANSWERED];

const SECTIONS: &[MosquittoKey] = &[MosquittoKey {
    name: "listener",
    scope: Scope::Section,
    outcome: Outcome::Reads("it begins a listener: `[[listener]]`"),
    repeat: Repeat::Allowed,
    apply: listener,
}];

#[rustfmt::skip]
const SETTING: &[MosquittoKey] = sets! {
    "port" Broker "listener.port" Allowed |r, l| {
        let port = l.between(1, 65_535)?;
        r.local_only = false;
        r.default_listener(l);
        r.listener()?.port = u16::try_from(port).unwrap_or_default();
        Ok(())
    };
    "bind_address" Broker "listener.address" Refused |r, l| {
        let address = l.text()?;
        r.local_only = false;
        r.default_listener(l);
        r.listener()?.address = Address::Named(address.into());
        Ok(())
    };
    "bind_interface" AnyListener "interface" Refused |r, l| { r.listener()?.interface = Some(l.text()?.into()); Ok(()) };
    "socket_domain" AnyListener "ip_version" Allowed |r, l| {
        r.listener()?.ip_version = match l.word()? {
            "ipv4" => IpVersion::V4,
            "ipv6" => IpVersion::V6,
            other => return Err(format!("`{other}` is neither ipv4 nor ipv6")),
        };
        Ok(())
    };
    "protocol" AnyListener "protocol" Allowed |r, l| {
        r.listener()?.protocol = match l.word()? {
            "mqtt" => Protocol::Mqtt,
            "websockets" => Protocol::WebSockets,
            "http_api" => return Err("there is no HTTP API on a listener of its own; take the listener out".into()),
            other => return Err(format!("`{other}` is no protocol: there are mqtt and websockets")),
        };
        Ok(())
    };
    "mount_point" Listener "mount_point" Allowed |r, l| { r.listener()?.mount_point = Some(l.text()?.into()); Ok(()) };
    "max_connections" AnyListener "maximum_connections" Allowed |r, l| { r.listener()?.maximum_connections = Limit::zero_is_none(l.number()?); Ok(()) };
    "max_qos" AnyListener "maximum_qos" Allowed |r, l| { r.listener()?.maximum_qos = l.count(2)?; Ok(()) };
    "maximum_qos" AnyListener "maximum_qos" Allowed |r, l| { r.listener()?.maximum_qos = l.count(2)?; Ok(()) };
    "max_topic_alias" Listener "topic_alias_maximum" Allowed |r, l| { r.listener()?.topic_alias_maximum = Some(l.count(65_535)?); Ok(()) };
    "max_topic_alias_broker" Listener "topic_alias_maximum_out" Allowed |r, l| { r.listener()?.topic_alias_maximum_out = Some(l.count(65_535)?); Ok(()) };
    "accept_protocol_versions" Listener "versions" Allowed versions;
    "enable_proxy_protocol" Listener "proxy_protocol" Allowed |r, l| {
        let version = l.between(1, 2)?;
        r.listener()?.proxy = if version == 1 { ProxyProtocol::V1 } else { ProxyProtocol::V2 };
        Ok(())
    };
    "proxy_protocol_v2_require_tls" Listener "proxy_requires_tls" Allowed |r, l| { r.listener()?.proxy_requires_tls = l.flag()?; Ok(()) };
    "use_username_as_clientid" AnyListener "username_as_client_id" Allowed |r, l| { r.listener()?.username_as_client_id = l.flag()?; Ok(()) };
    "websockets_origin" Listener "websocket_origins" Allowed |r, l| {
        let websocket = &mut r.listener()?.websocket;
        websocket.origins.push(l.text()?.into());
        websocket.refusal = OriginRefusal::Close;
        Ok(())
    };
};

const ANSWERED: &[MosquittoKey] = &[
    answered(
        "http_dir",
        Scope::Listener,
        Outcome::Answered(
            "the broker does not serve files on a listener for clients; let a web server do it that passes \
             WebSocket on",
        ),
    ),
    answered(
        "http_api",
        Scope::Broker,
        Outcome::Answered(
            "it is no key but a protocol of Mosquitto's listeners, which there is not here",
        ),
    ),
];

/// A port and perhaps an address, or zero and the path of a unix socket.
fn listener(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let mut words = line.words();
    let port = words.next().ok_or("it needs a port")?;
    let port = within(number(port)?, 0, 65_535)?;
    let where_to = words.next().filter(|word| !word.starts_with('#'));
    let mut listener =
        Listener { port: u16::try_from(port).unwrap_or_default(), ..Listener::default() };
    match where_to {
        Some(path) if port == 0 => listener.unix_path = Some(path.into()),
        Some(address) => listener.address = Address::Named(address.to_owned()),
        None if port == 0 => return Err("with port 0 it needs the path of a unix socket".into()),
        None => {}
    }
    reader.local_only = false;
    reader.begin_listener(listener, &line.place);
    Ok(())
}

fn versions(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    if !reader.is_below_listener() {
        return Err("it belongs below a `listener`".into());
    }
    let words = line.text()?.split([',', '\t', ' ']).filter(|word| !word.is_empty());
    let mut versions = Versions::NONE;
    for word in words {
        versions = match word {
            "3" => versions.with(Version::V3_1),
            "4" => versions.with(Version::V3_1_1),
            "5" => versions.with(Version::V5_0),
            other => {
                let text = format!("`{other}` is no version and left out: there are 3, 4 and 5");
                reader.note(line, Weight::Warning, text);
                versions
            }
        };
    }
    reader.listener()?.versions = versions;
    Ok(())
}
