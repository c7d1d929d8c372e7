//! One listener.

use super::{Key, keys};
use crate::model::Listener;

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Listener>] = keys! { Listener;
    "name" name, "", AtOnce,
        "What the log calls it. Default: its address.";
    "port" port, "", Reopen,
        "The port; 0 for a unix socket. 1883 is the port of MQTT, 8883 that of MQTT with TLS, and WebSocket uses 9001 or 443.";
    "address" address, "", Reopen,
        "Where to listen: all addresses, those that only this machine reaches, or one. All: who configures a listener wants to be reached.";
    "interface" interface, "", Reopen,
        "The network interface to listen on, by name. Default: all.";
    "ip_version" ip_version, "", Reopen,
        "Which families of addresses are used. Default: those that there are.";
    "unix_path" unix_path, "", Reopen,
        "The path of a unix socket, with `port = 0`. Default: none.";
    "unix_mode" unix_mode, "mode, as 0o660" from 0 to 0o777, AtOnce,
        "The mode of the unix socket. Default: what the umask of the process leaves.";
    "socket" socket, "", Reopen,
        "The name of a socket that systemd has opened (`FileDescriptorName=`). Default: none.";
    "protocol" protocol, "", Reopen,
        "What is spoken: MQTT, MQTT on WebSocket, or MQTT on QUIC.";
    "certfile" tls.certfile, "", AtOnce,
        "The certificate of the server with what leads to its authority, PEM; with it the listener is encrypted. Default: none.";
    "keyfile" tls.keyfile, "", AtOnce,
        "The key of the certificate, PEM. Needed with `certfile`.";
    "cafile" tls.cafile, "", AtOnce,
        "Authorities whose client certificates are accepted, PEM. Needed to ask for client certificates, unless there is `capath`.";
    "capath" tls.capath, "", AtOnce,
        "A directory of such authorities.";
    "crlfile" tls.crlfile, "", AtOnce,
        "Client certificates that are no longer valid, PEM. Default: none.";
    "client_certificate" tls.client_certificate, "", NewConnections,
        "Whether clients show a certificate. Default: they are not asked.";
    "client_dates" tls.client_dates, "", NewConnections,
        "Whether the dates of client certificates count. They do.";
    "minimum_tls_version" tls.minimum_version, "", NewConnections,
        "The lowest version of TLS. 1.2: devices of this decade speak it.";
    "ciphers" tls.ciphers, "", NewConnections,
        "Cipher suites by the names that OpenSSL uses, best first. Default: all that are secure, as of a version of TLS none of whose suites is named.";
    "sni_directories" tls.sni, "", AtOnce,
        "Directories with `fullchain.pem` and `privkey.pem` of further names: the one is used that the client asks for. Default: none.";
    "mount_point" mount_point, "", NewConnections,
        "What comes before every topic of the clients of this listener. Default: nothing.";
    "maximum_connections" maximum_connections, "connections", AtOnce,
        "Connections at once on this listener. Unlimited: that of all listeners holds.";
    "maximum_qos" maximum_qos, "" from 0 to 2, NewConnections,
        "The highest QoS. 2: all.";
    "versions" versions, "", NewConnections,
        "The versions of MQTT that may be spoken. Default: all.";
    "topic_alias_maximum" topic_alias_maximum, "aliases", NewConnections,
        "Topic aliases that a client may use towards us. Default: that of all listeners.";
    "topic_alias_maximum_out" topic_alias_maximum_out, "aliases", NewConnections,
        "Topic aliases that we use towards a client. Default: that of all listeners.";
    "proxy_protocol" proxy, "", NewConnections,
        "Whether a proxy before this listener says who the client is. Off: without such a proxy anybody could say anything.";
    "proxy_from" proxy_from, "networks", NewConnections,
        "Networks of the proxies, with `proxy_protocol`: others are refused, since they could claim any address, and any certificate. Default: whoever reaches the listener is believed.";
    "proxy_requires_tls" proxy_requires_tls, "", NewConnections,
        "Whether the proxy must say that the client came by TLS. Off, as Mosquitto.";
    "websocket_path" websocket.path, "", NewConnections,
        "The path that a WebSocket client must ask for. Default: any, as Mosquitto.";
    "websocket_origins" websocket.origins, "", NewConnections,
        "Web pages that may connect, as `https://example.com`; clients that are no pages send no origin, and are not asked for one. Default: all.";
    "websocket_refusal" websocket.refusal, "", NewConnections,
        "What other pages are told: HTTP status 403, as RFC 6455 has it, or nothing, as by Mosquitto. `\"close\"` where `websockets_origin` of a `mosquitto.conf` names them.";
    "trusted_proxies" websocket.trusted_proxies, "networks", NewConnections,
        "Networks whose `X-Forwarded-For` is believed. Default: none.";
    "quic_idle_timeout" quic.idle_timeout, "time", NewConnections,
        "A connection of QUIC ends that shows no sign of life for so long. Two minutes, as TCP is given here.";
    "quic_keep_alive" quic.keep_alive, "time", NewConnections,
        "How often a silent client of QUIC is asked for a sign of life. 25 s: routers forget who speaks UDP to whom after half a minute.";
    "allow_from" allow_from, "networks", AtOnce,
        "Networks that may connect, as `192.168.0.0/16`. Default: all.";
    "deny_from" deny_from, "networks", AtOnce,
        "Networks that may not. Default: none.";
    "identity" identity, "", NewConnections,
        "Where the user name comes from: CONNECT, or part of the client certificate. CONNECT by default; the others need `client_certificate = \"required\"`.";
    "username_as_client_id" username_as_client_id, "", NewConnections,
        "Whether the user name is the client identifier too, so that none can take over the session of another. Off, as Mosquitto.";
    "allow_anonymous" access.allow_anonymous, "", AtOnce,
        "Whether clients may come without a user name. Default: as `security.allow_anonymous`.";
    "password_file" access.password_file, "", AtOnce,
        "User names and hashes of their passwords. Default: as `security.password_file`.";
    "acl_file" access.acl_file, "", AtOnce,
        "Who may read and write which topics. Default: as `security.acl_file`.";
    "dynamic_security_file" access.dynamic_security_file, "", AtOnce,
        "Users, roles and groups that change at run time. Default: as `security.dynamic_security_file`.";
    "dynamic_security_password_file" access.dynamic_security_password_file, "", Restart,
        "The password of `admin`, if that file has to be made. Default: as `security.dynamic_security_password_file`.";
    "allow_empty_client_id" access.allow_empty_client_id, "", NewConnections,
        "Whether an empty client identifier is given one. Default: as `security.allow_empty_client_id`.";
    "assigned_id_prefix" access.assigned_id_prefix, "", NewConnections,
        "What client identifiers begin with that are given. Default: as `security.assigned_id_prefix`.";
    "client_id_prefixes" access.client_id_prefixes, "", NewConnections,
        "What a client identifier must begin with. Default: as `security.client_id_prefixes`.";
};
