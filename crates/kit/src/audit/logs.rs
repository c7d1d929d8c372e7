//! Whether somebody could see an attack.

use dunlin_config::model::LogType;

use super::Findings;
use super::subject::Subject;

/// The sixth rule.
pub(super) fn watched(subject: &Subject<'_>, findings: &mut Findings) {
    let log = &subject.config.log;
    if log.destinations.is_empty() {
        findings.broken(
            subject.general("log.destinations"),
            "there is no log",
            subject.write("destinations = [\"stderr\"] in [log]", "`log_dest stderr`"),
        );
        return;
    }
    let wanted =
        [(LogType::Error, "errors"), (LogType::Warning, "warnings"), (LogType::Notice, "notices")];
    let missing: Vec<&str> =
        wanted.iter().filter(|(kind, _)| !log.types.has(*kind)).map(|(_, name)| *name).collect();
    if !missing.is_empty() {
        findings.broken(
            subject.general("log.types"),
            format!("{} are not logged: refused logins are among them", missing.join(" and ")),
            subject.write(
                "types = [\"error\", \"warning\", \"notice\", \"information\"] in [log]",
                "`log_type error`, `log_type warning` and `log_type notice`",
            ),
        );
    }
    if !log.connection_messages {
        findings.broken(
            subject.general("log.connection_messages"),
            "who connects is not logged",
            subject.write("connection_messages = true in [log]", "`connection_messages true`"),
        );
    }
    if subject.config.alarms.capacity_percent == 0 {
        findings.hint(
            subject.general("alarms.capacity_percent"),
            "nobody is told before the broker is full",
            "capacity_percent = 80 in [alarms]",
        );
    }
    if subject.config.security.bans.flapping_connects == 0 {
        findings.hint(
            None,
            "a client that connects again and again is not kept out",
            subject.write(
                "flapping_connects = 30 in [security.bans]",
                "flapping_connects = 30 in [security.bans] of a dunlin.toml (`dunlin import` writes one)",
            ),
        );
    }
}
