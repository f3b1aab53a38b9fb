//! Required fields in binary messages: prost reads a missing one as its zero value, Mesos refuses the message.
//!
//! The tables come from the build script; [`missing`] walks the bytes once beside them.

/// One message type: which field numbers must be there, and which hold messages (index into [`SHAPES`]).
pub(crate) struct Shape {
    /// The full proto name, the key the table is sorted by.
    pub(crate) name: &'static str,
    /// Number and name of each required field.
    pub(crate) required: &'static [(i32, &'static str)],
    /// Number and shape of each field that holds a message.
    pub(crate) children: &'static [(i32, usize)],
}

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

/// How deep messages may nest; deeper input is refused, as prost does.
const DEPTH_MAX: usize = 100;

/// The paths of required fields that `bytes`, a message of the type `full_name`, does not have.
/// Bytes that are no protobuf at all give none: decoding them fails by itself.
pub(crate) fn missing(full_name: &str, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(at) = SHAPES.binary_search_by_key(&full_name, |s| s.name) {
        walk(&SHAPES[at], bytes, &mut String::new(), 0, &mut found);
    }
    found
}

/// `None` when the bytes are malformed.
fn walk(
    shape: &Shape,
    mut bytes: &[u8],
    path: &mut String,
    depth: usize,
    found: &mut Vec<String>,
) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    // No message of the contract has more than 64 required fields.
    let mut seen = 0u64;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let number = i32::try_from(key >> 3).ok()?;
        if let Some(at) = shape.required.iter().position(|(n, _)| *n == number) {
            seen |= 1 << at;
        }
        let body = match key & 7 {
            0 => {
                varint(&mut bytes)?;
                continue;
            }
            1 => 8,
            5 => 4,
            2 => usize::try_from(varint(&mut bytes)?).ok()?,
            _ => return None,
        };
        let value = bytes.get(..body)?;
        bytes = &bytes[body..];
        if key & 7 != 2 {
            continue;
        }
        if let Some((_, child)) = shape.children.iter().find(|(n, _)| *n == number) {
            let before = path.len();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&number.to_string());
            walk(&SHAPES[*child], value, path, depth + 1, found)?;
            path.truncate(before);
        }
    }
    for (at, (_, name)) in shape.required.iter().enumerate() {
        if seen & (1 << at) == 0 {
            found.push(format!("{}.{name}", shape.name));
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
