//! What is watched, and from where on it is an alarm.

use std::collections::HashMap;
use std::time::Duration;

use dunlin_broker::{Limit, Rate};
use dunlin_config::Config;

use super::crowd::Bounds;

/// The limits that all shards share, and when somebody is to hear of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyOptions {
    /// Connections at once. Default: as many as the descriptor limit allows.
    pub connections: Option<usize>,
    /// Connections from one address at once; of version 6, from one network of 64 bits. Default: any
    /// number, since gateways and proxies bring many clients from one.
    pub connections_per_address: Option<usize>,
    /// New connections from one address. Default: any number, since after a power cut a whole site comes
    /// back at once.
    pub connect_rate: Option<Rate>,
    /// New connections from everywhere. Default: any number.
    pub connect_rate_total: Option<Rate>,
    /// Resident memory of the process beyond which messages that may have to wait are refused. Default:
    /// any amount, since queues and packets have their own limits.
    pub memory: Option<u64>,
    /// Percent of a limit from which on it is an alarm; 0 turns it off. Default: 80, which leaves time to do
    /// something. An alarm is over 5 percent below.
    pub alarm_at: u8,
    /// Percent by which the retained messages may grow within `growth_within` before it is an alarm; and
    /// they are a thousand more at least; 0 turns it off. Default: 100, twice as many.
    pub retained_growth: u32,
    /// The time for that. Default: an hour: a device that publishes to topics with time stamps shows by
    /// then.
    pub growth_within: Duration,
    /// How long before a certificate expires it is an alarm. Default: 30 days, a month to renew it.
    pub certificates_within: Duration,
    /// Whether counts of causes are published as `$SYS/broker/why/CAUSE`. Default: no.
    pub sys_why: bool,
    /// Where settings were made: `FILE:LINE` by key. Default: not known.
    pub places: HashMap<String, String>,
}

impl Default for WhyOptions {
    fn default() -> Self {
        Self {
            connections: None,
            connections_per_address: None,
            connect_rate: None,
            connect_rate_total: None,
            memory: None,
            alarm_at: 80,
            retained_growth: 100,
            growth_within: Duration::from_hours(1),
            certificates_within: Duration::from_hours(30 * 24),
            sys_why: false,
            places: HashMap::new(),
        }
    }
}

impl WhyOptions {
    /// What is configured.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let (limits, alarms) = (&config.limits, &config.alarms);
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            connections: limits.connections.get().map(size),
            connections_per_address: limits.connections_per_address.get().map(size),
            connect_rate: limits.connect_rate.get().map(Rate::per_second),
            connect_rate_total: limits.connect_rate_total.get().map(Rate::per_second),
            memory: limits.memory.get(),
            alarm_at: alarms.capacity_percent,
            retained_growth: alarms.retained_growth_percent.into(),
            certificates_within: alarms.certificate_expiry,
            sys_why: alarms.sys_why,
            places: places(config),
            ..Self::default()
        }
    }

    pub(crate) const fn bounds(&self) -> Bounds {
        Bounds {
            per_address: self.connections_per_address,
            address_rate: self.connect_rate,
            total_rate: self.connect_rate_total,
        }
    }
}

/// Where the limits were set.
fn places(config: &Config) -> HashMap<String, String> {
    let keys = Limit::ALL.iter().map(|limit| limit.key());
    keys.filter_map(|key| Some((key.to_owned(), config.places.get(key)?.to_string()))).collect()
}
