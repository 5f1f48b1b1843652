//! What the parser tells: the meaning-free shape of what the guest wrote.

use super::style::Rgb;

/// The most parameters of a control sequence; more are dropped. xterm takes 30.
pub(super) const PARAMETERS: usize = 32;

/// The parameters of a control sequence: numbers clamped to 65,535, a missing one is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters {
    values: [u16; PARAMETERS],
    /// Bit n: parameter n follows a colon, hence belongs to the one before it.
    colons: u32,
    /// At least 1.
    count: u8,
    /// More were written than are kept.
    overflow: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { values: [0; PARAMETERS], colons: 0, count: 1, overflow: false }
    }
}

impl Parameters {
    /// Forgets all of them.
    #[inline]
    pub(super) const fn clear(&mut self) {
        self.values[0] = 0;
        self.colons = 0;
        self.count = 1;
        self.overflow = false;
    }

    /// Takes another digit of the last parameter.
    #[inline]
    pub(super) fn digit(&mut self, digit: u8) {
        if !self.overflow {
            let value = &mut self.values[usize::from(self.count) - 1];
            *value = value.saturating_mul(10).saturating_add(u16::from(digit));
        }
    }

    /// Begins another parameter.
    #[inline]
    pub(super) const fn next(&mut self, colon: bool) {
        if self.count as usize == PARAMETERS {
            self.overflow = true;
            return;
        }
        self.values[self.count as usize] = 0;
        if colon {
            self.colons |= 1 << self.count;
        }
        self.count += 1;
    }

    /// All of them, at least one.
    #[inline]
    pub(super) fn values(&self) -> &[u16] {
        &self.values[..usize::from(self.count)]
    }

    /// Parameter `at`, 0 when it is missing.
    pub(super) fn get(&self, at: usize) -> u16 {
        self.values().get(at).copied().unwrap_or(0)
    }

    /// Parameter `at`, where 0 and missing mean 1.
    pub(super) fn or_one(&self, at: usize) -> u16 {
        self.get(at).max(1)
    }

    /// Where the parameters after `at` that belong to it end: those that follow colons.
    #[inline]
    pub(super) fn group_end(&self, at: usize) -> usize {
        let mut end = at + 1;
        while end < usize::from(self.count) && self.colons >> end & 1 != 0 {
            end += 1;
        }
        end
    }
}

/// A control sequence (CSI), or the head of a device control string (DCS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sequence {
    /// `<`, `=`, `>` or `?` before the parameters, or 0.
    pub(super) private: u8,
    pub(super) parameters: Parameters,
    /// The intermediate character, or 0; 0xff for more than one, which no sequence that we know has.
    pub(super) intermediate: u8,
    /// The final character.
    pub(super) last: u8,
}

impl Sequence {
    /// Notes an intermediate character.
    pub(super) const fn intermediate(&mut self, byte: u8) {
        self.intermediate = if self.intermediate == 0 { byte } else { 0xff };
    }

    #[inline]
    pub(super) const fn clear(&mut self) {
        self.private = 0;
        self.intermediate = 0;
        self.parameters.clear();
    }
}

/// Who acts on what the parser found.
pub(super) trait Actions {
    /// Prints ASCII, all of it 0x20 to 0x7e; never empty.
    fn print_ascii(&mut self, run: &[u8]);
    /// Prints characters: ASCII from 0x20 to 0x7e, and 0xa0 and above; never empty.
    fn print(&mut self, characters: &[char]);
    /// Takes whole lines of plain text from the start of `bytes`, which follow a line feed; returns how many bytes that
    /// were, and up to how many bytes after that it is not worth asking again. Only a short cut: what is not taken here
    /// is told as usual.
    fn lines(&mut self, bytes: &[u8]) -> (usize, usize) {
        let _ = bytes;
        (0, 0)
    }
    /// A C0 control other than ESC, CAN and SUB, or DEL where text stands.
    fn control(&mut self, byte: u8);
    /// `ESC`, perhaps an intermediate (else 0), and a final character; C1 controls come as their 7-bit form.
    fn escape(&mut self, intermediate: u8, last: u8);
    /// A control sequence.
    fn csi(&mut self, sequence: &Sequence);
    /// An operating system command, without its introducer and terminator.
    fn osc(&mut self, text: &[u8]);
    /// A device control string.
    fn dcs(&mut self, head: &Sequence, text: &[u8]);
    /// Linux console: `ESC ] P nrrggbb`.
    fn linux_colour(&mut self, index: u8, colour: Rgb);
    /// Linux console: `ESC ] R`.
    fn linux_reset_palette(&mut self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_parameters_are_dropped_and_numbers_clamped() {
        let mut parameters = Parameters::default();
        for _ in 0..100 {
            for _ in 0..9 {
                parameters.digit(9);
            }
            parameters.next(false);
        }
        assert_eq!(parameters.values(), [u16::MAX; PARAMETERS]);
        parameters.clear();
        assert_eq!(parameters.values(), [0]);
        assert_eq!((parameters.get(7), parameters.or_one(0)), (0, 1));
    }

    #[test]
    fn colons_group() {
        let mut parameters = Parameters::default();
        for colon in [false, true, true, false] {
            parameters.next(colon);
        }
        assert_eq!([0, 1, 4].map(|at| parameters.group_end(at)), [1, 4, 5]);
    }
}
