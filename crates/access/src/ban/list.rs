//! The list of bans.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::UnixSeconds;
use crate::ban::{Network, NetworkFault};
use crate::fault::Fault;

/// More bans than this are not kept, so that whoever provokes them cannot fill the memory.
const BANS_MAX: usize = 100_000;
/// Longer texts than this are not useful in a reason string.
const REASON_MAX: usize = 256;

/// Who is banned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A client identifier.
    ClientId(String),
    /// A user name.
    User(String),
    /// Addresses.
    Address(Network),
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Why, for the log and the client.
    pub reason: String,
    /// When it ends; for ever, if not given.
    pub until: Option<UnixSeconds>,
}

/// Why there is no ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BanFault {
    /// The list is full of bans that have not ended.
    #[error("there are 100000 bans already; remove some, or ban a range of addresses")]
    Full,
    /// The text does not say who.
    #[error("expected client:ID, user:NAME or address:RANGE")]
    Target,
    /// The range of addresses is not one.
    #[error(transparent)]
    Network(#[from] NetworkFault),
}

/// All bans.
#[derive(Debug, Clone, Default)]
pub struct BanList {
    names: HashMap<Target, Ban>,
    networks: HashMap<Network, Ban>,
    /// How many networks there are of each prefix length: so many look-ups find an address.
    prefixes: BTreeMap<u8, usize>,
}

impl BanList {
    /// Adds a ban, or replaces the one there is.
    ///
    /// # Errors
    /// The list is full.
    pub fn insert(
        &mut self,
        target: Target,
        mut ban: Ban,
        now: UnixSeconds,
    ) -> Result<(), BanFault> {
        if self.len() >= BANS_MAX {
            self.purge(now);
            if self.len() >= BANS_MAX {
                return Err(BanFault::Full);
            }
        }
        if ban.reason.len() > REASON_MAX {
            ban.reason = ban.reason.chars().take(REASON_MAX / 4).collect();
        }
        match target {
            Target::Address(network) => {
                if self.networks.insert(network, ban).is_none() {
                    *self.prefixes.entry(network.prefix()).or_default() += 1;
                }
            }
            name => {
                self.names.insert(name, ban);
            }
        }
        Ok(())
    }

    /// Lifts a ban.
    pub fn remove(&mut self, target: &Target) -> Option<Ban> {
        let Target::Address(network) = target else { return self.names.remove(target) };
        let ban = self.networks.remove(network)?;
        self.forget_prefix(*network);
        Some(ban)
    }

    /// Whether an address is banned: to be asked before anything is read from it.
    #[must_use]
    pub fn check_address(&self, address: IpAddr, now: UnixSeconds) -> Option<&Ban> {
        let mut networks = self.prefixes.keys().map(|&prefix| Network::around(address, prefix));
        networks.find_map(|network| self.networks.get(&network).filter(|ban| ban.holds(now)))
    }

    /// Whether a client is banned by its identifier or user name.
    #[must_use]
    pub fn check_client(
        &self,
        client_id: &str,
        user: Option<&str>,
        now: UnixSeconds,
    ) -> Option<&Ban> {
        if self.names.is_empty() {
            return None;
        }
        let by_id = self.names.get(&Target::ClientId(client_id.into()));
        let by_user = || self.names.get(&Target::User(user?.into()));
        let holds = |ban: &&Ban| ban.holds(now);
        by_id.filter(holds).or_else(|| by_user().filter(holds))
    }

    /// Removes what has ended.
    pub fn purge(&mut self, now: UnixSeconds) {
        self.names.retain(|_, ban| ban.holds(now));
        let prefixes = &mut self.prefixes;
        self.networks.retain(|network, ban| {
            let holds = ban.holds(now);
            if !holds {
                lower(prefixes, network.prefix());
            }
            holds
        });
    }

    /// All bans, in the order of their targets.
    #[must_use]
    pub fn all(&self) -> Vec<(Target, &Ban)> {
        let names = self.names.iter().map(|(target, ban)| (target.clone(), ban));
        let networks = self.networks.iter().map(|(&network, ban)| (Target::Address(network), ban));
        let mut all: Vec<_> = names.chain(networks).collect();
        all.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        all
    }

    /// How many there are, with those that have ended but are not yet removed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len() + self.networks.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The list as JSON, one ban a line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::from("[");
        for (index, (target, ban)) in self.all().into_iter().enumerate() {
            text.push_str(if index == 0 { "\n  " } else { ",\n  " });
            let mut value = json!({ "target": target.to_string(), "reason": ban.reason });
            if let Some(until) = ban.until {
                value["until"] = until.into();
            }
            text.push_str(&value.to_string());
        }
        text.push_str("\n]\n");
        text
    }

    /// Reads what [`BanList::to_json`] wrote, without what has ended.
    ///
    /// # Errors
    /// It is not such a list.
    pub fn parse(name: &str, text: &str, now: UnixSeconds) -> Result<Self, Fault> {
        let file: Arc<str> = name.into();
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let line = u32::try_from(error.line()).unwrap_or(0);
            Fault::error(&file, line, "this is not JSON; the line says where it stops being it")
        })?;
        let fault = |number: usize, why: String| {
            Fault::error(&file, 0, format!("ban {number} is not usable: {why}"))
        };
        let values = value.as_array();
        let values = values.ok_or_else(|| Fault::error(&file, 1, "expected a list of bans"))?;
        let mut list = Self::default();
        for (value, number) in values.iter().zip(1..) {
            let target = value.get("target").and_then(Value::as_str).unwrap_or_default();
            let target: Target =
                target.parse().map_err(|why: BanFault| fault(number, why.to_string()))?;
            let reason = value.get("reason").and_then(Value::as_str).unwrap_or_default().into();
            let until =
                match value.get("until") {
                    None => None,
                    Some(until) => Some(until.as_u64().ok_or_else(|| {
                        fault(number, "`until` must be seconds since 1970".into())
                    })?),
                };
            let ban = Ban { reason, until };
            if ban.holds(now) {
                list.insert(target, ban, now).map_err(|why| fault(number, why.to_string()))?;
            }
        }
        Ok(list)
    }

    fn forget_prefix(&mut self, network: Network) {
        lower(&mut self.prefixes, network.prefix());
    }
}

fn lower(prefixes: &mut BTreeMap<u8, usize>, prefix: u8) {
    if let Some(count) = prefixes.get_mut(&prefix) {
        *count -= 1;
        if *count == 0 {
            prefixes.remove(&prefix);
        }
    }
}

impl Ban {
    /// Whether it has not ended.
    #[must_use]
    pub fn holds(&self, now: UnixSeconds) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl FromStr for Target {
    type Err = BanFault;

    fn from_str(text: &str) -> Result<Self, BanFault> {
        match text.split_once(':') {
            Some(("client", id)) if !id.is_empty() => Ok(Self::ClientId(id.into())),
            Some(("user", name)) if !name.is_empty() => Ok(Self::User(name.into())),
            Some(("address", range)) => Ok(Self::Address(range.parse()?)),
            _ => Err(BanFault::Target),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientId(id) => write!(f, "client:{id}"),
            Self::User(name) => write!(f, "user:{name}"),
            Self::Address(network) => write!(f, "address:{network}"),
        }
    }
}
