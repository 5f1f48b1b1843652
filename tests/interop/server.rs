//! A server that we did not write, with a screen that can be read and changed without it.

use std::time::{Duration, Instant};

use xenvnc::geometry::Size;
use xenvnc::rfb::client::{ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::security::tls::ClientTls;

use crate::picture::{Kind, difference};
use crate::table::Stop;
use crate::upstream::Upstream;
use crate::viewers::wait;

/// A server that runs. What it does beside pictures is looked at in the way of its screen; what cannot be looked at there
/// is unseen.
pub(crate) trait Server {
    /// A connection of our client.
    fn connect(&mut self, options: ClientOptions) -> Upstream;

    /// What the screen shows, read in another way.
    fn dump(&mut self) -> Canvas;

    /// Shows a picture of this kind, where there is a choice.
    fn show(&mut self, kind: Kind);

    /// The highest quality with which it sends JPEG of a picture that stays.
    fn quality(&self) -> u8 {
        8
    }

    /// Stops where the screen has one size for all viewers do.
    fn takes_sizes(&self) -> Result<(), Stop> {
        Ok(())
    }

    /// By what it has to be known, if it has a certificate.
    fn tls(&self) -> Option<ClientTls> {
        None
    }

    /// Moves something on the screen, of which only a part is sent.
    fn copies(&mut self, _: &mut Upstream, _: Duration) -> Result<(), Stop> {
        Err(Stop::Unseen)
    }

    /// Moves the pointer.
    fn pointer(&mut self, _: &mut Upstream, _: Duration) -> Result<(), Stop> {
        Err(Stop::Unseen)
    }

    /// Changes the pointer's form.
    fn cursor(&mut self, _: &mut Upstream, _: Duration) -> Result<(), Stop> {
        Err(Stop::Unseen)
    }

    /// Types.
    fn keys(&mut self, _: &mut Upstream, _: Duration) -> Result<(), Stop> {
        Err(Stop::Unseen)
    }

    /// Puts a text into the screen's clipboard, and waits for it in ours.
    fn text_out(&mut self, _: &mut Upstream, _text: &str, _: Duration) -> Result<(), Stop> {
        Err(Stop::Unseen)
    }

    /// The same the other way.
    fn text_in(&mut self, _: &mut Upstream, _text: &str, _: Duration) -> Result<(), Stop> {
        Err(Stop::Unseen)
    }

    /// Lights a lamp of the keyboard.
    fn lamps(&mut self, _: &mut Upstream, _: Duration) -> Result<(), Stop> {
        Err(Stop::Unseen)
    }

    /// Gives the screen another size.
    fn resize(&mut self, _: &mut Upstream, _: Duration) -> Result<(), Stop> {
        Err(Stop::Unseen)
    }
}

/// Goes on until the client's picture is the screen's.
pub(crate) fn shows(
    upstream: &mut Upstream,
    server: &mut (impl Server + ?Sized),
    patience: Duration,
) -> Result<(), Stop> {
    until(upstream, patience, |upstream| {
        let (wanted, have) = (server.dump(), upstream.client.canvas());
        let (size, wanted_size) = (have.size(), wanted.size());
        if have == &wanted {
            Ok(())
        } else if size == wanted_size {
            Err(Stop::No(format!("{} pixels are wrong", difference(have, &wanted).0)))
        } else {
            Err(Stop::No(format!("{size:?} instead of {wanted_size:?}")))
        }
    })
}

/// Asks for updates until this is right.
pub(crate) fn until(
    upstream: &mut Upstream,
    patience: Duration,
    mut right: impl FnMut(&mut Upstream) -> Result<(), Stop>,
) -> Result<(), Stop> {
    wait(patience, || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(200) {
            upstream.client.request_update(true);
            upstream.pump().map_err(|error| Stop::No(error.to_string()))?;
        }
        right(upstream)
    })
}

/// Waits for an event.
pub(crate) fn event(
    upstream: &mut Upstream,
    patience: Duration,
    wanted: impl Fn(&ClientEvent) -> bool,
) -> Result<(), Stop> {
    until(upstream, patience, |upstream| {
        if upstream.events.iter().any(&wanted) { Ok(()) } else { Err(Stop::No("it was not told".into())) }
    })
}

/// Waits until our clipboard has this text.
pub(crate) fn told(upstream: &mut Upstream, patience: Duration, text: &str) -> Result<(), Stop> {
    until(upstream, patience, |upstream| {
        let mut texts = upstream.events.iter().rev().filter_map(|event| match event {
            ClientEvent::CutText(text) => Some(text),
            _ => None,
        });
        match texts.next() {
            Some(have) if have == text => Ok(()),
            Some(have) => Err(Stop::No(format!("it was told {have:?}"))),
            None => Err(Stop::No("it was not told".into())),
        }
    })
}

/// Waits until it is told of the screen's new size, and shows it.
pub(crate) fn resized(
    server: &mut dyn Server,
    upstream: &mut Upstream,
    patience: Duration,
) -> Result<(), Stop> {
    let size = server.dump().size();
    event(upstream, patience, |event| *event == ClientEvent::Resized { size })
        .and_then(|()| shows(upstream, server, patience))
}

/// Asks the server for another size.
pub(crate) fn set_size(
    server: &mut dyn Server,
    upstream: &mut Upstream,
    patience: Duration,
) -> Result<(), Stop> {
    server.takes_sizes()?;
    // It has said by then whether it can.
    shows(upstream, server, patience)?;
    let size = Size::new(720, 480);
    if !upstream.client.set_desktop_size(size) {
        return Err(Stop::Cannot);
    }
    let mut answer = None;
    until(upstream, patience, |upstream| {
        answer = upstream.events.iter().find_map(|event| match event {
            ClientEvent::ResizeAnswered { status } => Some(*status),
            _ => None,
        });
        answer.map(drop).ok_or(Stop::No("no answer".into()))
    })?;
    match answer {
        Some(0) => {}
        // Prohibited: it knows the message, and never does what it says.
        Some(1) => return Err(Stop::Cannot),
        Some(status) => return Err(Stop::No(format!("refused with status {status}"))),
        None => return Err(Stop::No("no answer".into())),
    }
    event(upstream, patience, |event| *event == ClientEvent::Resized { size })?;
    shows(upstream, server, patience)
}
