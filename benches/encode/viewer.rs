//! A viewer that asks for the whole picture again and again, and checks what it gets.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use xenvnc::geometry::{Rect, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::encoding::{Decoder, Encoding, PictureEncoding};
use xenvnc::rfb::message::{RectHeader, ServerMessage};
use xenvnc::rfb::pixel_format::{PixelFormat, Translator};
use xenvnc::rfb::wire::{Reader, Stop};

/// A connection with what was read and not understood yet.
pub(crate) struct Viewer {
    stream: UnixStream,
    held: Vec<u8>,
    /// All bytes that have come.
    pub(crate) bytes: usize,
    decoder: Decoder,
    translator: Translator,
    pub(crate) canvas: Canvas,
}

impl Viewer {
    /// Shakes hands and says what it understands.
    pub(crate) fn connect(mut stream: UnixStream, encoding: PictureEncoding, level: Option<u8>) -> Self {
        let mut fixed = [0; 12];
        stream.read_exact(&mut fixed).expect("a version");
        stream.write_all(b"RFB 003.008\n").expect("a server");
        stream.read_exact(&mut fixed[..2]).expect("security types");
        assert_eq!(fixed[..2], [1, 1], "a server without a password");
        stream.write_all(&[1]).expect("a server");
        stream.read_exact(&mut fixed[..4]).expect("a result");
        stream.write_all(&[1]).expect("a server");
        let mut init = [0; 24];
        stream.read_exact(&mut init).expect("ServerInit");
        let number = |at: usize| u16::from_be_bytes([init[at], init[at + 1]]);
        let size = Size::new(number(0), number(2));
        let mut name = vec![0; usize::from(number(22))];
        stream.read_exact(&mut name).expect("a name");

        let mut say = vec![0; 4];
        PixelFormat::RGB888.encode(&mut say);
        let mut wishes = vec![encoding.number()];
        wishes.extend(level.map(|level| Encoding(Encoding::COMPRESS_LEVEL_0.0 + i32::from(level))));
        say.extend([2, 0, 0, u8::try_from(wishes.len()).unwrap_or(0)]);
        wishes.iter().for_each(|wish| say.extend(wish.0.to_be_bytes()));
        stream.write_all(&say).expect("a server");
        Self {
            stream,
            held: Vec::new(),
            bytes: 0,
            decoder: Decoder::default(),
            translator: Translator::new(PixelFormat::RGB888),
            canvas: Canvas::new(size),
        }
    }

    /// Asks for the whole picture and takes updates until all of it is there.
    pub(crate) fn refresh(&mut self) {
        let size = self.canvas.size();
        let mut ask = vec![3, 0, 0, 0, 0, 0];
        ask.extend(size.width.to_be_bytes());
        ask.extend(size.height.to_be_bytes());
        self.stream.write_all(&ask).expect("a server");
        let mut left = u64::from(size.area());
        while left > 0 {
            let rects = self.take(|reader| match ServerMessage::decode(reader) {
                Ok(ServerMessage::Update { rects }) => Some(rects),
                Ok(other) => panic!("a server that says {other:?} unasked"),
                Err(_) => None,
            });
            for _ in 0..rects {
                let header = self.take(|reader| RectHeader::decode(reader).ok());
                self.rectangle(header.rect, header.encoding);
                left = left.saturating_sub(u64::from(header.rect.area()));
            }
        }
    }

    fn rectangle(&mut self, rect: Rect, encoding: Encoding) {
        self.decoder.begin(encoding).expect("an encoding that was asked for");
        loop {
            let mut reader = Reader::new(&self.held);
            let done = self.decoder.decode(&mut reader, rect, &self.translator, &mut self.canvas);
            let consumed = reader.consumed();
            self.held.drain(..consumed);
            match done {
                Ok(_) => return,
                Err(Stop::NeedMore) => self.read(),
                Err(Stop::Failed(error)) => panic!("{rect:?}: {error}"),
            }
        }
    }

    fn take<T>(&mut self, decode: impl Fn(&mut Reader<'_>) -> Option<T>) -> T {
        loop {
            let mut reader = Reader::new(&self.held);
            if let Some(value) = decode(&mut reader) {
                let consumed = reader.consumed();
                self.held.drain(..consumed);
                return value;
            }
            self.read();
        }
    }

    fn read(&mut self) {
        let mut some = [0; 64 * 1024];
        let count = self.stream.read(&mut some).expect("a server");
        assert!(count > 0, "the server has gone");
        self.bytes += count;
        self.held.extend_from_slice(&some[..count]);
    }
}
