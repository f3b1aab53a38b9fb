//! A stream of events, cut out of an HTTP answer.

use crate::mesos::codec::Codec;
use crate::mesos::recordio;
use prost::{Message, Name};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// The events of one subscription.
pub struct Records<E> {
    response: reqwest::Response,
    reader: recordio::Reader,
    codec: Codec,
    kind: PhantomData<fn() -> E>,
}

impl<E> Records<E> {
    pub(super) fn new(response: reqwest::Response, codec: Codec) -> Self {
        Self { response, reader: recordio::Reader::default(), codec, kind: PhantomData }
    }
}

impl<E: Message + Name + Default + DeserializeOwned> Records<E> {
    /// The next event. Safe to cancel.
    ///
    /// # Errors
    /// Why there will be none: the stream ended, was cut, or holds something that is no event.
    pub async fn next(&mut self) -> Result<E, String> {
        loop {
            let record = self.reader.next_record();
            if let Some(record) = record.map_err(|e| format!("the event stream is garbled: {e}"))? {
                return self.codec.decode(&record).map_err(|e| format!("not an event: {e}"));
            }
            match self.response.chunk().await {
                Ok(Some(piece)) => self.reader.push(&piece),
                Ok(None) if self.reader.is_partial() => {
                    return Err("the event stream was cut within an event".into());
                }
                Ok(None) => return Err("the event stream was closed".into()),
                Err(_) => return Err("the event stream was cut".into()),
            }
        }
    }
}
