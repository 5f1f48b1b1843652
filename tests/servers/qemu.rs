//! QEMU's built-in server.

use xenvnc::keysym::Keysym;
use xenvnc::rfb::client::{ClientEvent, ClientOptions};
use xenvnc::rfb::encoding::Encoding;

use crate::machine::Machine;
use crate::upstream::{Upstream, compare};

fn press(upstream: &mut Upstream, keysym: Keysym, keycode: Option<u32>) {
    upstream.client.key(keysym, keycode, true);
    upstream.client.key(keysym, keycode, false);
}

/// Waits until the client has all of the machine's picture.
fn settled(machine: &mut Machine, upstream: &mut Upstream) {
    upstream.until_picture(&machine.still());
}

#[test]
fn every_encoding_shows_the_screen() {
    let mut machine = Machine::start();
    let used = [
        (Encoding::RAW, false),
        (Encoding::HEXTILE, true),
        (Encoding::ZLIB, true),
        (Encoding::TIGHT, true),
        (Encoding::TIGHT_PNG, true),
        (Encoding::ZRLE, true),
    ];
    compare(&machine.dump(), &used, |options| machine.connect(options));
}

#[test]
fn keys_reach_the_machine_by_keysym_and_by_position() {
    let mut machine = Machine::start();
    for options in [ClientOptions::local(), ClientOptions::network()] {
        let mut upstream = machine.connect(options);
        upstream.until_picture(&machine.dump());
        // The second key has no keysym: only the position tells which.
        for (keysym, keycode) in [(0x61, None), (0, Some(0x1e))] {
            let before = machine.dump();
            press(&mut upstream, Keysym(keysym), keycode);
            upstream.until("another pattern", |_| machine.dump() != before);
            settled(&mut machine, &mut upstream);
        }
    }
}

#[test]
fn a_new_size_and_lamps_are_told() {
    let mut machine = Machine::start();
    let mut upstream = machine.connect(ClientOptions::network());
    upstream.until_picture(&machine.dump());
    let before = upstream.client.canvas().size();
    press(&mut upstream, Keysym(0x74), None);
    let size = upstream.take("another size", |event| match event {
        ClientEvent::Resized { size } => Some(*size),
        _ => None,
    });
    assert_ne!(size, before);
    upstream.until_picture(&machine.dump());
    press(&mut upstream, Keysym(0x61), None);
    upstream.take("the old size", |event| (*event == ClientEvent::Resized { size: before }).then_some(()));
    settled(&mut machine, &mut upstream);
    press(&mut upstream, Keysym(0xffe5), Some(0x3a));
    // The firmware lights the lamp when it is asked for a key.
    press(&mut upstream, Keysym(0x61), None);
    upstream.take("a lamp", |event| matches!(event, ClientEvent::Leds(leds) if leds.caps_lock).then_some(()));
}
