//! VNC authentication (RFC 6143 §7.2.2): the server sends 16 random bytes, the viewer returns them encrypted by
//! DES with the password as key. The bits of each key byte are reversed, which the RFC's errata (4951) admit.
//!
//! It proves little against an eavesdropper, who can try passwords at leisure; use it behind a tunnel.

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{PASSWORD_BYTES, Password};

/// The bytes of a challenge and of its response.
pub const CHALLENGE_BYTES: usize = 16;

/// The response that proves knowledge of `password`.
#[must_use]
pub fn response(password: &Password, challenge: &[u8; CHALLENGE_BYTES]) -> [u8; CHALLENGE_BYTES] {
    let mut key: [u8; PASSWORD_BYTES] = password.0.map(u8::reverse_bits);
    let cipher = Des::new(&key.into());
    key.zeroize();
    let mut blocks = *challenge;
    for block in blocks.chunks_exact_mut(8) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(block);
        let mut bytes = bytes.into();
        cipher.encrypt_block(&mut bytes);
        block.copy_from_slice(&bytes);
    }
    blocks
}

/// True when `answer` is the response to `challenge`; takes equally long for every wrong answer.
#[must_use]
pub fn verify(
    password: &Password,
    challenge: &[u8; CHALLENGE_BYTES],
    answer: &[u8; CHALLENGE_BYTES],
) -> bool {
    response(password, challenge).ct_eq(answer).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From OpenSSL: `enc -des-ecb -nopad -K KEY`, KEY being the password's bytes with their bits reversed.
    const VECTORS: [(&[u8], [u8; 16], [u8; 16]); 3] = [
        (
            b"secret",
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            [0xee, 0x22, 0x53, 0x9f, 0x33, 0xa5, 0x98, 0x3e, 0xc1, 0x2f, 0x9c, 0x2e, 0xdb, 0xc9, 0x95, 0xdd],
        ),
        (
            b"password-longer",
            [0xf0, 0xe1, 0xd2, 0xc3, 0xb4, 0xa5, 0x96, 0x87, 0x78, 0x69, 0x5a, 0x4b, 0x3c, 0x2d, 0x1e, 0x0f],
            [0x00, 0xd2, 0x1b, 0xa1, 0x3f, 0x77, 0x43, 0x30, 0x28, 0x80, 0xd9, 0x0c, 0x27, 0x0f, 0x79, 0xc6],
        ),
        (
            b"",
            [0xff; 16],
            [0x35, 0x55, 0x50, 0xb2, 0x15, 0x0e, 0x24, 0x51, 0x35, 0x55, 0x50, 0xb2, 0x15, 0x0e, 0x24, 0x51],
        ),
    ];

    #[test]
    fn responses_are_those_of_openssl() {
        for (password, challenge, wanted) in VECTORS {
            let password = Password::new(password);
            assert_eq!(response(&password, &challenge), wanted);
            assert!(verify(&password, &challenge, &wanted));
            for at in 0..16 {
                let mut wrong = wanted;
                wrong[at] ^= 1;
                assert!(!verify(&password, &challenge, &wrong));
            }
        }
    }
}
