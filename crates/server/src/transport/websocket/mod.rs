//! MQTT on WebSocket (RFC 6455): bytes of the stream in, bytes of MQTT out, and the other way.

mod frame;
mod request;

use core::fmt;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use request::RequestFault;
pub use request::WebSocketOptions;

use super::guess::Spoken;
use frame::{HEADER_LONGEST, Header, Opcode};

/// Answers to pings that may wait; a peer that asks on without reading gets no more.
const WAITING_PONGS: usize = 4_096;

/// The server's side of one WebSocket.
pub(crate) struct WebSocket {
    options: Arc<WebSocketOptions>,
    state: State,
    /// What was read of a request or of a header, or the payload of a control frame.
    partial: Vec<u8>,
    /// Between the first and the last frame of a message in parts.
    in_message: bool,
}

enum State {
    /// The request is to come.
    Request,
    /// The header of a frame is to come.
    Header,
    /// The payload of a frame is to come.
    Payload { header: Header, left: u64 },
    /// The end was said by one side.
    Closed,
}

/// Why a WebSocket ends that should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WebSocketFault {
    /// Its request was refused.
    Request(RequestFault),
    /// Something else than a request came.
    Spoken(Spoken),
    /// A frame breaks the rules.
    Frame(&'static str),
    /// A frame of text, which MQTT must not come in.
    Text,
}

/// What became of bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Heard {
    /// The client behind trusted proxies, told once.
    pub(crate) forwarded_for: Option<IpAddr>,
    /// The peer wants to end.
    pub(crate) ended: bool,
}

impl WebSocket {
    pub(crate) const fn new(options: Arc<WebSocketOptions>) -> Self {
        Self { options, state: State::Request, partial: Vec::new(), in_message: false }
    }

    /// Takes `bytes` of the stream, appends the MQTT in them to `into`, and what is to be answered to
    /// `out`: also after an error, it says why the connection ends.
    pub(crate) fn received(
        &mut self,
        mut bytes: &[u8],
        from: IpAddr,
        into: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Heard, WebSocketFault> {
        let mut heard = Heard::default();
        while !bytes.is_empty() {
            let result = match self.state {
                State::Request => self.take_request(&mut bytes, from, &mut heard, out),
                State::Header => {
                    self.take_short(&mut bytes, into);
                    self.take_header(&mut bytes, out)
                }
                State::Payload { header, left } => {
                    self.take_payload(&mut bytes, header, left, into, out);
                    Ok(())
                }
                State::Closed => {
                    heard.ended = true;
                    return Ok(heard);
                }
            };
            if let Err(fault) = result {
                self.refuse(fault, out);
                return Err(fault);
            }
        }
        heard.ended = matches!(self.state, State::Closed);
        Ok(heard)
    }

    /// Appends the header of a frame that `length` bytes of MQTT are to follow.
    pub(crate) fn announce(&self, length: usize, out: &mut Vec<u8>) {
        frame::write_header(Opcode::Binary, length, out);
    }

    /// Says the end, if it was not said yet.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if matches!(self.state, State::Header | State::Payload { .. }) {
            self.close(1000, out);
        }
        self.state = State::Closed;
    }

    /// Whether MQTT can be sent.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Header | State::Payload { .. })
    }

    fn take_request(
        &mut self,
        bytes: &mut &[u8],
        from: IpAddr,
        heard: &mut Heard,
        out: &mut Vec<u8>,
    ) -> Result<(), WebSocketFault> {
        let known = self.partial.len();
        self.partial.extend_from_slice(bytes);
        match Spoken::in_bytes(&self.partial) {
            Spoken::Http | Spoken::Unknown => {}
            other => return Err(WebSocketFault::Spoken(other)),
        }
        // The end may have been cut.
        let searched = known.saturating_sub(3);
        let end = self.partial[searched..].windows(4).position(|four| four == b"\r\n\r\n");
        let limit = self.options.maximum_request;
        let Some(end) = end.map(|end| searched + end).filter(|end| *end <= limit) else {
            *bytes = &[];
            let first = self.partial.first().is_some_and(u8::is_ascii_uppercase);
            return if !first {
                Err(WebSocketFault::Request(RequestFault::Garbage))
            } else if self.partial.len() > limit {
                Err(WebSocketFault::Request(RequestFault::TooLarge))
            } else {
                Ok(())
            };
        };
        let head = mem::take(&mut self.partial);
        let accepted =
            request::answer(&head[..end], from, &self.options).map_err(WebSocketFault::Request)?;
        out.extend_from_slice(accepted.answer.as_bytes());
        heard.forwarded_for = accepted.forwarded_for;
        self.state = State::Header;
        *bytes = bytes.get(end + 4 - known..).unwrap_or(&[]);
        Ok(())
    }

    /// Takes frames that need no second look, one after the other.
    fn take_short(&self, bytes: &mut &[u8], into: &mut Vec<u8>) {
        if self.in_message || !self.partial.is_empty() {
            return;
        }
        while let Some((payload, mask, rest)) = frame::short(bytes) {
            frame::unmask_short(payload, mask, into);
            *bytes = rest;
        }
    }

    fn take_header(&mut self, bytes: &mut &[u8], out: &mut Vec<u8>) -> Result<(), WebSocketFault> {
        let known = self.partial.len();
        let parsed = if known == 0 {
            frame::parse(bytes)
        } else {
            let missing = (HEADER_LONGEST - known).min(bytes.len());
            self.partial.extend_from_slice(&bytes[..missing]);
            frame::parse(&self.partial)
        };
        let Some((header, length)) = parsed.map_err(WebSocketFault::Frame)? else {
            if known == 0 {
                self.partial = bytes.to_vec();
            }
            *bytes = &[];
            return Ok(());
        };
        self.partial = Vec::new();
        *bytes = &bytes[length - known..];
        match header.opcode {
            // [MQTT-6.0.0-1]
            Opcode::Text => return Err(WebSocketFault::Text),
            Opcode::Continuation if !self.in_message => {
                return Err(WebSocketFault::Frame("it continues a message that was not begun"));
            }
            Opcode::Binary if self.in_message => {
                return Err(WebSocketFault::Frame("a message begins within another"));
            }
            Opcode::Continuation | Opcode::Binary => self.in_message = !header.is_final,
            Opcode::Close | Opcode::Ping | Opcode::Pong => {}
        }
        if header.length == 0 {
            self.end_frame(header, out);
        } else {
            self.state = State::Payload { header, left: header.length };
        }
        Ok(())
    }

    fn take_payload(
        &mut self,
        bytes: &mut &[u8],
        header: Header,
        left: u64,
        into: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (payload, rest) = bytes.split_at(here);
        *bytes = rest;
        let phase = ((header.length - left) % 4) as usize;
        match header.opcode {
            // [MQTT-6.0.0-2]: packets begin and end anywhere.
            Opcode::Binary | Opcode::Continuation => {
                frame::unmask(payload, header.mask, phase, into);
            }
            _ => frame::unmask(payload, header.mask, phase, &mut self.partial),
        }
        let left = left - here as u64;
        if left == 0 {
            self.end_frame(header, out);
        } else {
            self.state = State::Payload { header, left };
        }
    }

    fn end_frame(&mut self, header: Header, out: &mut Vec<u8>) {
        self.state = State::Header;
        match header.opcode {
            Opcode::Ping => {
                let payload = mem::take(&mut self.partial);
                if out.len() < WAITING_PONGS {
                    frame::write_header(Opcode::Pong, payload.len(), out);
                    out.extend_from_slice(&payload);
                }
            }
            Opcode::Close => {
                let code = match *mem::take(&mut self.partial) {
                    [] => 1000,
                    [high, low, ..] => match u16::from_be_bytes([high, low]) {
                        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => code,
                        _ => 1002,
                    },
                    [_] => 1002,
                };
                self.close(code, out);
            }
            Opcode::Pong => self.partial = Vec::new(),
            Opcode::Binary | Opcode::Text | Opcode::Continuation => {}
        }
    }

    fn close(&mut self, code: u16, out: &mut Vec<u8>) {
        frame::write_header(Opcode::Close, 2, out);
        out.extend(code.to_be_bytes());
        self.state = State::Closed;
    }

    fn refuse(&mut self, fault: WebSocketFault, out: &mut Vec<u8>) {
        self.partial = Vec::new();
        match fault {
            WebSocketFault::Request(RequestFault::Origin) if !self.options.answers_origins => {}
            WebSocketFault::Request(fault) => out.extend_from_slice(fault.answer().as_bytes()),
            WebSocketFault::Frame(_) => self.close(1002, out),
            WebSocketFault::Text => self.close(1003, out),
            WebSocketFault::Spoken(_) => {}
        }
        self.state = State::Closed;
    }
}

impl fmt::Display for WebSocketFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(fault) => write!(f, "its request for a WebSocket was refused: {fault}"),
            Self::Spoken(spoken) => {
                write!(f, "it speaks {spoken}, but this listener serves MQTT over WebSocket")
            }
            Self::Frame(what) => write!(f, "a frame of WebSocket breaks the rules: {what}"),
            Self::Text => f.write_str(
                "MQTT came in a frame of text, and only binary ones may carry it [MQTT-6.0.0-1]",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
