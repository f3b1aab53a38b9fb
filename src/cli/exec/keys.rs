//! The keys that leave a terminal alone: Ctrl-P, then Ctrl-Q, as users of Docker know them. Pure.

const CTRL_P: u8 = 0x10;
const CTRL_Q: u8 = 0x11;

/// Looks through what is typed.
#[derive(Debug, Default)]
pub struct Leaving {
    /// The first key was pressed, and is held back.
    begun: bool,
}

impl Leaving {
    /// What of `typed` is to be passed on, and whether the keys were pressed after it.
    pub fn look(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len() + 1);
        for byte in typed {
            match (self.begun, *byte) {
                (true, CTRL_Q) => return (passed, true),
                // The one before was meant; this one may begin anew.
                (true, CTRL_P) => passed.push(CTRL_P),
                (true, other) => {
                    self.begun = false;
                    passed.extend([CTRL_P, other]);
                }
                (false, CTRL_P) => self.begun = true,
                (false, other) => passed.push(other),
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_keys_leave_and_one_is_passed_on_with_the_next() {
        let all = |pieces: &[&[u8]]| {
            let mut leaving = Leaving::default();
            let mut passed = Vec::new();
            for piece in pieces {
                let (bytes, left) = leaving.look(piece);
                passed.extend(bytes);
                if left {
                    return (passed, true);
                }
            }
            (passed, false)
        };
        assert_eq!(all(&[b"ls\r"]), (b"ls\r".to_vec(), false));
        assert_eq!(all(&[b"a\x10\x11b"]), (b"a".to_vec(), true));
        assert_eq!(all(&[b"a\x10", b"\x11b"]), (b"a".to_vec(), true), "in two pieces");
        assert_eq!(all(&[b"\x10", b"x\x11"]), (b"\x10x\x11".to_vec(), false));
        assert_eq!(all(&[b"\x10\x10\x11"]), (b"\x10".to_vec(), true));
        assert_eq!(all(&[b"\x11"]), (b"\x11".to_vec(), false));
    }
}
