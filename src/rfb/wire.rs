//! Checked reading and writing of RFB's primitive types: big-endian numbers (RFC 6143 §7) and lengths.
//!
//! A [`Reader`] never copies and never panics. When a value is not complete yet it answers [`NeedMore`], which is
//! not an error: the caller keeps its bytes and tries again with more of them.

/// The bytes so far are the beginning of something valid; more must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedMore;

/// Why a decoder stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop<E> {
    /// It needs more bytes.
    NeedMore,
    /// No more bytes can make this valid.
    Failed(E),
}

impl<E> From<NeedMore> for Stop<E> {
    fn from(_: NeedMore) -> Self {
        Self::NeedMore
    }
}

impl<E> Stop<E> {
    /// The same with another kind of failure.
    pub fn map<F>(self, into: impl FnOnce(E) -> F) -> Stop<F> {
        match self {
            Self::NeedMore => Stop::NeedMore,
            Self::Failed(error) => Stop::Failed(into(error)),
        }
    }
}

/// Reads values from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, total: bytes.len() }
    }

    /// The number of bytes read so far.
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.total - self.rest.len()
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`NeedMore`] when there are fewer; nothing is consumed then.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], NeedMore> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(NeedMore)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`NeedMore`] when there are fewer; nothing is consumed then.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], NeedMore> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(NeedMore)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Skips `count` padding bytes.
    ///
    /// # Errors
    /// [`NeedMore`] when there are fewer.
    pub fn skip(&mut self, count: usize) -> Result<(), NeedMore> {
        self.bytes(count).map(|_| ())
    }

    /// An unsigned 8-bit number.
    ///
    /// # Errors
    /// [`NeedMore`] at the end.
    pub fn u8(&mut self) -> Result<u8, NeedMore> {
        self.array().map(u8::from_be_bytes)
    }

    /// An unsigned 16-bit number.
    ///
    /// # Errors
    /// [`NeedMore`] at the end.
    pub fn u16(&mut self) -> Result<u16, NeedMore> {
        self.array().map(u16::from_be_bytes)
    }

    /// An unsigned 32-bit number.
    ///
    /// # Errors
    /// [`NeedMore`] at the end.
    pub fn u32(&mut self) -> Result<u32, NeedMore> {
        self.array().map(u32::from_be_bytes)
    }

    /// A signed 32-bit number.
    ///
    /// # Errors
    /// [`NeedMore`] at the end.
    pub fn i32(&mut self) -> Result<i32, NeedMore> {
        self.array().map(i32::from_be_bytes)
    }
}

/// Appends values to a message.
pub trait Writer {
    /// Appends bytes as they are.
    fn put(&mut self, bytes: &[u8]);

    /// Appends an unsigned 8-bit number.
    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    /// Appends an unsigned 16-bit number.
    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Appends an unsigned 32-bit number.
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a signed 32-bit number.
    fn put_i32(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }

    /// Appends `bytes` behind their length as an unsigned 32-bit number. Bytes beyond that number are left out.
    fn put_counted(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.put_u32(length);
        self.put(&bytes[..bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX))]);
    }
}

impl Writer for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Text as Latin-1, which is what cut text is made of (RFC 6143 §7.5.6); what it lacks becomes `?`.
#[must_use]
pub fn to_latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

/// Text from Latin-1.
#[must_use]
pub fn from_latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_read_consumes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), Err(NeedMore));
        assert_eq!(reader.bytes(usize::MAX), Err(NeedMore));
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.u16(), Err(NeedMore));
        assert_eq!((reader.consumed(), reader.rest()), (2, &[3][..]));
    }

    #[test]
    fn numbers_are_big_endian() {
        let mut out = Vec::new();
        out.put_u8(1);
        out.put_u16(0x0203);
        out.put_u32(0x0405_0607);
        out.put_i32(-223);
        out.put_counted(b"ab");
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 0xff, 0xff, 0xff, 0x21, 0, 0, 0, 2, b'a', b'b']);
        let mut reader = Reader::new(&out[7..]);
        assert_eq!(reader.i32(), Ok(-223));
    }

    #[test]
    fn latin1_keeps_what_it_has() {
        assert_eq!(to_latin1("aé漢"), [b'a', 0xe9, b'?']);
        assert_eq!(from_latin1(&[b'a', 0xe9, 0x80]), "aé\u{80}");
    }
}
