//! Base 32 (RFC 4648 §6) in lower case, without padding: read aloud, typed and pasted without a shell's mind on it.

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The text of bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0u32, 0);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(letter(held << (5 - bits)));
    }
    text
}

fn letter(value: u32) -> char {
    char::from(LETTERS[(value & 31) as usize])
}

/// The bytes of a text of exactly `N`; upper case is read too.
pub(super) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let (mut bytes, mut at) = ([0; N], 0);
    let (mut held, mut bits) = (0u32, 0);
    for c in text.bytes() {
        let value = LETTERS.iter().position(|l| *l == c.to_ascii_lowercase())?;
        held = (held << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(at)? = u8::try_from(held >> bits & 0xff).ok()?;
            at += 1;
            held &= (1 << bits) - 1;
        }
    }
    // What is left over must be nothing, or two texts would be the same bytes.
    (at == N && held == 0).then_some(bytes)
}
