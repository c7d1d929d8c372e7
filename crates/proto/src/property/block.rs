//! Blocks of properties: a checked view of received bytes, and a buffer to build one in.

use alloc::vec::Vec;
use core::fmt;

use super::{Property, PropertyId, wire};
use crate::codec::EncodeError;
use crate::codec::reader::Reader;
use crate::qos::QoS;
use crate::violation::{PropertyContext, Violation};

/// A property block without its length, checked when it was received or built.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self(&[]);

    /// Checks a block, its length prefix already taken off.
    ///
    /// # Errors
    /// A property is unknown, malformed, out of range, not allowed there or given twice.
    pub fn parse(bytes: &'a [u8], context: PropertyContext) -> Result<Self, Violation> {
        let mut reader = Reader::new(bytes);
        let mut seen = 0_u64;
        while !reader.is_empty() {
            let property = wire::read(&mut reader)?.id();
            if !property.allowed_in(context) {
                return Err(not_allowed(property, context));
            }
            let bit = 1 << property.as_u8();
            if seen & bit != 0 && !property.repeatable_in(context) {
                return Err(Violation::PropertyDuplicated { property });
            }
            seen |= bit;
        }
        let has = |property: PropertyId| seen & 1 << property.as_u8() != 0;
        if has(PropertyId::AuthenticationData) && !has(PropertyId::AuthenticationMethod) {
            return Err(Violation::AuthenticationDataAlone);
        }
        Ok(Self(bytes))
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The block as it stands on the wire, without its length.
    #[inline]
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The properties in the order they were given in.
    #[inline]
    #[must_use]
    pub const fn iter(self) -> Iter<'a> {
        Iter(Reader::new(self.0))
    }

    /// The user properties, in order.
    pub fn user_properties(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// The subscription identifiers, in order.
    pub fn subscription_identifiers(self) -> impl Iterator<Item = u32> {
        self.iter().filter_map(|property| match property {
            Property::SubscriptionIdentifier(id) => Some(id),
            _ => None,
        })
    }

    /// The first property with this identifier.
    #[must_use]
    pub fn find(self, id: PropertyId) -> Option<Property<'a>> {
        let mut properties = self.iter();
        loop {
            // There may be thousands of these, and only their lengths matter here.
            if id != PropertyId::UserProperty {
                wire::skip_user_properties(&mut properties.0);
            }
            let property = properties.next()?;
            if property.id() == id {
                return Some(property);
            }
        }
    }
}

/// A getter for each property that stands at most once.
macro_rules! getters {
    ($($getter:ident $name:ident $value:ty;)*) => {
        impl<'a> Properties<'a> {
            $(
                #[doc = concat!("The value of [`Property::", stringify!($name), "`], if given.")]
                #[must_use]
                pub fn $getter(self) -> Option<$value> {
                    match self.find(PropertyId::$name)? {
                        Property::$name(value) => Some(value),
                        _ => None,
                    }
                }
            )*
        }
    };
}

getters! {
    payload_format_indicator PayloadFormatIndicator bool;
    message_expiry_interval MessageExpiryInterval u32;
    content_type ContentType &'a str;
    response_topic ResponseTopic &'a str;
    correlation_data CorrelationData &'a [u8];
    subscription_identifier SubscriptionIdentifier u32;
    session_expiry_interval SessionExpiryInterval u32;
    assigned_client_identifier AssignedClientIdentifier &'a str;
    server_keep_alive ServerKeepAlive u16;
    authentication_method AuthenticationMethod &'a str;
    authentication_data AuthenticationData &'a [u8];
    request_problem_information RequestProblemInformation bool;
    will_delay_interval WillDelayInterval u32;
    request_response_information RequestResponseInformation bool;
    response_information ResponseInformation &'a str;
    server_reference ServerReference &'a str;
    reason_string ReasonString &'a str;
    receive_maximum ReceiveMaximum u16;
    topic_alias_maximum TopicAliasMaximum u16;
    topic_alias TopicAlias u16;
    maximum_qos MaximumQoS QoS;
    retain_available RetainAvailable bool;
    maximum_packet_size MaximumPacketSize u32;
    wildcard_subscription_available WildcardSubscriptionAvailable bool;
    subscription_identifier_available SubscriptionIdentifierAvailable bool;
    shared_subscription_available SharedSubscriptionAvailable bool;
}

impl<'a> IntoIterator for Properties<'a> {
    type Item = Property<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The properties of a block, in order.
#[derive(Debug, Clone)]
pub struct Iter<'a>(Reader<'a>);

impl<'a> Iterator for Iter<'a> {
    type Item = Property<'a>;

    #[inline]
    fn next(&mut self) -> Option<Property<'a>> {
        if self.0.is_empty() {
            return None;
        }
        // The block was checked: nothing fails here.
        wire::read(&mut self.0).ok()
    }
}

/// A property block being built.
///
/// What may stand where, and how often, is the caller's to know: the typed options that fill a
/// buffer decide that, not outside data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PropertyBuf(Vec<u8>);

impl PropertyBuf {
    /// An empty buffer; it does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a property whose value is known to be good.
    ///
    /// One that the wire cannot carry is left out; use [`PropertyBuf::try_push`] for values that
    /// come from elsewhere.
    pub fn push(&mut self, property: Property<'_>) {
        let result = self.try_push(property);
        debug_assert!(result.is_ok(), "{property:?} cannot be sent");
    }

    /// Appends a property.
    ///
    /// # Errors
    /// Its text or data is longer than 65 535 bytes, its text contains U+0000, or its number is
    /// out of range. The buffer is then as it was.
    pub fn try_push(&mut self, property: Property<'_>) -> Result<(), EncodeError> {
        let start = self.0.len();
        wire::write(&property, &mut self.0);
        // What reads back the same is what the peer will accept.
        let mut reader = Reader::new(self.0.get(start..).unwrap_or_default());
        if wire::read(&mut reader) == Ok(property) && reader.is_empty() {
            return Ok(());
        }
        self.0.truncate(start);
        Err(EncodeError::InvalidProperty { property: property.id() })
    }

    /// Appends all properties of a block.
    pub fn extend(&mut self, properties: Properties<'_>) {
        self.0.extend_from_slice(properties.as_bytes());
    }

    /// Takes everything out, keeping the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The block as a packet takes it.
    #[inline]
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        Properties(&self.0)
    }
}

impl From<Properties<'_>> for PropertyBuf {
    fn from(properties: Properties<'_>) -> Self {
        Self(properties.as_bytes().to_vec())
    }
}

#[cold]
fn not_allowed(property: PropertyId, context: PropertyContext) -> Violation {
    Violation::PropertyNotAllowed { property, packet: context }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_found_wherever_it_stands_among_user_properties() {
        let user = Property::UserProperty("name", "value");
        let wanted = Property::ReceiveMaximum(7);
        for (before, behind) in [(0, 0), (0, 3), (3, 0), (2, 2)] {
            let mut block = PropertyBuf::new();
            let properties = core::iter::repeat_n(user, before)
                .chain([wanted])
                .chain(core::iter::repeat_n(user, behind));
            properties.for_each(|property| block.push(property));
            let block = block.as_properties();
            assert_eq!(block.receive_maximum(), Some(7));
            assert_eq!(block.find(PropertyId::ReceiveMaximum), Some(wanted));
            assert_eq!(block.topic_alias_maximum(), None);
            let named = block.find(PropertyId::UserProperty);
            assert_eq!(named, (before + behind > 0).then_some(user));
        }
    }
}
