//! `vnc-rs`, a viewer as a library.

use std::net::Ipv4Addr;

use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use vnc::{
    ClientKeyEvent, ClientMouseEvent, PixelFormat, VncClient, VncConnector, VncEncoding, VncEvent, X11Event,
};
use xenvnc::geometry::{Rect, Size};
use xenvnc::keysym::Keysym;
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::tile::Colour;

use crate::screen::{is_red, picture_of};
use crate::table::Stop;
use crate::text_picture::Picture;
use crate::viewer::{Opening, Viewer};

pub(crate) struct VncRs {
    runtime: Runtime,
    client: VncClient,
    format: PixelFormat,
    canvas: Canvas,
    bells: usize,
    clipboard: String,
    cursor: usize,
    failure: Option<String>,
}

fn failed(error: impl std::fmt::Display) -> Stop {
    Stop::No(error.to_string())
}

fn format(bits: u8) -> PixelFormat {
    let mut format = PixelFormat::bgra();
    format.bits_per_pixel = bits;
    let (maxima, shifts) = match bits {
        8 => ([7, 7, 3], [0, 3, 6]),
        16 => ([31, 63, 31], [11, 5, 0]),
        _ => return format,
    };
    format.depth = bits;
    [format.red_max, format.green_max, format.blue_max] = maxima;
    [format.red_shift, format.green_shift, format.blue_shift] = shifts;
    format
}

impl VncRs {
    pub(crate) fn connect(opening: &Opening) -> Result<Self, Stop> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let (password, format) = (opening.security.password().unwrap_or_default(), format(opening.bits));
        let (port, bits) = (opening.port, opening.bits);
        let client = runtime.block_on(async move {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
            let mut connector = VncConnector::new(stream)
                .set_auth_method(async move { Ok(password.to_owned()) })
                .allow_shared(true)
                .set_pixel_format(format);
            for encoding in [
                VncEncoding::Tight,
                VncEncoding::Zrle,
                VncEncoding::Trle,
                VncEncoding::CopyRect,
                VncEncoding::Raw,
                VncEncoding::CursorPseudo,
                VncEncoding::DesktopSizePseudo,
                VncEncoding::ExtendedDesktopSizePseudo,
                VncEncoding::LastRectPseudo,
            ] {
                // These it decodes with 32 bits only.
                if bits != 32 && matches!(encoding, VncEncoding::Tight | VncEncoding::CursorPseudo) {
                    continue;
                }
                connector = connector.add_encoding(encoding);
            }
            let started = connector.build().map_err(failed)?.try_start().await.map_err(failed)?;
            started.finish().map_err(failed)
        })?;
        let canvas = Canvas::new(Size::default());
        Ok(Self {
            runtime,
            client,
            format,
            canvas,
            bells: 0,
            clipboard: String::new(),
            cursor: 0,
            failure: None,
        })
    }

    /// Takes what has come, and asks for more.
    fn pump(&mut self) -> Result<(), Stop> {
        if let Some(failure) = &self.failure {
            return Err(Stop::No(failure.clone()));
        }
        while let Some(event) = self.runtime.block_on(self.client.poll_event()).map_err(failed)? {
            self.apply(event)?;
        }
        self.send(X11Event::Refresh)
    }

    fn send(&self, event: X11Event) -> Result<(), Stop> {
        self.runtime.block_on(self.client.input(event)).map_err(failed)
    }

    fn colours(&self, data: &[u8]) -> Vec<Colour> {
        let format = self.format;
        let channel = |value: u32, max: u16, shift: u8| {
            u8::try_from((value >> shift & u32::from(max)) * 255 / u32::from(max)).expect("at most 255")
        };
        data.chunks_exact(usize::from(format.bits_per_pixel / 8))
            .map(|pixel| {
                let value = pixel.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
                Colour::rgb(
                    channel(value, format.red_max, format.red_shift),
                    channel(value, format.green_max, format.green_shift),
                    channel(value, format.blue_max, format.blue_shift),
                )
            })
            .collect()
    }

    fn apply(&mut self, event: VncEvent) -> Result<(), Stop> {
        let area = |rect: vnc::Rect| Rect::new(rect.x, rect.y, rect.width, rect.height);
        match event {
            VncEvent::SetResolution(size) => self.canvas.resize(Size::new(size.width, size.height)),
            VncEvent::DesktopUpdate(update) => {
                if let Some(layout) = update.layout {
                    self.canvas.resize(Size::new(layout.width, layout.height));
                }
            }
            VncEvent::RawImage(rect, data) => {
                let colours = self.colours(&data);
                self.canvas.put(area(rect), &colours);
            }
            VncEvent::Copy(destination, source) => self.canvas.copy(area(destination), area(source).origin()),
            VncEvent::JpegImage(rect, data) => {
                let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(&data));
                let pixels = decoder.decode().map_err(failed)?;
                let colours = pixels.as_chunks::<3>().0.iter().map(|&[r, g, b]| Colour::rgb(r, g, b));
                self.canvas.put(area(rect), &colours.collect::<Vec<_>>());
            }
            VncEvent::SetCursor(_, data) => {
                self.cursor = self
                    .colours(&data)
                    .iter()
                    .filter(|colour| is_red([colour.red(), colour.green(), colour.blue()]))
                    .count();
            }
            VncEvent::Bell => self.bells += 1,
            VncEvent::Text(text) => self.clipboard = text,
            VncEvent::Error(error) => {
                // It says so once.
                self.failure = Some(error.clone());
                return Err(Stop::No(error));
            }
            _ => {}
        }
        Ok(())
    }

    fn key(&self, keysym: Keysym, down: bool) -> Result<(), Stop> {
        self.send(X11Event::KeyEvent(ClientKeyEvent { keycode: keysym.0, down }))
    }

    fn pointer(&self, bottons: u8, numbers: &[u16]) -> Result<(), Stop> {
        let [position_x, position_y] = *numbers else { return Err(Stop::Cannot) };
        self.send(X11Event::PointerEvent(ClientMouseEvent { position_x, position_y, bottons }))
    }
}

impl Viewer for VncRs {
    fn command(&mut self, command: &str) -> Result<String, Stop> {
        self.pump()?;
        let (word, argument) = command.split_once(' ').unwrap_or((command, ""));
        let numbers: Vec<u16> = argument.split(' ').filter_map(|word| word.parse().ok()).collect();
        match (word, &numbers[..]) {
            ("type", _) => {
                for c in argument.chars() {
                    self.key(Keysym::from_char(c), true)?;
                    self.key(Keysym::from_char(c), false)?;
                }
            }
            ("key", _) => {
                let keys: Vec<_> = argument
                    .split('-')
                    .map(|key| match key {
                        "ctrl" => Keysym(0xffe3),
                        "alt" => Keysym(0xffe9),
                        "enter" => Keysym::RETURN,
                        other => Keysym::from_char(other.chars().next().unwrap_or(' ')),
                    })
                    .collect();
                keys.iter().try_for_each(|key| self.key(*key, true))?;
                keys.iter().rev().try_for_each(|key| self.key(*key, false))?;
            }
            ("move", place) => self.pointer(0, place)?,
            ("click", [button, place @ ..]) => {
                for mask in [0, 1 << (button - 1), 0] {
                    self.pointer(mask, place)?;
                }
            }
            ("copy", _) => self.send(X11Event::CopyText(argument.to_owned()))?,
            ("clipboard", _) => return Ok(self.clipboard.clone()),
            ("bells", _) => return Ok(self.bells.to_string()),
            ("cursor", _) => return Ok(self.cursor.to_string()),
            ("resize", &[width, height]) => {
                // What comes meanwhile waits for the next command.
                let resize = self.client.resize_desktop(width, height);
                self.runtime.block_on(resize).map_err(|error| Stop::No(format!("{error:?}")))?;
            }
            _ => return Err(Stop::Cannot),
        }
        Ok(String::new())
    }

    fn picture(&mut self) -> Result<Picture, Stop> {
        self.pump()?;
        Ok(picture_of(&self.canvas))
    }
}

impl Drop for VncRs {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.client.close());
    }
}
