//! What a listener allows its clients, and what is known of who comes in by it.

use core::fmt;
use std::sync::Arc;

use dunlin_proto::QoS;
use dunlin_proto::version::Version;

/// What a listener says about its clients, where it says something else than the settings of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which listener: what those who answer questions know it by.
    pub number: u16,
    /// The versions that may be spoken. All of them.
    pub versions: Versions,
    /// The highest `QoS`. 2: all.
    pub maximum_qos: QoS,
    /// Topic aliases a client may use towards us; `None`: as the settings say.
    pub topic_alias_maximum: Option<u16>,
    /// Topic aliases we use towards a client; `None`: as the settings say.
    pub topic_alias_maximum_out: Option<u16>,
    /// What comes before every topic of its clients. Nothing.
    pub mount_point: Option<Box<str>>,
    /// What identifiers that are given begin with; `None`: as the settings say.
    pub assigned_id_prefix: Option<Box<str>>,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            number: 0,
            versions: Versions::ALL,
            maximum_qos: QoS::ExactlyOnce,
            topic_alias_maximum: None,
            topic_alias_maximum_out: None,
            mount_point: None,
            assigned_id_prefix: None,
        }
    }
}

/// A set of versions of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions(u8);

impl Versions {
    /// All.
    pub const ALL: Self = Self(0b111);
    /// None: the start of a set.
    pub const NONE: Self = Self(0);

    /// These and one more.
    #[must_use]
    pub const fn with(self, version: Version) -> Self {
        Self(self.0 | Self::bit(version))
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, version: Version) -> bool {
        self.0 & Self::bit(version) != 0
    }

    const fn bit(version: Version) -> u8 {
        match version {
            Version::V3_1 => 1,
            Version::V3_1_1 => 2,
            Version::V5_0 => 4,
        }
    }
}

/// What a verified certificate says about the client that has shown it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certified {
    /// Its common name.
    pub common_name: Option<Arc<str>>,
    /// The whole subject, as RFC 2253 writes it.
    pub subject: Arc<str>,
    /// Its first alternative name.
    pub alternative_name: Option<Arc<str>>,
    /// What it is known by among all certificates: its issuer and its number. Empty if that is not known.
    pub identifier: Arc<[u8]>,
}

impl fmt::Display for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)
    }
}
