//! Oracles: plain functions of bytes that hold for every input. Property tests call them here; whoever has a fuzzer can
//! call them from there.

use xenvnc::rfb::client::{ClientConnection, ClientEvent};

use crate::client_hostile::options;

/// Whatever a server sends, all at once and in pieces: the same happens, memory and events are bounded, an error is the last
/// thing that is heard, and nothing panics.
pub(crate) fn client_input(bytes: &[u8]) {
    let mut whole = ClientConnection::new(options());
    let result = whole.handle_input(bytes);
    let events = drain(&mut whole);
    assert!(events.len() <= bytes.len());
    assert!(whole.canvas().size().area() <= options().max_pixels);
    assert_eq!(result.is_err(), whole.handle_input(&[]).is_err());

    let mut pieces = ClientConnection::new(options());
    let mut seen = Vec::new();
    let mut outcome = Ok(());
    let (mut rest, mut step) = (bytes, 1);
    while outcome.is_ok() && !rest.is_empty() {
        let (piece, behind) = rest.split_at(step.min(rest.len()));
        outcome = pieces.handle_input(piece);
        seen.extend(drain(&mut pieces));
        (rest, step) = (behind, step * 3 % 101 + 1);
    }
    assert_eq!(lasting(seen), lasting(events));
    assert_eq!(pieces.output(), whole.output());
    match (outcome, result) {
        (Ok(()), Ok(())) => assert!(pieces.canvas() == whole.canvas()),
        // Which of a rectangle's faults is met first depends on how much of it has come.
        (outcome, result) => assert_eq!(outcome.is_err(), result.is_err()),
    }
}

/// The events that are the same however the input was cut: rectangles are joined, and what replaces something takes its
/// place, only within one piece.
pub(crate) fn lasting(events: Vec<ClientEvent>) -> Vec<ClientEvent> {
    let lasts = |event: &ClientEvent| {
        !matches!(
            event,
            ClientEvent::Damaged(_)
                | ClientEvent::CutText(_)
                | ClientEvent::Cursor(_)
                | ClientEvent::CursorMoved(_)
                | ClientEvent::Renamed(_)
                | ClientEvent::Leds(_)
        )
    };
    events.into_iter().filter(lasts).collect()
}

fn drain(client: &mut ClientConnection) -> Vec<ClientEvent> {
    std::iter::from_fn(|| client.poll_event()).collect()
}
