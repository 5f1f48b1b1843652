//! A viewer that reads as fast as it can and decodes nothing: it knows no more of RFB (RFC 6143) than where a rectangle
//! ends, so that its own cost is that of a `read`.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub(crate) const RAW: i32 = 0;
const COPY_RECT: i32 = 1;
pub(crate) const TIGHT: i32 = 7;
pub(crate) const ZRLE: i32 = 16;
const ZLIB: i32 = 6;
const DESKTOP_SIZE: i32 = -223;
const CURSOR: i32 = -239;

/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;

/// What a run has brought.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) updates: u64,
    pub(crate) bytes: u64,
    pub(crate) pixels: u64,
    pub(crate) time: Duration,
}

pub(crate) struct Viewer {
    stream: TcpStream,
    input: BufReader<TcpStream>,
    pub(crate) width: u16,
    pub(crate) height: u16,
    read: u64,
    scratch: Vec<u8>,
}

impl Viewer {
    /// Connects and gets through the handshake; wants `picture` most.
    pub(crate) fn connect(address: SocketAddr, picture: i32) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let input = BufReader::with_capacity(BUFFER, stream.try_clone()?);
        let mut viewer = Self { stream, input, width: 0, height: 0, read: 0, scratch: vec![0; BUFFER] };
        viewer.handshake(picture)?;
        Ok(viewer)
    }

    fn handshake(&mut self, picture: i32) -> io::Result<()> {
        self.skip(12)?;
        self.stream.write_all(b"RFB 003.008\n")?;
        let types = usize::from(self.u8()?);
        self.skip(types)?;
        self.stream.write_all(&[1])?;
        self.skip(4)?;
        self.stream.write_all(&[1])?;
        (self.width, self.height) = (self.u16()?, self.u16()?);
        self.skip(16)?;
        let name = self.u32()? as usize;
        self.skip(name)?;
        // 32 bits a pixel, little-endian, as Xvnc keeps them; then the encodings.
        let mut out = vec![0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];
        // Zlib, which Xvnc does not have, is for our own pictures where what is wanted most is kept for a relay.
        let mut encodings = vec![picture, COPY_RECT, DESKTOP_SIZE, CURSOR, ZLIB];
        encodings.dedup();
        out.extend([2, 0]);
        out.extend(u16::try_from(encodings.len()).unwrap_or(0).to_be_bytes());
        encodings.iter().for_each(|encoding| out.extend(encoding.to_be_bytes()));
        self.stream.write_all(&out)
    }

    fn skip(&mut self, mut count: usize) -> io::Result<()> {
        while count > 0 {
            let step = count.min(self.scratch.len());
            self.input.read_exact(&mut self.scratch[..step])?;
            self.read += step as u64;
            count -= step;
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.read += N as u64;
        Ok(bytes)
    }

    fn u8(&mut self) -> io::Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> io::Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn request(&mut self, incremental: bool) -> io::Result<()> {
        let mut out = vec![3, u8::from(incremental), 0, 0, 0, 0];
        out.extend(self.width.to_be_bytes());
        out.extend(self.height.to_be_bytes());
        self.stream.write_all(&out)
    }

    pub(crate) fn key(&mut self, keysym: u32) -> io::Result<()> {
        let mut out = Vec::new();
        for pressed in [1, 0] {
            out.extend([4, pressed, 0, 0]);
            out.extend(keysym.to_be_bytes());
        }
        self.stream.write_all(&out)
    }

    /// Presses Ctrl-Alt-F`number`.
    pub(crate) fn chord(&mut self, number: u32) -> io::Result<()> {
        let keys = [0xffe3, 0xffe9, 0xffbd + number];
        let mut out = Vec::new();
        let events = keys.iter().map(|key| (1, key)).chain(keys.iter().rev().map(|key| (0, key)));
        for (pressed, key) in events {
            out.extend([4, pressed, 0, 0]);
            out.extend(key.to_be_bytes());
        }
        self.stream.write_all(&out)
    }

    /// Reads one update; the pixels in it.
    pub(crate) fn update(&mut self) -> io::Result<u64> {
        loop {
            match self.u8()? {
                0 => break,
                2 => {}
                3 => {
                    self.skip(3)?;
                    let length = self.u32()? as usize;
                    self.skip(length)?;
                }
                other => return Err(io::Error::other(format!("message {other}"))),
            }
        }
        self.skip(1)?;
        let rects = self.u16()?;
        let mut pixels = 0;
        for _ in 0..rects {
            pixels += self.rect()?;
        }
        Ok(pixels)
    }

    fn rect(&mut self) -> io::Result<u64> {
        self.skip(4)?;
        let (width, height) = (self.u16()?, self.u16()?);
        let area = usize::from(width) * usize::from(height);
        match self.u32()?.cast_signed() {
            RAW => self.skip(area * 4)?,
            COPY_RECT => self.skip(4)?,
            ZRLE | ZLIB => {
                let length = self.u32()? as usize;
                self.skip(length)?;
            }
            TIGHT => self.tight(usize::from(width), usize::from(height))?,
            CURSOR => {
                self.skip(area * 4 + usize::from(width).div_ceil(8) * usize::from(height))?;
                return Ok(0);
            }
            DESKTOP_SIZE => {
                (self.width, self.height) = (width, height);
                return Ok(0);
            }
            other => return Err(io::Error::other(format!("encoding {other}"))),
        }
        Ok(area as u64)
    }

    /// The community's specification, Tight: three bytes a pixel, since red, green and blue have 8 bits each.
    fn tight(&mut self, width: usize, height: usize) -> io::Result<()> {
        let control = self.u8()? >> 4;
        match control {
            8 => return self.skip(3),
            9 | 10 => {}
            _ => {
                let filter = if control & 4 != 0 { self.u8()? } else { 0 };
                let bytes = match filter {
                    1 => {
                        let colours = usize::from(self.u8()?) + 1;
                        self.skip(colours * 3)?;
                        if colours == 2 { width.div_ceil(8) * height } else { width * height }
                    }
                    _ => width * height * 3,
                };
                if bytes < 12 {
                    return self.skip(bytes);
                }
            }
        }
        let mut length = 0;
        for shift in [0, 7, 14] {
            let byte = self.u8()?;
            length |= usize::from(byte & if shift == 14 { 0xff } else { 0x7f }) << shift;
            if byte & 0x80 == 0 || shift == 14 {
                break;
            }
        }
        self.skip(length)
    }

    /// Asks for changes again and again; what that has brought.
    pub(crate) fn run(&mut self, time: Duration) -> io::Result<Tally> {
        let (start, before) = (Instant::now(), self.read);
        let mut tally = Tally::default();
        self.request(true)?;
        while start.elapsed() < time {
            let pixels = self.update()?;
            tally.updates += 1;
            tally.pixels += pixels;
            self.request(true)?;
        }
        // The answer to the last request.
        self.update()?;
        (tally.bytes, tally.time) = (self.read - before, start.elapsed());
        Ok(tally)
    }
}
