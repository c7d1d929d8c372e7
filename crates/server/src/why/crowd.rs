//! How many connections there are from where, and how fast new ones come.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use dunlin_broker::{Limit, Meter, Rate, Reached, Time};
use parking_lot::Mutex;

/// Addresses remembered. Those without connections that came at their leisure are forgotten first.
const MOST: usize = 65_536;

/// What is allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) per_address: Option<usize>,
    pub(crate) address_rate: Option<Rate>,
    pub(crate) total_rate: Option<Rate>,
}

impl Bounds {
    const fn by_address(self) -> bool {
        self.per_address.is_some() || self.address_rate.is_some()
    }
}

/// Connections by address.
///
/// A lock and not messages: a connection that ends on any shard makes room for one that comes on the first.
/// Taken for each connection that comes or goes, where anything is bounded.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    places: HashMap<IpAddr, Place>,
    total: Meter,
}

#[derive(Debug, Default)]
struct Place {
    open: usize,
    meter: Meter,
}

impl Crowd {
    /// One more connection: from where it is counted, if it is, or which limit is in the way.
    pub(crate) fn enter(
        &self,
        now: Time,
        address: IpAddr,
        bounds: Bounds,
    ) -> Result<Option<IpAddr>, Reached> {
        if !bounds.by_address() && bounds.total_rate.is_none() {
            return Ok(None);
        }
        let mut places = self.0.lock();
        if let Some(rate) = bounds.total_rate
            && !places.total.try_take(now, rate, 1)
        {
            return Err(too_fast(Limit::ConnectRate, rate));
        }
        if !bounds.by_address() {
            return Ok(None);
        }
        let address = network(address);
        if places.places.len() >= MOST {
            places.places.retain(|_, place| place.open > 0 || !place.meter.is_full(now));
        }
        if places.places.len() >= MOST {
            places.places.retain(|_, place| place.open > 0);
        }
        let place = places.places.entry(address).or_default();
        if let Some(allowed) = bounds.per_address
            && place.open >= allowed
        {
            return Err(Reached::new(Limit::AddressConnections, place.open, allowed));
        }
        if let Some(rate) = bounds.address_rate
            && !place.meter.try_take(now, rate, 1)
        {
            return Err(too_fast(Limit::AddressConnectRate, rate));
        }
        place.open += 1;
        Ok(Some(address))
    }

    /// One connection fewer.
    pub(crate) fn leave(&self, now: Time, address: IpAddr) {
        let mut places = self.0.lock();
        if let Some(place) = places.places.get_mut(&address) {
            place.open = place.open.saturating_sub(1);
            if place.open == 0 && place.meter.is_full(now) {
                places.places.remove(&address);
            }
        }
    }
}

fn too_fast(limit: Limit, rate: Rate) -> Reached {
    Reached { limit, value: rate.per_second.saturating_add(1), allowed: rate.per_second }
}

/// What counts as one address: of version 6 the network, which one host has to itself.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        short @ IpAddr::V4(_) => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn enter(crowd: &Crowd, from: &str, bounds: Bounds) -> Result<Option<IpAddr>, Limit> {
        let now = Time::from_secs(100);
        crowd.enter(now, address(from), bounds).map_err(|reached| reached.limit)
    }

    #[test]
    fn each_address_has_its_own_number_of_connections() {
        let crowd = Crowd::default();
        let bounds = Bounds { per_address: Some(2), ..Bounds::default() };
        let counted = enter(&crowd, "10.0.0.1", bounds).expect("the first");
        assert!(enter(&crowd, "10.0.0.1", bounds).is_ok());
        // As it looks on a socket of version 6.
        assert_eq!(enter(&crowd, "::ffff:10.0.0.1", bounds), Err(Limit::AddressConnections));
        assert!(enter(&crowd, "10.0.0.2", bounds).is_ok());
        crowd.leave(Time::from_secs(100), counted.expect("it is counted"));
        assert!(enter(&crowd, "10.0.0.1", bounds).is_ok());
    }

    #[test]
    fn addresses_of_version_6_are_counted_by_network() {
        let crowd = Crowd::default();
        let bounds = Bounds { per_address: Some(1), ..Bounds::default() };
        assert!(enter(&crowd, "2001:db8::1", bounds).is_ok());
        assert_eq!(enter(&crowd, "2001:db8::2:3:4:5", bounds), Err(Limit::AddressConnections));
        assert!(enter(&crowd, "2001:db8:1::1", bounds).is_ok());
    }

    #[test]
    fn connections_have_a_rate_from_each_address_and_altogether() {
        let crowd = Crowd::default();
        let bounds = Bounds {
            address_rate: Some(Rate::per_second(2)),
            total_rate: Some(Rate::per_second(3)),
            ..Bounds::default()
        };
        assert!(enter(&crowd, "10.0.0.1", bounds).is_ok());
        assert!(enter(&crowd, "10.0.0.1", bounds).is_ok());
        assert_eq!(enter(&crowd, "10.0.0.1", bounds), Err(Limit::AddressConnectRate));
        assert_eq!(enter(&crowd, "10.0.0.2", bounds), Err(Limit::ConnectRate));
    }

    #[test]
    fn many_addresses_do_not_fill_the_memory() {
        let crowd = Crowd::default();
        let bounds = Bounds { address_rate: Some(Rate::per_second(1)), ..Bounds::default() };
        for number in 0..200_000u32 {
            let from = IpAddr::from(number.to_be_bytes());
            if let Ok(Some(counted)) = crowd.enter(Time::ZERO, from, bounds) {
                crowd.leave(Time::ZERO, counted);
            }
        }
        assert!(crowd.0.lock().places.len() <= MOST);
    }

    #[test]
    fn where_nothing_is_bounded_nobody_is_counted() {
        let crowd = Crowd::default();
        assert_eq!(enter(&crowd, "10.0.0.1", Bounds::default()), Ok(None));
        assert!(crowd.0.lock().places.is_empty());
    }
}
