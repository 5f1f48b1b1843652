//! QEMU's built-in server, on a machine whose whole software is a boot sector: it shows another pattern after each key,
//! and knows no pointer and no clipboard.

use std::time::Duration;

use xenvnc::keysym::Keysym;
use xenvnc::rfb::client::{ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::canvas::Canvas;
use xenvnc::rfb::security::tls::{ClientTls, Trust};

use crate::certificates::CA;
use crate::machine::Machine;
use crate::picture::Kind;
use crate::program::eventually;
use crate::security::Security;
use crate::server::{Server, event, shows, until};
use crate::table::Stop;
use crate::upstream::Upstream;

struct QemuServer {
    machine: Machine,
    tls: Option<ClientTls>,
}

pub(crate) fn qemu(security: Security) -> Result<Box<dyn Server>, Stop> {
    // It has a login by SASL instead.
    if security == Security::X509Plain {
        return Err(Stop::Cannot);
    }
    let trust = Trust::authorities(CA).expect("a certificate");
    let tls = security.is_tls().then(|| ClientTls::new(trust, "192.0.2.7", true).expect("an address"));
    let machine = Machine::start_secured(security.is_tls(), security.password(), ",lossy=on");
    Ok(Box::new(QemuServer { machine, tls }))
}

fn press(upstream: &mut Upstream, keysym: u32, keycode: Option<u32>) {
    upstream.client.key(Keysym(keysym), keycode, true);
    upstream.client.key(Keysym(keysym), keycode, false);
}

impl QemuServer {
    /// A text from one viewer to another, by the clipboard that QEMU has between them and an agent in the guest.
    fn relays(
        &mut self,
        from: &mut Upstream,
        to: &mut Upstream,
        text: &str,
        patience: Duration,
    ) -> Result<(), Stop> {
        shows(from, self, patience)?;
        shows(to, self, patience)?;
        from.client.cut_text(text);
        until(to, patience, |to| {
            // QEMU asks for the text when the other wants it.
            from.pump().map_err(|error| Stop::No(error.to_string()))?;
            let come = to.events.iter().any(|event| *event == ClientEvent::CutText(text.into()));
            if come { Ok(()) } else { Err(Stop::No("it did not come to another viewer".into())) }
        })
    }
}

impl Server for QemuServer {
    fn connect(&mut self, options: ClientOptions) -> Upstream {
        self.machine.connect(options)
    }

    fn dump(&mut self) -> Canvas {
        self.machine.dump()
    }

    fn show(&mut self, kind: Kind) {
        let before = self.dump();
        self.machine.press(if kind == Kind::Smooth { "s" } else { "a" });
        eventually("another picture", || (self.dump() != before).then_some(()));
        self.machine.still();
    }

    fn quality(&self) -> u8 {
        // From 5 on it waits for pictures that change often.
        4
    }

    fn takes_sizes(&self) -> Result<(), Stop> {
        // Those of virtio-gpu, with a driver in the guest; to a VGA's it says "invalid layout".
        Err(Stop::Unseen)
    }

    fn tls(&self) -> Option<ClientTls> {
        self.tls.clone()
    }

    fn keys(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        shows(upstream, self, patience)?;
        // The second key has no keysym: only the position tells which.
        for (keysym, keycode) in [(0x61, None), (0, Some(0x1e))] {
            let before = self.dump();
            press(upstream, keysym, keycode);
            until(upstream, patience, |_| {
                if self.dump() == before { Err(Stop::No("the same pattern".into())) } else { Ok(()) }
            })?;
            self.machine.still();
            shows(upstream, self, patience)?;
        }
        Ok(())
    }

    fn text_out(&mut self, upstream: &mut Upstream, text: &str, patience: Duration) -> Result<(), Stop> {
        let mut other = self.connect(ClientOptions::local());
        self.relays(&mut other, upstream, text, patience)
    }

    fn text_in(&mut self, upstream: &mut Upstream, text: &str, patience: Duration) -> Result<(), Stop> {
        let mut other = self.connect(ClientOptions::local());
        self.relays(upstream, &mut other, text, patience)
    }

    fn lamps(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        shows(upstream, self, patience)?;
        press(upstream, 0xffe5, Some(0x3a));
        // The firmware lights the lamp when it is asked for a key.
        press(upstream, 0x61, None);
        event(upstream, patience, |event| matches!(event, ClientEvent::Leds(leds) if leds.caps_lock))?;
        press(upstream, 0xffe5, Some(0x3a));
        press(upstream, 0x61, None);
        event(upstream, patience, |event| matches!(event, ClientEvent::Leds(leds) if !leds.caps_lock))
    }

    fn resize(&mut self, upstream: &mut Upstream, patience: Duration) -> Result<(), Stop> {
        shows(upstream, self, patience)?;
        let before = upstream.client.canvas().size();
        press(upstream, 0x74, None);
        let is_other =
            |event: &ClientEvent| matches!(event, ClientEvent::Resized { size } if *size != before);
        upstream.events.clear();
        event(upstream, patience, is_other)?;
        shows(upstream, self, patience)?;
        press(upstream, 0x61, None);
        event(upstream, patience, |event| *event == ClientEvent::Resized { size: before })?;
        self.machine.still();
        shows(upstream, self, patience)
    }
}
