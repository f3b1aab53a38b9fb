//! RecordIO: a stream gives the same records (or the same error) however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesolith::mesos::recordio::{FrameError, Reader};

const LIMIT: usize = 256;

fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let (mut reader, mut all) = (Reader::with_limit(LIMIT), Vec::new());
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next_record() {
                Ok(Some(record)) => all.push(record),
                Ok(None) => break,
                Err(e) => return (all, Some(e)),
            }
        }
    }
    (all, None)
}

fuzz_target!(|input: (Vec<u8>, u8)| {
    let (stream, step) = input;
    let pieces: Vec<&[u8]> = stream.chunks(usize::from(step).max(1)).collect();
    let (whole, cut) = (read(&[&stream]), read(&pieces));
    assert_eq!(whole.0, cut.0);
    // What is said of a bad length depends on how much of it was there.
    assert_eq!(whole.1.is_some(), cut.1.is_some());
});
