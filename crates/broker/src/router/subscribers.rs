//! What is kept with each filter.

use dunlin_proto::qos::QoS;

use super::{SessionKey, Subscriber};

/// The subscribers of one filter. Nearly all filters have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Subscribers {
    #[default]
    Nobody,
    One(Subscriber),
    /// A list that the index keeps.
    Many(u32),
}

/// As it stands in front of a filter's text.
pub(super) type Packed = [u8; 16];

impl Subscribers {
    #[inline]
    pub(super) const fn is_nobody(self) -> bool {
        matches!(self, Self::Nobody)
    }

    #[inline]
    pub(super) const fn pack(self) -> Packed {
        match self {
            Self::Nobody => [0; 16],
            Self::Many(list) => {
                let [a, b, c, d] = list.to_le_bytes();
                [MANY, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            Self::One(one) => {
                let flags = ONE
                    | one.qos.as_u8()
                    | (one.no_local as u8) << NO_LOCAL
                    | (one.retain_as_published as u8) << RETAIN_AS_PUBLISHED;
                let numbers = (one.session.slot as u128)
                    | (one.session.generation as u128) << 32
                    | (one.identifier as u128) << 64
                    | (one.session.shard as u128) << 96;
                (numbers << 8 | flags as u128).to_le_bytes()
            }
        }
    }

    #[inline]
    pub(super) const fn unpack(packed: Packed) -> Self {
        let flags = packed[0];
        let numbers = u128::from_le_bytes(packed) >> 8;
        if flags & ONE == 0 {
            return if flags == MANY { Self::Many(numbers as u32) } else { Self::Nobody };
        }
        let qos = match flags & 3 {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        Self::One(Subscriber {
            session: SessionKey {
                shard: (numbers >> 96) as u16,
                slot: numbers as u32,
                generation: (numbers >> 32) as u32,
            },
            identifier: (numbers >> 64) as u32,
            qos,
            no_local: flags >> NO_LOCAL & 1 == 1,
            retain_as_published: flags >> RETAIN_AS_PUBLISHED & 1 == 1,
        })
    }
}

const ONE: u8 = 0x80;
const MANY: u8 = 0x40;
const NO_LOCAL: u8 = 2;
const RETAIN_AS_PUBLISHED: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_in_packing() {
        for (n, qos) in
            [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].into_iter().enumerate()
        {
            let session = SessionKey { shard: 0xfedc, slot: 0x8765_4321, generation: 0xf00d_cafe };
            let one = Subscriber {
                session,
                identifier: 0x0fff_ffff,
                qos,
                no_local: n == 1,
                retain_as_published: n != 1,
            };
            for subscribers in
                [Subscribers::One(one), Subscribers::Many(0xffff_fffe), Subscribers::Nobody]
            {
                assert_eq!(Subscribers::unpack(subscribers.pack()), subscribers);
            }
        }
    }
}
