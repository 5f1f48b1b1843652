//! Tokens: what a guest reads in xenstore and shows us when it connects.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How many random bytes a token stands for; twice as many hexadecimal digits.
const TOKEN_BYTES: usize = 16;

/// A token. Wiped when dropped, never printed.
#[derive(Clone)]
pub(super) struct Token(Zeroizing<String>);

impl Token {
    /// A new one.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        getrandom::fill(&mut *bytes)?;
        let mut text = Zeroizing::new(String::with_capacity(2 * TOKEN_BYTES));
        for byte in *bytes {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
            }
        }
        Ok(Self(text))
    }

    /// What is written for the guest.
    pub(super) fn text(&self) -> &Zeroizing<String> {
        &self.0
    }

    /// Whether this is what was shown. It takes equally long for every wrong answer of the right length, and the
    /// length is no secret.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_different_and_not_printed() {
        let [one, two] = [(); 2].map(|()| Token::random().unwrap());
        assert_eq!(one.text().len(), 32);
        assert!(one.text().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(one.is(one.text().as_bytes()) && !one.is(two.text().as_bytes()));
        assert!(!one.is(b"") && !one.is(&one.text().as_bytes()[..31]));
        assert!(!format!("{one:?}").contains(one.text().as_str()));
    }
}
