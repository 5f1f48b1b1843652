//! Events on their way to the driver.

use std::collections::VecDeque;

use super::ClientEvent;

/// How many kinds of event there are of which only the last counts.
const KINDS: usize = 5;

/// A queue in which what replaces an earlier event takes its place, so that a flood of texts or cursors, which may be
/// large where few bytes made them, is never more than one of each.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: VecDeque<ClientEvent>,
    /// How many were taken out.
    taken: u64,
    /// The number, counted from the connection's beginning, of the last event of each kind.
    last: [Option<u64>; KINDS],
}

impl Events {
    /// Appends an event, or replaces one by it.
    pub(super) fn push(&mut self, event: ClientEvent) {
        let number = self.taken + u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        if let Some(kind) = kind(&event) {
            let at = self.last[kind].and_then(|last| usize::try_from(last.checked_sub(self.taken)?).ok());
            if let Some(place) = at.and_then(|at| self.queue.get_mut(at)) {
                *place = event;
                return;
            }
            self.last[kind] = Some(number);
        }
        self.queue.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<ClientEvent> {
        let event = self.queue.pop_front()?;
        self.taken += 1;
        Some(event)
    }

    /// The event that was appended last.
    pub(super) fn last_mut(&mut self) -> Option<&mut ClientEvent> {
        self.queue.back_mut()
    }
}

/// The place in [`Events::last`] of an event that replaces earlier ones of its kind.
fn kind(event: &ClientEvent) -> Option<usize> {
    match event {
        ClientEvent::CutText(_) => Some(0),
        ClientEvent::Cursor(_) => Some(1),
        ClientEvent::CursorMoved(_) => Some(2),
        ClientEvent::Renamed(_) => Some(3),
        ClientEvent::Leds(_) => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_text_is_kept() {
        let text = |text: &str| ClientEvent::CutText(text.into());
        let name = |name: &str| ClientEvent::Renamed(name.into());
        let mut events = Events::default();
        for event in [text("a"), ClientEvent::Bell, name("x"), ClientEvent::Bell, text("b"), name("y")] {
            events.push(event);
        }
        assert_eq!(events.pop(), Some(text("b")));
        events.push(text("c"));
        events.push(name("z"));
        events.push(text("d"));
        let all: Vec<_> = std::iter::from_fn(|| events.pop()).collect();
        assert_eq!(all, [ClientEvent::Bell, name("z"), ClientEvent::Bell, text("d")]);
        events.push(text("e"));
        assert_eq!(events.pop(), Some(text("e")));
        assert_eq!(events.pop(), None);
    }
}
