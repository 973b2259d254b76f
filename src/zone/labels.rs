//! Where the labels of a name in wire form start: what names are compared, hashed and compressed by.

/// The start of each label but the root's. 127 is the most that 255 bytes can hold.
#[derive(Clone, Copy, Debug)]
pub struct Labels {
    starts: [u8; 128],
    count: u8,
}

impl Labels {
    /// None, as the root has.
    pub const NONE: Labels = Labels { starts: [0; 128], count: 0 };

    /// All labels of a valid name.
    #[inline]
    pub fn of(name: &[u8]) -> Labels {
        let mut labels = Labels::NONE;
        labels.read(name);
        labels
    }

    /// Becomes the labels of another valid name.
    #[inline]
    pub fn read(&mut self, name: &[u8]) {
        self.read_before(name, name.len() - 1);
    }

    /// Becomes the labels of a valid name in front of byte `end`. Whether a label, or the root, starts there.
    #[inline]
    pub fn read_before(&mut self, name: &[u8], end: usize) -> bool {
        let (mut at, mut count) = (0, 0);
        while at < end {
            self.starts[count % 128] = at as u8;
            count += 1;
            at += 1 + usize::from(name[at]);
        }
        self.count = count as u8;
        at == end
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count.into()
    }

    /// Their starts from the rightmost to the leftmost.
    #[inline]
    pub fn rev(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        self.starts[..usize::from(self.count % 128)].iter().rev().map(|&start| start.into())
    }

    /// The starts in front of byte `end`, from the rightmost to the leftmost.
    #[inline]
    pub fn rev_before(&self, end: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        self.rev().skip_while(move |&start| start >= end)
    }
}

/// The label that starts at a byte of a name, with its length in front.
#[inline]
pub fn label_at(name: &[u8], start: usize) -> &[u8] {
    &name[start..=start + usize::from(name[start])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_start_where_their_lengths_stand() {
        let mut name = Vec::new();
        for length in [1, 63, 2, 63, 63, 1, 50] {
            name.push(length);
            name.resize(name.len() + usize::from(length), b'a');
        }
        name.push(0);
        let starts = [0, 2, 66, 69, 133, 197, 199];
        let labels = Labels::of(&name);
        assert_eq!(labels.count(), starts.len());
        assert!(labels.rev().eq(starts.iter().rev().copied()));
        for end in 0..name.len() {
            let before = starts.iter().rev().copied().filter(|&start| start < end);
            assert!(labels.rev_before(end).eq(before.clone()), "{end}");
            let mut found = Labels::NONE;
            let ends = found.read_before(&name, end);
            assert_eq!(ends, starts.contains(&end) || end == name.len() - 1);
            assert!(found.rev().eq(before), "{end}");
        }
        assert_eq!(Labels::of(&[0]).rev().next(), None);
    }
}
