//! `$SYS/broker/why/CAUSE`, counts of causes, and `$SYS/broker/alarms/NAME`, what somebody has to look after.

use std::collections::BTreeMap;

use dunlin_broker::Causes;

use crate::why::Alarm;

/// What was last published of them.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    causes: Causes,
    alarms: BTreeMap<String, String>,
}

impl Reasons {
    /// Publishes what has changed: counts, if they are wanted, and alarms, without payload when they are over,
    /// which takes the retained message away.
    pub(super) fn refresh(
        &mut self,
        causes: Option<&Causes>,
        alarms: &[Alarm],
        publish: &mut impl FnMut(&str, &[u8]),
    ) {
        if let Some(causes) = causes {
            for (cause, count) in causes.iter().filter(|(cause, n)| self.causes.of(*cause) != *n) {
                let topic = format!("$SYS/broker/why/{}", cause.as_str());
                publish(&topic, count.to_string().as_bytes());
            }
            self.causes = *causes;
        }
        let raised: BTreeMap<_, _> =
            alarms.iter().map(|alarm| (topic(&alarm.name), alarm.text.clone())).collect();
        for over in self.alarms.keys().filter(|topic| !raised.contains_key(*topic)) {
            publish(over, &[]);
        }
        for (topic, text) in &raised {
            if self.alarms.get(topic) != Some(text) {
                publish(topic, text.as_bytes());
            }
        }
        self.alarms = raised;
    }
}

/// Names may be those of listeners, whose addresses may have anything in them.
fn topic(name: &str) -> String {
    let plain = name.replace(['+', '#', '\0'], "_");
    format!("$SYS/broker/alarms/{plain}")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use dunlin_broker::Cause;

    use super::*;

    fn alarm(name: &str, text: &str) -> Alarm {
        Alarm { name: name.into(), since: SystemTime::UNIX_EPOCH, text: text.into() }
    }

    fn refresh(reasons: &mut Reasons, causes: Option<&Causes>, alarms: &[Alarm]) -> Vec<String> {
        let mut published = Vec::new();
        reasons.refresh(causes, alarms, &mut |topic, payload| {
            published.push(format!("{topic} {}", String::from_utf8_lossy(payload)));
        });
        published
    }

    #[test]
    fn causes_are_published_when_they_have_changed_and_are_wanted() {
        let (mut reasons, mut causes) = (Reasons::default(), Causes::default());
        causes.add(Cause::BadPassword, 3);
        assert!(refresh(&mut reasons, None, &[]).is_empty());
        let published = refresh(&mut reasons, Some(&causes), &[]);
        assert_eq!(published, ["$SYS/broker/why/bad-password 3"]);
        assert!(refresh(&mut reasons, Some(&causes), &[]).is_empty());
    }

    #[test]
    fn an_alarm_is_retained_while_it_lasts() {
        let mut reasons = Reasons::default();
        let raised = vec![alarm("certificate/[::]:8883", "soon"), alarm("a/#", "x")];
        let published = refresh(&mut reasons, None, &raised);
        assert_eq!(
            published,
            ["$SYS/broker/alarms/a/_ x", "$SYS/broker/alarms/certificate/[::]:8883 soon"]
        );
        assert!(refresh(&mut reasons, None, &raised).is_empty());
        let published = refresh(&mut reasons, None, &[alarm("a/#", "y")]);
        assert_eq!(
            published,
            ["$SYS/broker/alarms/certificate/[::]:8883 ", "$SYS/broker/alarms/a/_ y"]
        );
    }
}
