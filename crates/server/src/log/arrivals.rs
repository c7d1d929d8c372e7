//! Mosquitto's line about a connection that has said nothing yet, which tools that bar addresses look for.

use std::net::SocketAddr;
use std::time::Duration;

use dunlin_broker::Time;

use super::{CONNECTION, Endpoint};

/// Lines in a second. 100: more than clients come in the normal course, and no flood of connections fills a disk.
const MOST: u32 = 100;

const SECOND: Duration = Duration::from_secs(1);

/// What was told of those who came lately.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    begun: Time,
    told: u32,
    withheld: u64,
}

impl Arrivals {
    /// Tells of one who came to a port, unless there were too many.
    pub(crate) fn tell(&mut self, now: Time, address: SocketAddr, port: u16) {
        let (admitted, withheld) = self.admit(now);
        if withheld > 0 {
            tracing::info!(target: CONNECTION, "{withheld} more connections in a second");
        }
        if admitted {
            let address = Endpoint(address);
            tracing::info!(target: CONNECTION, "New connection from {address} on port {port}.");
        }
    }

    /// Whether there may be a line, and how many there were not in a second that is over.
    fn admit(&mut self, now: Time) -> (bool, u64) {
        let mut withheld = 0;
        if now.since(self.begun) >= SECOND {
            withheld = self.withheld;
            *self = Self { begun: now, ..Self::default() };
        }
        if self.told < MOST {
            self.told += 1;
            return (true, withheld);
        }
        self.withheld += 1;
        (false, withheld)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_connections_is_told_by_its_number() {
        let (mut arrivals, start) = (Arrivals::default(), Time::from_secs(1_000));
        let lines = (0..500).filter(|_| arrivals.admit(start) == (true, 0)).count();
        assert_eq!(lines, MOST as usize);
        let later = start.saturating_add(SECOND);
        assert_eq!(arrivals.admit(later), (true, 400));
        assert_eq!(arrivals.admit(later), (true, 0));
    }
}
