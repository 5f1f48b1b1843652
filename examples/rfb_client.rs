//! Takes a screenshot of an RFB server: `cargo run --example rfb_client -- HOST:PORT FILE.png`, or with a Unix socket's path
//! in the place of the address. A password, if the server asks for one, is the environment variable `VNC_PASSWORD`.
//!
//! The library moves no bytes by itself. What it takes to use [`ClientConnection`] is one loop: send what `output` holds,
//! read, give it to `handle_input`, look at the events.

#![allow(clippy::print_stderr, reason = "it is a program for the command line")]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use xenvnc::rfb::client::{ClientConnection, ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::security::Password;

/// A server that says nothing for so long is given up.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [server, file] = &arguments[..] else { return Err("usage: rfb_client SERVER FILE.png".into()) };
    let options = ClientOptions {
        password: std::env::var("VNC_PASSWORD").ok().map(|text| Password::new(text.as_bytes())),
        ..ClientOptions::network()
    };
    let canvas = if server.contains('/') {
        let stream = UnixStream::connect(server)?;
        stream.set_read_timeout(PATIENCE)?;
        screenshot(stream, options)?
    } else {
        let stream = TcpStream::connect(server)?;
        stream.set_read_timeout(PATIENCE)?;
        screenshot(stream, options)?
    };
    write_png(&canvas, file)
}

/// Asks for the whole picture once, and waits until every pixel of it has come.
fn screenshot(mut stream: impl Read + Write, options: ClientOptions) -> Result<Canvas, Box<dyn Error>> {
    let mut client = ClientConnection::new(options);
    let mut missing = 0;
    let mut buf = vec![0; 256 * 1024];
    loop {
        stream.write_all(&std::mem::take(client.output()))?;
        let count = stream.read(&mut buf)?;
        if count == 0 {
            return Err("the server hung up".into());
        }
        client.handle_input(&buf[..count])?;
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::Ready { size, name } => {
                    eprintln!("{} by {} pixels: {}", size.width, size.height, name.escape_debug());
                    missing = size.area();
                }
                ClientEvent::Resized { size } => missing = size.area(),
                ClientEvent::Damaged(rect) => missing = missing.saturating_sub(rect.area()),
                // Before the picture, an update may tell other things.
                ClientEvent::UpdateDone if missing == 0 => return Ok(client.canvas().clone()),
                _ => {}
            }
        }
        client.request_update(true);
    }
}

fn write_png(canvas: &Canvas, file: &str) -> Result<(), Box<dyn Error>> {
    let (width, height) = (u32::from(canvas.size().width), u32::from(canvas.size().height));
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(file)?), width, height);
    encoder.set_color(png::ColorType::Rgb);
    let pixels = canvas.pixels().iter().flat_map(|colour| [colour.red(), colour.green(), colour.blue()]);
    encoder.write_header()?.write_image_data(&pixels.collect::<Vec<_>>())?;
    Ok(())
}
