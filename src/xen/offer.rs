//! What a guest offers by vchan: `data/xenvnc/display/<n>/{ring-ref,event-channel}` in its home.
//!
//! The guest can write anything there. What is found is two numbers that mean something only together with the
//! guest's domid, and that may be those of a server that was killed: only connecting tells.

use super::identity::shorten_bytes;
use super::store::{Nodes, StoreError};
use super::{Domid, paths};

/// A vchan server's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// `ring-ref`: the grant of its control page.
    pub ring_ref: u32,
    /// `event-channel`: its unbound event channel.
    pub event_channel: u32,
}

/// What is wrong with an offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node {node} is {value:?}, wanted a decimal number")]
pub struct OfferError {
    /// The node's name.
    node: &'static str,
    /// What is there, shortened.
    value: String,
}

/// What a guest offers for a display; `None` as long as the server is not ready.
pub async fn read_offer(
    nodes: &Nodes,
    domid: Domid,
    display: u8,
) -> Result<Result<Option<Offer>, OfferError>, StoreError> {
    let node = |node: &str| format!("{}/{display}/{node}", paths::displays(domid));
    let (ring_ref, event_channel) = (node("ring-ref"), node("event-channel"));
    let (ring_ref, event_channel) =
        tokio::try_join!(nodes.read_optional(&ring_ref), nodes.read_optional(&event_channel))?;
    Ok(parse(ring_ref.as_deref(), event_channel.as_deref()))
}

fn parse(ring_ref: Option<&[u8]>, event_channel: Option<&[u8]>) -> Result<Option<Offer>, OfferError> {
    let numbers = (number("ring-ref", ring_ref)?, number("event-channel", event_channel)?);
    Ok(match numbers {
        (Some(ring_ref), Some(event_channel)) => Some(Offer { ring_ref, event_channel }),
        _ => None,
    })
}

/// A number that is not 0, which means "not ready", as an absent node does.
fn number(node: &'static str, value: Option<&[u8]>) -> Result<Option<u32>, OfferError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let wrong = || OfferError { node, value: shorten_bytes(value) };
    let text = std::str::from_utf8(value).map_err(|_| wrong())?;
    let number: u32 = text.parse().map_err(|_| wrong())?;
    // `parse` takes "+7" and "007", which no server writes.
    if number.to_string() != text {
        return Err(wrong());
    }
    Ok((number != 0).then_some(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_numbers_make_an_offer() {
        let offer = Offer { ring_ref: 8, event_channel: u32::MAX };
        assert_eq!(parse(Some(b"8"), Some(b"4294967295")), Ok(Some(offer)));
        for (ring_ref, event_channel) in [
            (None, None),
            (Some(&b"8"[..]), None),
            (None, Some(&b"9"[..])),
            (Some(b"0"), Some(b"9")),
            (Some(b""), Some(b"9")),
        ] {
            assert_eq!(parse(ring_ref, event_channel), Ok(None), "{ring_ref:?} {event_channel:?}");
        }
    }

    #[test]
    fn nonsense_is_named_and_short() {
        let long = [b'9'; 4096];
        for value in
            [&b"-1"[..], b"+8", b"08", b"8 ", b"8\0", b"0x8", b"4294967296", b"\xff\xfe", b"\x1b[2J", &long]
        {
            for error in [parse(Some(value), Some(b"9")), parse(Some(b"8"), Some(value))] {
                let text = error.unwrap_err().to_string();
                assert!(text.len() < 400 && !text.chars().any(char::is_control), "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(ring_ref: Option<Vec<u8>>, event_channel: Option<Vec<u8>>) {
            let _ = parse(ring_ref.as_deref(), event_channel.as_deref());
        }
    }
}
