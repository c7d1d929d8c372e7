//! The topics and where their values come from.

use super::{Peaks, Totals};

pub(super) const VERSION: &str = "$SYS/broker/version";
pub(super) const UPTIME: &str = "$SYS/broker/uptime";
pub(super) const STORE: &str = "$SYS/broker/store/state";

type Count = fn(&Totals, &Peaks) -> u64;
type Growing = fn(&Totals) -> u64;

/// Counts as they stand.
pub(super) const COUNTS: &[(&str, Count)] = &[
    ("$SYS/broker/clients/total", |t, _| t.stats.sessions),
    ("$SYS/broker/clients/connected", |t, _| t.stats.clients_connected),
    ("$SYS/broker/clients/disconnected", |t, _| t.disconnected()),
    ("$SYS/broker/clients/maximum", |_, peaks| peaks.clients),
    ("$SYS/broker/clients/expired", |t, _| t.stats.sessions_expired),
    // The older names of two of these, which many a dashboard still reads.
    ("$SYS/broker/clients/active", |t, _| t.stats.clients_connected),
    ("$SYS/broker/clients/inactive", |t, _| t.disconnected()),
    ("$SYS/broker/messages/received", |t, _| t.stats.messages_received),
    ("$SYS/broker/messages/sent", |t, _| t.stats.messages_sent),
    ("$SYS/broker/messages/stored", |t, _| t.stored_messages()),
    ("$SYS/broker/store/messages/count", |t, _| t.stored_messages()),
    ("$SYS/broker/store/messages/bytes", |t, _| t.stats.queued_bytes + t.retained_bytes),
    ("$SYS/broker/retained messages/count", |t, _| t.retained),
    ("$SYS/broker/subscriptions/count", |t, _| t.subscriptions),
    ("$SYS/broker/shared_subscriptions/count", |t, _| t.shared_subscriptions),
    ("$SYS/broker/publish/messages/received", |t, _| t.stats.publish_received),
    ("$SYS/broker/publish/messages/sent", |t, _| t.stats.publish_sent),
    ("$SYS/broker/publish/messages/dropped", |t, _| t.stats.publish_dropped),
    ("$SYS/broker/publish/bytes/received", |t, _| t.stats.publish_bytes_received),
    ("$SYS/broker/publish/bytes/sent", |t, _| t.stats.publish_bytes_sent),
    ("$SYS/broker/bytes/received", |t, _| t.stats.bytes_received),
    ("$SYS/broker/bytes/sent", |t, _| t.stats.bytes_sent),
    ("$SYS/broker/heap/current", |t, _| t.heap),
    ("$SYS/broker/heap/maximum", |_, peaks| peaks.heap),
    // Not Mosquitto's: how pacing works at the moment.
    ("$SYS/broker/pacing/interval_us", |t, _| t.pacing_interval_us),
    ("$SYS/broker/pacing/turns_delayed", |t, _| t.turns_delayed),
    ("$SYS/broker/pacing/delayed_us", |t, _| t.delayed_us),
    // Nor these: how the durable store does.
    ("$SYS/broker/store/segments", |t, _| t.store.segments),
    ("$SYS/broker/store/bytes", |t, _| t.store.bytes),
    ("$SYS/broker/store/live_bytes", |t, _| t.store.live_bytes),
    ("$SYS/broker/store/commits", |t, _| t.store.commits),
    ("$SYS/broker/store/commit_us", |t, _| t.store.commit_us.round() as u64),
];

/// Counts whose growth per minute is averaged; the names lack `$SYS/broker/load/` and the span.
pub(super) const LOADS: &[(&str, Growing)] = &[
    ("messages/received", |t| t.stats.messages_received),
    ("messages/sent", |t| t.stats.messages_sent),
    ("publish/received", |t| t.stats.publish_received),
    ("publish/sent", |t| t.stats.publish_sent),
    ("publish/dropped", |t| t.stats.publish_dropped),
    ("bytes/received", |t| t.stats.bytes_received),
    ("bytes/sent", |t| t.stats.bytes_sent),
    ("sockets", |t| t.stats.connections_opened),
    ("connections", |t| t.stats.connects_accepted),
];
