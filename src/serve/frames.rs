//! Messages in a stream, each after its length in two bytes (RFC 1035 §4.2.2).
//!
//! Must not know about sockets or DNS beyond that.

/// Room that a connection starts with: some hundred pipelined queries.
const INITIAL_BYTES: usize = 4 * 1024;
/// The length of a length.
const PREFIX: usize = 2;

/// The bytes of a stream that have arrived and not been taken.
#[derive(Debug)]
pub(super) struct Frames {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    max_message: usize,
}

/// A message longer than is taken. The stream is of no further use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Frames {
    /// An empty stream that takes messages of up to `max_message` bytes.
    pub(super) fn new(max_message: usize) -> Frames {
        let max_message = max_message.min(usize::from(u16::MAX));
        Frames { bytes: vec![0; INITIAL_BYTES].into(), start: 0, end: 0, max_message }
    }

    /// The next message, if all of it has arrived.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let Some(length) = self.next_len() else { return Ok(None) };
        if length > self.max_message {
            return Err(TooLong);
        }
        let message = self.start + PREFIX..self.start + PREFIX + length;
        if message.end > self.end {
            return Ok(None);
        }
        self.start = message.end;
        Ok(Some(&self.bytes[message]))
    }

    /// Room for what arrives next, never empty after [`Frames::next`] found no message.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let wanted = PREFIX + self.next_len().unwrap_or(0).min(self.max_message);
        if self.start + wanted > self.bytes.len() || self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if wanted > self.bytes.len() {
            let mut larger = vec![0; wanted];
            larger[..self.end].copy_from_slice(&self.bytes[..self.end]);
            self.bytes = larger.into();
        }
        &mut self.bytes[self.end..]
    }

    /// Notes that the first `count` bytes of the room were filled.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    fn next_len(&self) -> Option<usize> {
        let prefix = self.bytes[self.start..self.end].first_chunk::<PREFIX>()?;
        Some(usize::from(u16::from_be_bytes(*prefix)))
    }
}

/// Appends `message` as it goes into a stream. It must be at most 65,535 bytes long, as every DNS message is.
pub(super) fn push(stream: &mut Vec<u8>, message: &[u8]) {
    debug_assert!(message.len() <= usize::from(u16::MAX));
    stream.extend_from_slice(&(message.len() as u16).to_be_bytes());
    stream.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_the_stream_is_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9000), 0..6),
            cuts in prop::collection::vec(1usize..3000, 1..20),
        ) {
            let mut stream = Vec::new();
            messages.iter().for_each(|message| push(&mut stream, message));
            let (mut frames, mut out, mut cuts) = (Frames::new(9000), Vec::new(), cuts.iter().cycle());
            while !stream.is_empty() {
                let room = frames.room();
                prop_assert!(!room.is_empty());
                let count = room.len().min(stream.len()).min(*cuts.next().unwrap());
                room[..count].copy_from_slice(&stream[..count]);
                stream.drain(..count);
                frames.filled(count);
                while let Some(message) = frames.next().unwrap() {
                    out.push(message.to_vec());
                }
            }
            prop_assert_eq!(out, messages);
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_the_message_arrives() {
        let mut frames = Frames::new(100);
        frames.room()[..2].copy_from_slice(&101u16.to_be_bytes());
        frames.filled(2);
        assert_eq!(frames.next(), Err(TooLong));
    }
}
