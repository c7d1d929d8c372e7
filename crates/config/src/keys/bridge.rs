//! One bridge.

use super::{Key, keys};
use crate::model::Bridge;

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Bridge>] = keys! { Bridge;
    "name" name, "", AtOnce,
        "What the bridge is called, as in `$SYS/broker/connection/NAME/state`. Needed.";
    "addresses" addresses, "", AtOnce,
        "`host` or `host:port` of the other broker, and of those to try after it. Port 1883 by default. Needed.";
    "topics" topics, "", AtOnce,
        "What goes which way. Needed.";
    "version" version, "", AtOnce,
        "The version of MQTT that is spoken. 3.1.1: every broker knows it.";
    "remote_client_id" remote.client_id, "", AtOnce,
        "Our client identifier at the other broker. Default: the host name, a dot and the name of the bridge, as Mosquitto.";
    "remote_username" remote.username, "", AtOnce,
        "Our user name at the other broker. Default: none.";
    "remote_password" remote.password, "", AtOnce,
        "Our password at the other broker. Default: none.";
    "local_client_id" local.client_id, "", AtOnce,
        "The client identifier of the bridge here. Default: `local.` and the remote one, as Mosquitto.";
    "local_username" local.username, "", AtOnce,
        "The user name of the bridge here, for the access rules. Default: none.";
    "local_password" local.password, "", AtOnce,
        "The password of the bridge here. Default: none.";
    "remote_clean_start" remote_clean_start, "", AtOnce,
        "Whether the other broker forgets us when the connection ends. Off: then messages wait.";
    "local_clean_start" local_clean_start, "", AtOnce,
        "Whether this broker forgets the bridge when the connection ends. Default: as `remote_clean_start`.";
    "keep_alive" keep_alive, "seconds", AtOnce,
        "The keep alive, at least 5. 60, as Mosquitto.";
    "reconnect_after" reconnect.after, "time", AtOnce,
        "When a broken connection is made again. 5s at first, as Mosquitto.";
    "reconnect_at_most" reconnect.at_most, "time", AtOnce,
        "Up to which it waits longer each time. 30s, as Mosquitto; the same as `reconnect_after` for always the same.";
    "reconnect_stable_after" reconnect.stable_after, "time", AtOnce,
        "A connection that lasted this long begins from `reconnect_after` again. 0: every one.";
    "idle_timeout" reconnect.idle_timeout, "time", AtOnce,
        "When a lazy bridge that is idle disconnects. 1m, as Mosquitto.";
    "threshold" reconnect.threshold, "messages", AtOnce,
        "How many messages wait when a lazy bridge connects. 10, as Mosquitto.";
    "notifications" notify, "", AtOnce,
        "Where the state of the bridge is published. On both brokers, as Mosquitto.";
    "notification_topic" notification_topic, "", AtOnce,
        "The topic of it. Default: `$SYS/broker/connection/CLIENT_ID/state`.";
    "start" habits.start, "", AtOnce,
        "When the bridge connects. At once and again whenever the connection is lost.";
    "reload" habits.reload, "", AtOnce,
        "When a reload changes the bridge. With its next connection, as Mosquitto.";
    "address_choice" habits.choice, "", AtOnce,
        "Which of several addresses is used. The first that can be reached, as Mosquitto.";
    "try_private" habits.try_private, "", AtOnce,
        "Whether the bridge tells the other broker what it is, so that loops are avoided. On, as Mosquitto.";
    "attempt_unsubscribe" habits.attempt_unsubscribe, "", AtOnce,
        "Whether topics that are no longer configured are unsubscribed. On, as Mosquitto.";
    "outgoing_retain" habits.outgoing_retain, "", AtOnce,
        "Whether what goes out keeps its retain flag. On, as Mosquitto; some cloud services refuse it.";
    "maximum_packet_size" bounds.maximum_packet_size, "bytes", AtOnce,
        "Largest packet that is sent. Unlimited: what the other broker allows.";
    "topic_alias_maximum" bounds.topic_alias_maximum, "aliases", AtOnce,
        "Topic aliases that the other broker may use. 10, as Mosquitto.";
    "receive_maximum" bounds.receive_maximum, "messages" from 1 to 65_535, AtOnce,
        "QoS 1 and 2 messages that the other broker may have unacknowledged. Default: `limits.receive_maximum`.";
    "session_expiry" bounds.session_expiry, "time", AtOnce,
        "How long the other broker keeps our session. Default: for ever, or not at all with `remote_clean_start`.";
    "cafile" tls.cafile, "", AtOnce,
        "Authorities that the certificate of the other broker comes from, PEM; with it the bridge is encrypted. Default: none.";
    "capath" tls.capath, "", AtOnce,
        "A directory of such authorities. Default: none.";
    "certfile" tls.certfile, "", AtOnce,
        "Our certificate, PEM. Default: none.";
    "keyfile" tls.keyfile, "", AtOnce,
        "The key of our certificate, PEM. Default: none.";
    "use_os_certs" tls.use_os_certs, "", AtOnce,
        "Whether the authorities that this machine trusts are accepted; with it the bridge is encrypted. Off.";
    "insecure" tls.insecure, "", AtOnce,
        "Whether the name in the certificate of the other broker does not matter. Off: with it anybody with any certificate could answer.";
    "require_ocsp" tls.require_ocsp, "", AtOnce,
        "Whether the other broker must show that its certificate is still valid. Off, as Mosquitto.";
    "minimum_tls_version" tls.minimum_version, "", AtOnce,
        "The lowest version of TLS. Default: 1.2.";
    "ciphers" tls.ciphers, "", AtOnce,
        "Cipher suites by the names that OpenSSL uses, best first. Default: all that are secure.";
    "alpn" tls.alpn, "", AtOnce,
        "The protocol that is offered in the handshake, which some cloud services want. Default: none.";
    "bind_address" bind_address, "", AtOnce,
        "The address that connections leave from. Default: the system chooses.";
    "tcp_keep_alive" tcp_keep_alive, "seconds, seconds, number", AtOnce,
        "Probes of TCP: after how long idle, how long between, how many. Default: those of the system.";
    "tcp_user_timeout" tcp_user_timeout, "milliseconds", AtOnce,
        "How long sent bytes may be unacknowledged before the connection ends. Default: that of the system.";
};
