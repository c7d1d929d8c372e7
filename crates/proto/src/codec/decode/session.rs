//! DISCONNECT (3.14) and AUTH (3.15).

use super::ack::reason_and_properties;
use crate::codec::reader::Reader;
use crate::packet::{Auth, Disconnect};
use crate::packet_type::PacketType;
use crate::reason::ReasonCode;
use crate::version::Version;
use crate::violation::Violation;

pub(super) fn disconnect(body: Reader<'_>, version: Version) -> Result<Disconnect<'_>, Violation> {
    let (reason, properties) = reason_and_properties(body, PacketType::Disconnect, version)?;
    Ok(Disconnect { reason, properties })
}

pub(super) fn auth(body: Reader<'_>, version: Version) -> Result<Auth<'_>, Violation> {
    if !version.is_v5() {
        return Err(Violation::AuthBeforeV5);
    }
    let (reason, properties) = reason_and_properties(body, PacketType::Auth, version)?;
    if reason != ReasonCode::Success && properties.authentication_method().is_none() {
        return Err(Violation::AuthenticationMethodMissing);
    }
    Ok(Auth { reason, properties })
}
