//! What a viewer understands, from its last SetEncodings (RFC 6143 §7.5.2).

use crate::rfb::encoding::{Encoding, Level, PictureEncoding, Quality};
use crate::rfb::relay::RelayOffer;

/// The rectangle that carries a cursor to a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CursorForm {
    /// [`Encoding::CURSOR_WITH_ALPHA`]
    Alpha,
    /// [`Encoding::VMWARE_CURSOR`]
    VMware,
    /// [`Encoding::CURSOR`]
    Masked,
    /// [`Encoding::X_CURSOR`]
    TwoColours,
}

/// A viewer's abilities; unknown encodings are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) picture: PictureEncoding,
    /// What another server's rectangles may be in.
    pub(super) relay: Option<RelayOffer>,
    pub(super) level: Level,
    /// How photographic contents may lose something, if they may.
    pub(super) quality: Option<Quality>,
    /// Photographic contents go as JPEG rectangles: no other encoding for pictures is wanted more, and a quality is named.
    pub(super) jpeg: bool,
    pub(super) copy_rect: bool,
    pub(super) last_rect: bool,
    pub(super) desktop_size: bool,
    pub(super) extended_desktop_size: bool,
    pub(super) desktop_name: bool,
    /// The best of the forms that it knows.
    pub(super) cursor: Option<CursorForm>,
    /// The rectangle by which it takes a keyboard's lamps.
    pub(super) leds: Option<Encoding>,
    pub(super) extended_clipboard: bool,
    pub(super) xvp: bool,
    pub(super) fence: bool,
    pub(super) continuous_updates: bool,
    pub(super) extended_key: bool,
    pub(super) extended_buttons: bool,
}

impl Wishes {
    pub(super) fn new(encodings: &[Encoding]) -> Self {
        let has = |encoding| encodings.contains(&encoding);
        Self {
            picture: PictureEncoding::preferred(encodings),
            relay: None,
            level: Level::asked(encodings).unwrap_or_default(),
            quality: Quality::asked(encodings),
            jpeg: prefers_jpeg(encodings),
            copy_rect: has(Encoding::COPY_RECT),
            last_rect: has(Encoding::LAST_RECT),
            desktop_size: has(Encoding::DESKTOP_SIZE),
            extended_desktop_size: has(Encoding::EXTENDED_DESKTOP_SIZE),
            desktop_name: has(Encoding::DESKTOP_NAME),
            cursor: [
                (Encoding::CURSOR_WITH_ALPHA, CursorForm::Alpha),
                (Encoding::VMWARE_CURSOR, CursorForm::VMware),
                (Encoding::CURSOR, CursorForm::Masked),
                (Encoding::X_CURSOR, CursorForm::TwoColours),
            ]
            .into_iter()
            .find_map(|(encoding, form)| has(encoding).then_some(form)),
            leds: [Encoding::QEMU_LED_STATE, Encoding::VMWARE_LED_STATE].into_iter().find(|wish| has(*wish)),
            extended_clipboard: has(Encoding::EXTENDED_CLIPBOARD),
            xvp: has(Encoding::XVP),
            fence: has(Encoding::FENCE),
            continuous_updates: has(Encoding::CONTINUOUS_UPDATES),
            extended_key: has(Encoding::QEMU_EXTENDED_KEY),
            extended_buttons: has(Encoding::EXTENDED_MOUSE_BUTTONS),
        }
    }

    /// True when the viewer can be told another size.
    pub(super) fn resizes(&self) -> bool {
        self.desktop_size || self.extended_desktop_size
    }
}

/// True when JPEG stands before all other encodings for pictures.
fn prefers_jpeg(encodings: &[Encoding]) -> bool {
    let before = encodings.iter().take_while(|wish| **wish != Encoding::JPEG);
    encodings.contains(&Encoding::JPEG)
        && PictureEncoding::wished(&before.copied().collect::<Vec<_>>()).next().is_none()
}

impl Default for Wishes {
    /// A viewer that has not said anything yet understands raw pixels.
    fn default() -> Self {
        Self::new(&[])
    }
}
