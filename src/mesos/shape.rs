//! Required fields in binary messages: prost reads a missing one as its zero value, Mesos refuses the message.
//!
//! The tables come from the build script; [`missing`] walks the bytes once beside them. A required enum with a number
//! this version does not know counts as missing, as in proto2. (A singular message cut in two, which protobuf allows
//! and no writer does, is checked part by part.)

/// One message type: which field numbers must be there, and which hold messages (index into [`SHAPES`]).
pub(crate) struct Shape {
    /// The full proto name, the key the table is sorted by.
    pub(crate) name: &'static str,
    /// Number and name of each required field; at most 64.
    pub(crate) required: &'static [(i32, &'static str)],
    /// Number, name, whether repeated, and shape of each field that holds a message; at most 64.
    pub(crate) children: &'static [(i32, &'static str, bool, usize)],
    /// Number and known values of each required enum.
    pub(crate) closed: &'static [(i32, Known)],
}

/// Whether a number is one of an enum's values.
type Known = fn(i32) -> bool;

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

/// How deep messages and groups may nest; deeper input is refused, as prost does.
const DEPTH_MAX: usize = 100;

/// Where the walk is: a list that lives on the stack, turned into text only when something is missing.
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    name: &'static str,
    index: Option<u32>,
}

/// The paths of required fields that `bytes`, a message of the type `full_name`, does not have; `None` when
/// the bytes are no protobuf.
pub(crate) fn missing(full_name: &str, bytes: &[u8]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    // Every message of the contract is in the table.
    let at = SHAPES.binary_search_by_key(&full_name, |s| s.name).ok()?;
    walk(&SHAPES[at], bytes, None, 0, &mut found)?;
    Some(found)
}

fn walk(
    shape: &Shape,
    mut bytes: &[u8],
    place: Option<&Place<'_>>,
    depth: usize,
    found: &mut Vec<String>,
) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut seen = 0u64;
    let mut counts = [0u32; 64];
    while !bytes.is_empty() {
        let (number, value) = field(&mut bytes, 0)?;
        if let Some(at) = shape.required.iter().position(|(n, _)| *n == number) {
            let unknown = match value {
                // Enums are 32 bits wide; negative ones come sign-extended.
                Field::Varint(v) => {
                    shape.closed.iter().any(|(n, known)| *n == number && !known(v as i32))
                }
                _ => false,
            };
            // Of a field given twice prost keeps the last, so the last is what counts.
            if unknown {
                seen &= !(1 << at);
            } else {
                seen |= 1 << at;
            }
        }
        let Field::Bytes(body) = value else { continue };
        let child = shape.children.iter().position(|(n, ..)| *n == number);
        if let Some((at, (_, name, repeated, of))) = child.map(|at| (at, shape.children[at])) {
            let index = repeated.then_some(counts[at]);
            counts[at] = counts[at].saturating_add(1);
            let here = Place { above: place, name, index };
            walk(&SHAPES[of], body, Some(&here), depth + 1, found)?;
        }
    }
    for (at, (_, name)) in shape.required.iter().enumerate() {
        if seen & (1 << at) == 0 {
            found.push(path(place, name));
        }
    }
    Some(())
}

/// `accept.offer_ids[1].value`.
fn path(mut place: Option<&Place<'_>>, last: &str) -> String {
    let mut parts = vec![last.to_string()];
    while let Some(Place { above, name, index }) = place {
        parts.push(index.map_or_else(|| name.to_string(), |i| format!("{name}[{i}]")));
        place = *above;
    }
    parts.reverse();
    parts.join(".")
}

enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Fixed-width numbers and groups: nothing of interest inside.
    Other,
}

/// Takes one field off the front; `None` when the bytes are malformed.
fn field<'a>(bytes: &mut &'a [u8], depth: usize) -> Option<(i32, Field<'a>)> {
    let key = varint(bytes)?;
    let number = i32::try_from(key >> 3).ok()?;
    let value = match key & 7 {
        0 => Field::Varint(varint(bytes)?),
        1 => take(bytes, 8).map(|_| Field::Other)?,
        5 => take(bytes, 4).map(|_| Field::Other)?,
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Field::Bytes(take(bytes, length)?)
        }
        3 if depth < DEPTH_MAX => {
            skip_group(bytes, number, depth)?;
            Field::Other
        }
        _ => return None,
    };
    Some((number, value))
}

/// Skips the fields of a group, which only unknown fields can be, with its end.
fn skip_group(bytes: &mut &[u8], group: i32, depth: usize) -> Option<()> {
    loop {
        let mut ahead = *bytes;
        let key = varint(&mut ahead)?;
        if key & 7 == 4 {
            *bytes = ahead;
            return (i32::try_from(key >> 3).ok()? == group).then_some(());
        }
        field(bytes, depth + 1)?;
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
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
