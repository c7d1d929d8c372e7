//! A stand-in for a broker that understands nothing: of 2n clients the i-th gets the bytes of the
//! (n+i)-th. Enough to test the generator and to weigh its cost.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Bytes of one copy.
const COPY_BYTES: usize = 256 * 1024;

/// Serves `pairs` pairs, of which all subscribers connect first; ends with them.
pub(crate) fn serve(listener: &TcpListener, pairs: usize) -> io::Result<()> {
    let subscribers = accept_all(listener, pairs)?;
    let publishers = accept_all(listener, pairs)?;
    for subscriber in &subscribers {
        let mut subscriber = subscriber;
        // Fixed header, packet identifier; the rest is left alone.
        let subscribe = read_packet(&mut subscriber)?;
        subscriber.write_all(&[0x90, 3, subscribe[0], subscribe[1], 0])?;
    }
    let copies: Vec<_> = publishers
        .into_iter()
        .zip(subscribers)
        .map(|(from, to)| std::thread::spawn(move || copy(from, to)))
        .collect();
    for copied in copies {
        copied.join().map_err(|_| io::Error::other("a copying thread panicked"))??;
    }
    Ok(())
}

fn accept_all(listener: &TcpListener, count: usize) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        read_packet(&mut stream)?;
        stream.write_all(&[0x20, 2, 0, 0])?;
        streams.push(stream);
    }
    Ok(streams)
}

/// Body of a packet shorter than 128 bytes.
fn read_packet(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut header = [0; 2];
    stream.read_exact(&mut header)?;
    let mut body = vec![0; usize::from(header[1])];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn copy(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            len => to.write_all(&buffer[..len])?,
        }
    }
}
