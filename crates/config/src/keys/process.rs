//! The process, what outlives it, the log and the alarms.

use super::{Key, keys};
use crate::model::Config;

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Config>] = keys! { Config;
    "server.shards" server.shards, "threads" from 1 to 65_535, Restart,
        "Threads that serve clients. Default: one for each core that the process may use.";
    "server.pacing_cap" server.pacing_cap, "time", Restart,
        "The longest that a turn is put off so that more input comes together; 0 turns it off. 600us halves the CPU per message of many sparse senders.";
    "server.stop_grace" server.stop_grace, "time", Restart,
        "How long a stop waits for output to be taken by its readers. 2s: service managers wait longer before they kill.";
    "server.sys_interval" server.sys_interval, "time", Restart,
        "Between refreshes of `$SYS/broker/...`; 0 turns it off. 10s, as Mosquitto.";
    "server.pid_file" server.pid_file, "", Restart,
        "Where the process identifier is written. Default: nowhere; service managers know it.";
    "server.user" server.user, "", Restart,
        "Who the process becomes when it is started as root, after opening what only root may read. Default with a configuration file: `dunlin`, else `mosquitto`, else `nobody`; without one it stays root.";
    "server.daemon" server.daemon, "", Restart,
        "Whether the process leaves the terminal once it listens. Off: service managers and containers want it in front.";
    "server.tls_keylog" server.tls_keylog, "", Restart,
        "Where the secrets of TLS connections are written, for debugging only: who reads this file reads everything. Default: nowhere.";
    "server.control_api" server.control_api, "", AtOnce,
        "Whether `$CONTROL/broker/v1` answers, to those whom the access rules allow it. Off, as Mosquitto.";
    "server.tcp_nodelay" server.tcp_nodelay, "", Restart,
        "Whether small writes leave at once. They always do in this version: a turn writes each connection once, so there is nothing to gather.";
    "server.watch" server.watch, "time", AtOnce,
        "Between two looks at the files of the configuration, certificates, passwords and rules: if one has changed, all are reloaded. 0, which turns it off: what is half written is not read unless somebody says so. 2s is a good value.";
    "server.admin_socket" server.admin_socket, "", Restart,
        "The unix socket on which `dunlin ctl` reaches the broker, for its user and root only. Default: `admin.sock` in the data directory, none if nothing is kept; an empty text turns it off.";

    "persistence.enabled" persistence.enabled, "", Restart,
        "Whether sessions, their messages and retained messages outlive the process. On: what was acknowledged is not lost.";
    "persistence.directory" persistence.directory, "", Restart,
        "The directory of the store, made if there is none. Default: below where the process was started.";
    "persistence.durability" persistence.durability, "", Restart,
        "When something counts as kept, and is acknowledged: once it is on the disk, or once it is written; `\"off\"` keeps nothing, as `enabled = false`. The disk by default: then a power cut loses nothing.";
    "persistence.sync_interval" persistence.sync_interval, "time", Restart,
        "Between syncs when `durability` is `\"interval\"`: what a power cut may lose. 100ms.";
    "persistence.on_damage" persistence.on_damage, "", Restart,
        "What to do if part of the store cannot be read. Default: set it aside and start, since devices wait.";
    "persistence.mosquitto_file" persistence.mosquitto_file, "", Restart,
        "The database of Mosquitto (`mosquitto.db`): what it holds is taken over when the store is new. Default: none.";

    "log.destinations" log.destinations, "", AtOnce,
        "Where the log goes: `stderr`, `stdout`, `syslog`, `topic` (`$SYS/broker/log/...`), `file`; an empty list for nowhere. Standard error by default: service managers and containers collect it.";
    "log.file" log.file, "", AtOnce,
        "Where the destination `file` writes. A reload opens it again, so it can be rotated.";
    "log.types" log.types, "", AtOnce,
        "What is told. Default: errors, warnings, notices and information, as Mosquitto.";
    "log.timestamps" log.timestamps, "", AtOnce,
        "What a line begins with. Default: the date and time of day.";
    "log.timestamp_format" log.timestamp_format, "", AtOnce,
        "How the time is written when `timestamps` is `\"format\"`, as `strftime` does: `%Y-%m-%dT%H:%M:%S`.";
    "log.syslog_facility" log.syslog_facility, "", AtOnce,
        "As whom the system log knows us.";
    "log.connection_messages" log.connection_messages, "", AtOnce,
        "Whether connects and disconnects of clients are told. On, as Mosquitto; a million devices fill a disk.";
    "log.wording" log.wording, "", AtOnce,
        "In whose words it is told which clients come, go and are refused: ours, or Mosquitto's followed by ours, for tools that look for them (`New client connected from ...`). Ours; `\"mosquitto\"` where the file is a `mosquitto.conf` or the program was started by that name.";

    "alarms.capacity_percent" alarms.capacity_percent, "percent" from 0 to 100, AtOnce,
        "How much of a limit may be used before an alarm; 0 turns it off. 80: time to act.";
    "alarms.certificate_expiry" alarms.certificate_expiry, "time", AtOnce,
        "How long before the end of a certificate an alarm is raised. 30d: a month to renew it.";
    "alarms.retained_growth_percent" alarms.retained_growth_percent, "percent in an hour", AtOnce,
        "Growth of the retained messages that raises an alarm; 0 turns it off. 100: they doubled.";
    "alarms.sys_why" alarms.sys_why, "", AtOnce,
        "Whether `$SYS/broker/why/CAUSE` counts refusals, drops and other events by their cause. Off: Mosquitto has nothing like it.";
};
