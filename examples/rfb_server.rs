//! Serves a picture that moves, to one viewer at a time: `cargo run --example rfb_server -- 127.0.0.1:5977`.
#![allow(clippy::print_stdout, reason = "it says where it listens")]

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use xenvnc::geometry::{Rect, Region, Size};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::security::Security;
use xenvnc::rfb::server::{Damage, ServerConnection, ServerEvent, ServerOptions, UpdateOutcome};
use xenvnc::rfb::tile::Colour;

const SIZE: Size = Size::new(640, 480);
const BALL: u16 = 64;
const FRAME: Duration = Duration::from_millis(33);

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5900".to_owned());
    let listener = TcpListener::bind(&address)?;
    println!("listening at {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept()?;
        println!("{peer}: {:?}", serve(stream));
    }
}

/// A soft background with a square on it.
fn paint(screen: &mut Canvas, rect: Rect, ball: Rect) {
    for y in rect.y..rect.y + rect.height {
        let row: Vec<_> = (rect.x..rect.x + rect.width)
            .map(|x| Colour::rgb((x / 3).to_be_bytes()[1], (y / 2).to_be_bytes()[1], 128))
            .collect();
        screen.put(Rect { y, height: 1, ..rect }, &row);
    }
    screen.fill(ball.intersect(rect), Colour::WHITE);
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(FRAME))?;
    let options =
        ServerOptions { name: "example".into(), size: SIZE, security: Security::None, challenge: [0; 16] };
    let mut server = ServerConnection::new(options);
    let (mut screen, mut damage) = (Canvas::new(SIZE), Region::new());
    let (start, mut ball) = (Instant::now(), Rect::new(0, 0, BALL, BALL));
    paint(&mut screen, SIZE.rect(), ball);
    let mut input = [0; 4096];
    loop {
        // To and fro, 200 pixels a second.
        let way = u64::from(SIZE.width - BALL);
        let at = u64::try_from(start.elapsed().as_millis()).unwrap_or(0) / 5 % (2 * way);
        let x = u16::try_from(at.min(2 * way - at)).unwrap_or(0);
        let next = Rect { x, y: x / 2, ..ball };
        let both = ball.union(next);
        ball = next;
        paint(&mut screen, both, ball);
        damage.add(both);
        if server.update(&screen, Damage { copies: &[], region: &damage }) != UpdateOutcome::Nothing {
            damage.clear();
        }
        stream.write_all(server.output())?;
        server.output().clear();
        match stream.read(&mut input) {
            Ok(0) => return Ok(()),
            Ok(count) => server.handle_input(&input[..count]).map_err(std::io::Error::other)?,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        while let Some(event) = server.poll_event() {
            if let ServerEvent::Key { .. } | ServerEvent::CutText(_) = event {
                server.bell();
            }
        }
    }
}
