//! Bounds, retained messages and delivery.

use super::{Key, keys};
use crate::model::Config;

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Config>] = keys! { Config;
    "limits.connections" limits.connections, "connections", AtOnce,
        "Connections at once, on all listeners. Unlimited: then the limit is that of open files, which is raised at start and told.";
    "limits.clients" limits.clients, "sessions", AtOnce,
        "Sessions, connected or not. Unlimited, as Mosquitto.";
    "limits.connections_per_address" limits.connections_per_address, "connections", AtOnce,
        "Connections at once from one address. Unlimited: gateways and proxies bring many clients from one.";
    "limits.connections_per_user" limits.connections_per_user, "connections", AtOnce,
        "Connections at once of one user. Unlimited: many a fleet shares one user name.";
    "limits.connect_rate_total" limits.connect_rate_total, "connections in a second", AtOnce,
        "New connections from everywhere. Unlimited, for the same reason as from one address.";
    "limits.connect_rate" limits.connect_rate, "connections in a second", AtOnce,
        "New connections from one address. Unlimited: after a power cut a whole site comes back at once.";
    "limits.half_open" limits.half_open, "connections", AtOnce,
        "Connections of a listener that are in the handshakes of TLS, WebSocket or a proxy. 1000: enough for a site that comes back, bounded for those who hold connections without using them.";
    "limits.before_connect" limits.before_connect, "connections", AtOnce,
        "Connections of a listener whose CONNECT is not there yet. 20 000: what comes back in the time that a slow network takes for it after everybody was cut off.";
    "limits.before_connect_per_address" limits.before_connect_per_address, "connections", AtOnce,
        "The same from one address, as a proxy names it. 4000: a site with many devices behind one address comes back at once.";
    "limits.before_connect_bytes" limits.before_connect_bytes, "bytes", AtOnce,
        "Bytes that a listener holds of CONNECTs that are not complete. 64 MiB: more than 20 000 connections have that log in with tokens.";
    "limits.memory" limits.memory, "bytes", AtOnce,
        "Memory of the process beyond which messages are refused. Unlimited: queues and packets have their own bounds.";
    "limits.maximum_packet_size" limits.maximum_packet_size, "bytes" from 20 to 4_294_967_295, NewConnections,
        "Largest packet accepted. 2 000 000, what Mosquitto 2.1 allows, so that clients that rely on it move over unnoticed.";
    "limits.maximum_payload_size" limits.maximum_payload_size, "bytes", AtOnce,
        "Largest payload accepted; a larger message is refused and the connection stays. Unlimited: the packet is bounded.";
    "limits.maximum_user_properties" limits.maximum_user_properties, "properties", AtOnce,
        "User properties of one packet; what comes with more is refused and the connection stays. 10 000: more than any application is known to use; Mosquitto counts none.";
    "limits.receive_maximum" limits.receive_maximum, "messages" from 1 to 65_535, NewConnections,
        "QoS 1 and 2 messages that a client may have unacknowledged towards us. 20, as Mosquitto.";
    "limits.topic_alias_maximum" limits.topic_alias_maximum, "aliases", NewConnections,
        "Topic aliases that a client may use towards us. 10, as Mosquitto.";
    "limits.topic_alias_maximum_out" limits.topic_alias_maximum_out, "aliases", NewConnections,
        "Topic aliases that we use towards a client that allows them. 10: enough for the few topics of a device.";
    "limits.maximum_inflight" limits.maximum_inflight, "messages" from 1 to 65_535, NewConnections,
        "QoS 1 and 2 messages in flight to one client, lowered by its own receive maximum. 1000: with 20, as Mosquitto, no more than 20 messages can share a write.";
    "limits.maximum_inflight_bytes" limits.maximum_inflight_bytes, "bytes", NewConnections,
        "Bytes of their payloads: while there are fewer, another message goes. Unlimited: the number of messages and their size are bounded.";
    "limits.maximum_queued_messages" limits.maximum_queued_messages, "messages", AtOnce,
        "QoS 1 and 2 messages that wait for one session. 1000, as Mosquitto.";
    "limits.maximum_queued_bytes" limits.maximum_queued_bytes, "bytes", AtOnce,
        "Bytes of them. 16 MiB: 1000 messages of 16 KiB.";
    "limits.maximum_held_bytes" limits.maximum_held_bytes, "bytes", AtOnce,
        "Bytes of QoS 2 messages held for one session until they are released. 64 MiB: more than a client of 5.0 may send, so that it stops only those who cannot be told a receive maximum.";
    "limits.queue_full" limits.queue_full, "", AtOnce,
        "What happens to a message whose queue is full. The newest is dropped, as Mosquitto does.";
    "limits.maximum_output" limits.maximum_output, "bytes", AtOnce,
        "Bytes waiting to be written to one connection; beyond it QoS 0 is dropped, and QoS 1 and 2 wait in the session. 1 MiB: a second of 8 Mbit/s.";
    "limits.maximum_queue_memory" limits.maximum_queue_memory, "bytes", AtOnce,
        "Bytes of queued messages that a shard keeps in memory; beyond it they wait on disk. 256 MiB: a tenth of a small machine.";
    "limits.maximum_shard_queue_bytes" limits.maximum_shard_queue_bytes, "bytes", AtOnce,
        "Bytes that all queues of a shard hold together. 1 GiB.";
    "limits.connect_timeout" limits.connect_timeout, "time", NewConnections,
        "From opening a connection, with TLS and WebSocket, to its CONNECT. 10s: long for a slow radio link, short for those who hold connections without using them.";
    "limits.maximum_keep_alive" limits.maximum_keep_alive, "seconds", NewConnections,
        "Longest keep alive; a longer one is lowered for 5.0 and refused before. 65535: any.";
    "limits.maximum_session_expiry" limits.maximum_session_expiry, "time", NewConnections,
        "Longest session expiry interval, and the one of sessions that never end. Never: any.";
    "limits.maximum_subscriptions" limits.maximum_subscriptions, "subscriptions", AtOnce,
        "Subscriptions of one session. 100 000: a session is no database.";
    "limits.maximum_topic_levels" limits.maximum_topic_levels, "levels" from 1 to 65_535, AtOnce,
        "Levels of a topic name or filter. 201, as Mosquitto, which counts the slashes between them.";
    "limits.maximum_will_delay" limits.maximum_will_delay, "time", NewConnections,
        "Longest will delay interval. Never: any.";
    "limits.publish_rate" limits.publish_rate, "messages in a second", AtOnce,
        "Messages from one client; one that sends more is read more slowly. Unlimited: shards are fair without it.";
    "limits.publish_bytes_rate" limits.publish_bytes_rate, "bytes in a second", AtOnce,
        "Bytes from one client; one that sends more is read more slowly. Unlimited: shards are fair without it.";
    "limits.password_checks" limits.password_checks, "logins" from 1 to 65_535, AtOnce,
        "Logins whose passwords are checked at once, each a core and the memory of its hash, and one more that comes alone or when these get no core. 2: others wait, and messages do not.";

    "retained.available" retained.available, "", NewConnections,
        "Whether messages can be retained; if not, a retained publish is refused. On: most devices rely on it.";
    "retained.check_source" retained.check_source, "", AtOnce,
        "Whether who wrote a retained message must still be allowed to write when it is delivered. On, as Mosquitto.";
    "retained.expiry" retained.expiry, "time", AtOnce,
        "When a retained message without an expiry of its own ends. Never, as the standard says.";
    "retained.expiry_of" retained.expiry_of, "", AtOnce,
        "The same for some topics: the first filter that matches counts, and `retained.expiry` after them. Mount points are part of the topics. Default: none. `[\"tele/# 1d\", \"keep/# never\"]` is an example.";
    "retained.maximum" retained.maximum, "messages", AtOnce,
        "Retained messages. 10 million.";
    "retained.maximum_bytes" retained.maximum_bytes, "bytes", AtOnce,
        "Bytes of them: topics, payloads and properties. 2 GiB: 10 million of 200 bytes.";

    "delivery.queue_qos0" delivery.queue_qos0, "", AtOnce,
        "Whether QoS 0 waits for sessions that are away, too, in memory. Off, as Mosquitto and as the standard expects.";
    "delivery.upgrade_qos" delivery.upgrade_qos, "", AtOnce,
        "Whether a message goes out with the QoS of the subscription where its own is lower. Off: the standard says the lower of both.";
    "delivery.overlapping" delivery.overlapping, "", AtOnce,
        "What a client with overlapping subscriptions receives: a copy for each, or one with the highest QoS; subscriptions with different identifiers get a copy each in any case. Each, as Mosquitto.";
    "delivery.will_delay" delivery.will_delay, "", AtOnce,
        "What becomes of a will with a delay when its session ends before: it is published then, or, as in Mosquitto, an end with the connection does not cut the delay short, and a client that comes back in time takes its will back though it begins a new session. As the standard says; as Mosquitto does under the name `mosquitto`.";
    "delivery.reason_strings" delivery.reason_strings, "", NewConnections,
        "When a 5.0 client is told in words why something was refused. If it asked: others get the shortest packets.";
    "delivery.refusal_codes" delivery.refusal_codes, "", AtOnce,
        "With which codes clients are refused. `\"telling\"`: with those that say why. `\"familiar\"`: clients with a broken string in CONNECT or a will to a topic of the broker's own are closed without CONNACK, a 5.0 client without a client identifier is told 0x80, one with an identifier that it may not use 0x87 (5 before 5.0), as by Mosquitto; with a `mosquitto.conf`, and with `-p` alone. `\"mosquitto\"`: besides, those beyond a limit of connections are closed without CONNACK, beyond the limit of clients a 5.0 client is told 0x89, and a QoS 2 message that comes for the third time on one connection, without PUBREL, ends it; if the program was started by that name. Else those that say why.";
    "delivery.response_information" delivery.response_information, "", NewConnections,
        "Where the Response Information of CONNACK points clients that ask for it: this, the client identifier and a slash. Default: none is sent, as Mosquitto.";
};
