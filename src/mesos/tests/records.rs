//! RecordIO, cut in any way.

use crate::mesos::recordio::{FrameError, Reader, frame};
use proptest::prelude::*;

fn read_all(reader: &mut Reader) -> Result<Vec<Vec<u8>>, FrameError> {
    let mut all = Vec::new();
    while let Some(record) = reader.next_record()? {
        all.push(record);
    }
    Ok(all)
}

#[test]
fn records_by_hand() {
    assert_eq!(frame(b"{\"type\":\"HEARTBEAT\"}"), b"20\n{\"type\":\"HEARTBEAT\"}");
    let mut reader = Reader::default();
    reader.push(b"1\na3\nb\nc5\nhal");
    assert_eq!(read_all(&mut reader), Ok(vec![b"a".to_vec(), b"b\nc".to_vec()]));
    assert!(reader.is_partial());
    reader.push(b"lo");
    assert_eq!(read_all(&mut reader), Ok(vec![b"hallo".to_vec()]));
    assert!(!reader.is_partial());
}

#[test]
fn broken_streams_stay_broken_and_keep_nothing() {
    for (bytes, error) in [
        (&b"x\n"[..], FrameError::BadLength("x".into())),
        (b"\n", FrameError::BadLength(String::new())),
        (b"-1\n", FrameError::BadLength("-1".into())),
        (b"+1\n", FrameError::BadLength("+1".into())),
        (b" 1\n", FrameError::BadLength(" 1".into())),
        (b"1\r\n", FrameError::BadLength("1\r".into())),
        (b"99999999999999999999\n", FrameError::BadLength("99999999999999999999".into())),
        (b"111111111111111111111", FrameError::BadLength("111111111111111111111".into())),
        (b"101\n", FrameError::TooLong { length: 101, limit: 100 }),
    ] {
        let mut reader = Reader::with_limit(100);
        reader.push(bytes);
        assert_eq!(reader.next_record(), Err(error.clone()));
        reader.push(b"1\na");
        assert_eq!(reader.next_record(), Err(error));
        assert!(!reader.is_partial());
    }
    let mut endless = Reader::with_limit(usize::MAX);
    endless.push(format!("{}\nx", usize::MAX).as_bytes());
    assert_eq!(endless.next_record(), Ok(None));
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_records(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
        cuts in prop::collection::vec(0..400usize, 0..12),
        late in any::<bool>(),
    ) {
        let stream: Vec<u8> = records.iter().flat_map(|r| frame(r)).collect();
        let mut ends: Vec<usize> = cuts.into_iter().filter(|c| *c < stream.len()).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        let (mut reader, mut got, mut from) = (Reader::default(), Vec::new(), 0);
        for end in ends {
            reader.push(&stream[from..end]);
            from = end;
            if !late {
                got.extend(read_all(&mut reader).unwrap());
            }
        }
        got.extend(read_all(&mut reader).unwrap());
        prop_assert_eq!(got, records);
        prop_assert!(!reader.is_partial());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = Reader::with_limit(64);
        reader.push(&bytes);
        if let Ok(all) = read_all(&mut reader) {
            prop_assert!(all.iter().all(|r| r.len() <= 64));
        }
    }
}
