//! The server against `vnc-rs`, a viewer that shares no code with us.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use vnc::{PixelFormat, VncClient, VncConnector, VncEncoding, VncEvent, VncVersion, X11Event};
use xenvnc::geometry::{Point, Rect, Region, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::security::{Password, Security};
use xenvnc::rfb::server::{Damage, ServerConnection, ServerError, ServerEvent, ServerOptions, UpdateOutcome};
use xenvnc::rfb::tile::Colour;

use crate::screen::{Mixed, paint, patchwork};

const SIZE: Size = Size::new(333, 217);

/// How long the other side may take; only a test that fails waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happens on the server's screen, one after the other, each once the viewer has asked for more.
#[derive(Debug, Clone, Copy)]
enum Frame {
    Paint(Rect, u64),
    Scroll(Rect, u16),
    Resize(Size),
}

fn frames(resizes: bool) -> Vec<Frame> {
    let mut frames = Vec::new();
    for n in 0..40u16 {
        frames.push(Frame::Paint(Rect::new(n * 5, n * 3, 70 + n, 40 + n), u64::from(n) * 77 + 1));
        if n % 4 == 0 {
            frames.push(Frame::Scroll(Rect::new(0, 0, 333, 217), 16));
        }
        if n % 7 == 0 {
            frames.push(Frame::Scroll(Rect::new(n, 9, 99, 150), n + 1));
        }
        if resizes && n % 16 == 8 {
            frames.push(Frame::Resize(Size::new(300 + n, 230 - n)));
        }
    }
    frames
}

/// Plays `frames`; what the screen shows in the end.
fn play(frames: &[Frame], mut each: impl FnMut(&Canvas, Option<(Rect, Point)>, Region)) -> Canvas {
    let mut screen = patchwork(SIZE, 5);
    each(&screen, None, Region::new());
    for frame in frames {
        let bounds = screen.size().rect();
        match *frame {
            Frame::Paint(rect, seed) => {
                let rect = rect.intersect(bounds);
                if !rect.is_empty() {
                    paint(&mut screen, rect, seed);
                    each(&screen, None, rect.into());
                }
            }
            Frame::Scroll(rect, lines) => {
                let rect = rect.intersect(bounds);
                if rect.height > lines {
                    let destination = Rect { height: rect.height - lines, ..rect };
                    let from = Point { x: rect.x, y: rect.y + lines };
                    screen.copy(destination, from);
                    let exposed = Rect { y: rect.y + rect.height - lines, height: lines, ..rect };
                    paint(&mut screen, exposed, 3);
                    each(&screen, Some((destination, from)), exposed.into());
                }
            }
            Frame::Resize(size) => {
                screen.resize(size);
                each(&screen, None, size.rect().into());
            }
        }
    }
    screen
}

/// Serves until the viewer leaves. Returns its error, if it made one, and how many bytes were sent.
async fn serve(
    mut stream: DuplexStream,
    security: Security,
    frames: Vec<Frame>,
) -> (Option<ServerError>, usize) {
    let mut server = ServerConnection::new(ServerOptions {
        name: "a screen".into(),
        size: SIZE,
        security,
        challenge: *b"0123456789abcdef",
    });
    let mut script = Vec::new();
    play(&frames, |screen, copy, region| script.push((screen.clone(), copy, region)));
    let mut script = script.into_iter();
    let Some((mut screen, mut copy, mut region)) = script.next() else { return (None, 0) };
    let mut sent = 0;
    let mut buf = [0; 4096];
    loop {
        let output = std::mem::take(server.output());
        sent += output.len();
        if stream.write_all(&output).await.is_err() {
            return (None, sent);
        }
        if server.wants_update() {
            let source = Mixed { canvas: &screen, seed: 11 };
            match server.update(&source, Damage { copies: copy.as_slice(), region: &region }) {
                UpdateOutcome::Nothing => {}
                UpdateOutcome::Partial => {
                    (copy, region) = (None, Region::new());
                    continue;
                }
                UpdateOutcome::Complete => {
                    // A new size is told alone; the picture goes with the next update.
                    (copy, region) = (None, Region::new());
                    if server.requested().is_empty()
                        && let Some(next) = script.next()
                    {
                        (screen, copy, region) = next;
                        server.resize(screen.size());
                    }
                    continue;
                }
            }
        }
        match stream.read(&mut buf).await {
            Ok(0) | Err(_) => return (None, sent),
            Ok(count) => {
                if let Err(error) = server.handle_input(&buf[..count]) {
                    let output = std::mem::take(server.output());
                    let _ = stream.write_all(&output).await;
                    return (Some(error), sent);
                }
                while let Some(event) = server.poll_event() {
                    assert!(!matches!(event, ServerEvent::CutText(_)), "none was sent");
                }
            }
        }
    }
}

async fn connect(
    stream: DuplexStream,
    version: VncVersion,
    encodings: &[VncEncoding],
    format: PixelFormat,
    password: &'static str,
) -> Result<VncClient, vnc::VncError> {
    let mut connector = VncConnector::new(stream)
        .set_auth_method(async move { Ok(password.to_owned()) })
        .set_version(version)
        .allow_shared(true)
        .set_pixel_format(format);
    for encoding in encodings {
        connector = connector.add_encoding(*encoding);
    }
    connector.build()?.try_start().await?.finish()
}

/// Paints what the viewer was told.
struct Picture {
    canvas: Canvas,
    format: PixelFormat,
    copies: usize,
}

impl Picture {
    fn area(rect: vnc::Rect) -> Rect {
        Rect::new(rect.x, rect.y, rect.width, rect.height)
    }

    fn apply(&mut self, event: VncEvent) {
        match event {
            VncEvent::SetResolution(size) => self.canvas.resize(Size::new(size.width, size.height)),
            VncEvent::RawImage(rect, data) => {
                let channel =
                    |pixel: &[u8; 4], shift: u8| (u32::from_le_bytes(*pixel) >> shift).to_le_bytes()[0];
                let format = &self.format;
                let colours: Vec<_> = data
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|pixel| {
                        let [red, green, blue] = [format.red_shift, format.green_shift, format.blue_shift]
                            .map(|shift| channel(pixel, shift));
                        Colour::rgb(red, green, blue)
                    })
                    .collect();
                self.canvas.put(Self::area(rect), &colours);
            }
            VncEvent::Copy(destination, source) => {
                self.copies += 1;
                self.canvas.copy(Self::area(destination), Self::area(source).origin());
            }
            VncEvent::Error(error) => panic!("the viewer cannot go on: {error}"),
            _ => {}
        }
    }
}

/// Runs the script for one kind of viewer until its picture is the screen's last; returns its number of copies.
async fn watch(
    version: VncVersion,
    encodings: &[VncEncoding],
    format: PixelFormat,
    security: Security,
) -> usize {
    let resizes = encodings.contains(&VncEncoding::DesktopSizePseudo);
    let frames = frames(resizes);
    let wanted = play(&frames, |_, _, _| ());
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(serve(ours, security, frames));
    let viewer = connect(theirs, version, encodings, format, "secret").await.expect("a good handshake");
    let mut picture = Picture { canvas: Canvas::new(SIZE), format, copies: 0 };
    let all = async {
        while picture.canvas != wanted {
            picture.apply(viewer.recv_event().await.expect("an event"));
            while let Some(event) = viewer.poll_event().await.expect("a live viewer") {
                picture.apply(event);
            }
            viewer.input(X11Event::Refresh).await.expect("a live viewer");
        }
    };
    let result = tokio::time::timeout(PATIENCE, all).await;
    assert!(result.is_ok(), "the viewer never saw the last picture in {encodings:?}");
    viewer.close().await.expect("a clean end");
    drop(viewer);
    let (error, sent) = serving.await.expect("the server does not panic");
    assert_eq!(error, None);
    assert!(sent > 0);
    picture.copies
}

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(future);
}

#[test]
fn a_foreign_viewer_sees_the_screen_in_every_encoding() {
    run(async {
        for encodings in [
            &[VncEncoding::Raw][..],
            &[VncEncoding::Zrle],
            &[VncEncoding::Zrle, VncEncoding::CopyRect, VncEncoding::DesktopSizePseudo],
            &[VncEncoding::Raw, VncEncoding::CopyRect, VncEncoding::DesktopSizePseudo],
            &[VncEncoding::Tight],
            &[VncEncoding::Tight, VncEncoding::CopyRect, VncEncoding::DesktopSizePseudo],
        ] {
            for format in [PixelFormat::bgra(), PixelFormat::rgba()] {
                let copies = watch(VncVersion::RFB38, encodings, format, Security::None).await;
                assert_eq!(copies > 0, encodings.contains(&VncEncoding::CopyRect));
            }
        }
    });
}

#[test]
fn a_foreign_viewer_gets_in_by_every_version_with_the_password_only() {
    run(async {
        for version in [VncVersion::RFB33, VncVersion::RFB37, VncVersion::RFB38] {
            for security in [Security::None, Security::VncAuth(Password::new(b"secret"))] {
                watch(version, &[VncEncoding::Zrle], PixelFormat::bgra(), security).await;
            }
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let security = Security::VncAuth(Password::new(b"Secret"));
            let serving = tokio::spawn(serve(ours, security, Vec::new()));
            let viewer = connect(theirs, version, &[VncEncoding::Raw], PixelFormat::bgra(), "secret").await;
            assert!(viewer.is_err());
            assert_eq!(serving.await.expect("the server does not panic").0, Some(ServerError::WrongPassword));
        }
    });
}
