//! One publishing client.

use anyhow::{Result, bail};
use mio::{Registry, Token};

use super::board::Board;
use super::clock::now_ns;
use super::crowd::Connected;
use super::frames::{PublishFrame, acknowledgement, packet_id_of};
use super::inbox::{AckKind, Inbox, Incoming};
use super::link::{Link, Who};
use super::plan::{Audience, GroupDigits, Plan};
use super::stamp::Stamp;
use super::window::Window;

/// First byte of PUBREL, with its mandatory flags.
const PUBREL: u8 = 0x62;

/// Bytes of one write in saturation: hundreds of small messages, and still within the cache.
const WRITE_BYTES: usize = 64 * 1024;

/// Reasons from here on are errors.
const FIRST_ERROR_REASON: u8 = 0x80;

/// A client that publishes.
#[derive(Debug)]
pub(super) struct Publisher {
    link: Link,
    inbox: Inbox,
    index: u32,
    frame: PublishFrame,
    digits: Option<GroupDigits>,
    window: Window,
    sendings: Sendings,
    messages_per_write: u64,
}

impl Publisher {
    /// Publisher `index` of the plan.
    pub(super) fn new(plan: &Plan, index: u32, connected: Connected) -> Result<Self> {
        let stamp = Stamp { publisher: index, run: plan.run, sequence: 0, scheduled_ns: 0 };
        let topic = plan.topic(index);
        let frame = PublishFrame::new(plan.version, plan.qos, &topic, plan.payload, &stamp);
        let window = if plan.qos == 0 {
            Window::new(plan.window(), false)
        } else {
            let allowed = u64::from(connected.accepted.receive_maximum);
            Window::new(plan.window().min(allowed), true)
        };
        Ok(Self {
            link: Link::new(connected, Who::Publisher(index))?,
            inbox: Inbox::new(plan.version),
            index,
            messages_per_write: (WRITE_BYTES / frame.bytes.len()).max(1) as u64,
            frame,
            digits: GroupDigits::of(plan),
            sendings: match plan.audience {
                Audience::Present => Sendings::default(),
                Audience::Away => Sendings::of(&window),
            },
            window,
        })
    }

    /// Adds the socket to a poll.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> Result<()> {
        self.link.register(registry, token)
    }

    /// Index in the plan.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// The window, for the pace.
    pub(super) fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    /// Whether the kernel holds this publisher back.
    pub(super) fn is_blocked(&self) -> bool {
        self.link.is_blocked()
    }

    /// Tries again what the kernel refused.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.link.flush()
    }

    /// Takes acknowledgements, answers PUBREC; the answers go through `scratch`.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        scratch: &mut Vec<u8>,
        board: &mut Board,
    ) -> Result<()> {
        while let Some(len) = self.link.read(buffer)? {
            scratch.clear();
            let mut closing = None;
            let (window, sendings) = (&mut self.window, &self.sendings);
            let now = sendings.now();
            let fed = self.inbox.feed(&buffer[..len], |incoming| match incoming {
                Incoming::Acknowledgement { kind, packet_id, reason } => {
                    if let Some(sequence) =
                        acknowledged(kind, packet_id, reason, window, board, scratch)
                    {
                        sendings.note(sequence, now, board);
                    }
                }
                Incoming::Disconnect { reason } => closing = Some(reason),
                Incoming::Publish(_) => board.counts.foreign += 1,
                Incoming::Other => {}
            });
            board.latency.settle(now);
            fed.map_err(|error| self.link.failed(error, "reading what the broker sent"))?;
            if let Some(reason) = closing {
                bail!("publisher {}: the broker disconnected: 0x{reason:02x}", self.index);
            }
            if !scratch.is_empty() {
                self.link.write(scratch)?;
            }
            if len < buffer.len() {
                break;
            }
        }
        Ok(())
    }

    /// Sends the next `count` messages, each with its scheduled time, unless the kernel stops it.
    pub(super) fn send(
        &mut self,
        mut count: u64,
        scheduled_ns: impl Fn(u64) -> u64,
        scratch: &mut Vec<u8>,
    ) -> Result<u64> {
        let first = self.window.next();
        while count > 0 && !self.link.is_blocked() {
            let batch = count.min(self.messages_per_write);
            scratch.clear();
            let next = self.window.next();
            for sequence in next..next + batch {
                let scheduled_ns = scheduled_ns(sequence);
                self.sendings.sent(sequence, scheduled_ns);
                self.compose(scratch, sequence, scheduled_ns);
            }
            self.link.write(scratch)?;
            self.window.sent(batch);
            count -= batch;
        }
        Ok(self.window.next() - first)
    }

    #[inline]
    fn compose(&self, out: &mut Vec<u8>, sequence: u64, scheduled_ns: u64) {
        let at = out.len();
        out.extend_from_slice(&self.frame.bytes);
        let frame = &mut out[at..];
        self.frame.write_packet_id(frame, packet_id_of(sequence));
        if let Some(digits) = &self.digits {
            digits.rewrite(&mut frame[self.frame.topic_at..], self.index, sequence);
        }
        Stamp::rewrite(&mut frame[self.frame.stamp_at..], sequence, scheduled_ns);
    }
}

fn acknowledged(
    kind: AckKind,
    packet_id: u16,
    reason: u8,
    window: &mut Window,
    board: &mut Board,
    replies: &mut Vec<u8>,
) -> Option<u64> {
    let counts = &mut board.counts;
    let is_refused = reason >= FIRST_ERROR_REASON;
    counts.refused += u64::from(is_refused);
    let is_last = match kind {
        AckKind::PubAck | AckKind::PubComp => true,
        // [MQTT-4.3.3-4]: an error in PUBREC ends the exchange, else PUBREL goes out.
        AckKind::PubRec => is_refused,
        AckKind::PubRel => return None,
    };
    if !is_last {
        replies.extend_from_slice(&acknowledgement(PUBREL, packet_id));
        return None;
    }
    let sequence = window.acknowledge(packet_id);
    match sequence {
        Some(_) => counts.acknowledged += 1,
        None => counts.unexpected_acks += 1,
    }
    sequence
}

/// When the messages under way were scheduled; empty where no latency is that of acknowledgements.
#[derive(Debug, Default)]
struct Sendings {
    /// By the low bits of the sequence number.
    scheduled_ns: Vec<u64>,
}

impl Sendings {
    fn of(window: &Window) -> Self {
        Self { scheduled_ns: vec![0; window.room().next_power_of_two() as usize] }
    }

    /// The time, if anybody wants it.
    fn now(&self) -> u64 {
        if self.scheduled_ns.is_empty() { 0 } else { now_ns() }
    }

    #[inline]
    fn sent(&mut self, sequence: u64, scheduled_ns: u64) {
        let last = self.scheduled_ns.len().wrapping_sub(1);
        if let Some(place) = self.scheduled_ns.get_mut(sequence as usize & last) {
            *place = scheduled_ns;
        }
    }

    #[inline]
    fn note(&self, sequence: u64, now_ns: u64, board: &mut Board) {
        let last = self.scheduled_ns.len().wrapping_sub(1);
        if let Some(scheduled_ns) = self.scheduled_ns.get(sequence as usize & last) {
            board.latency.note(*scheduled_ns, now_ns);
        }
    }
}
