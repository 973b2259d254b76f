//! What of the zones a response was made from, in short: enough to tell whether a later snapshot would give another one.
//!
//! Whatever an answer looks at falls into one of some thousand places: a name, whether it exists or not, or a zone as a
//! whole. Two names may have one place, which makes a change of one look like a change of both and never the other way
//! round. Which origins there are, and what [`Zone::changes_to`] does not tell by places, stands behind every response.

use super::NameHash;
#[cfg(doc)]
use super::Zone;

/// Places, a power of two.
pub const PLACES: usize = 4096;

/// Places that one response is said to be made from, at most: an ordinary answer with the zone's name servers and their
/// addresses.
const MOST: usize = 7;

/// Where a name, or a zone, falls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place(u16);

impl Place {
    /// That of a name: of its RRsets, the SOA apart, and of whether it exists.
    pub fn of_name(hash: NameHash) -> Place {
        Place::of_hash(hash.bits() as u32)
    }

    /// That of anything at all in the zone of this origin; its SOA changes with every other change.
    pub fn of_zone(origin: NameHash) -> Place {
        Place::of_hash((origin.bits() >> 32) as u32)
    }

    /// That of a name, by the half of its hash that tables keep. Their shards are chosen by the other end of it.
    pub(super) fn of_hash(hash: u32) -> Place {
        Place((hash >> (u32::BITS - PLACES.ilog2())) as u16)
    }

    /// Below [`PLACES`].
    pub fn index(self) -> usize {
        usize::from(self.0) % PLACES
    }
}

/// The places that a response was made from.
#[derive(Clone, Copy, Debug)]
pub struct Basis {
    places: [Place; MOST],
    /// How many there are; one more than fit if there are more.
    count: u8,
}

impl Basis {
    /// That of a response that no zone can change, but for which there are.
    pub const NOTHING: Basis = Basis { places: [Place(0); MOST], count: 0 };

    /// The response is made from this place too.
    #[inline]
    pub fn note(&mut self, place: Place) {
        let count = usize::from(self.count);
        if count > MOST || self.places[..count].contains(&place) {
            return;
        }
        if let Some(free) = self.places.get_mut(count) {
            *free = place;
        }
        self.count += 1;
    }

    /// The places, or `None` if they are too many to tell.
    #[inline]
    pub fn places(&self) -> Option<&[Place]> {
        self.places.get(..self.count.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_noted_once_and_too_many_are_all() {
        let place = |number: u32| Place::of_hash(number << 20);
        let mut basis = Basis::NOTHING;
        for number in 0..MOST as u32 {
            basis.note(place(number));
            basis.note(place(0));
        }
        let places: Vec<Place> = (0..MOST as u32).map(place).collect();
        assert_eq!(basis.places(), Some(places.as_slice()));
        basis.note(place(100));
        assert_eq!(basis.places(), None);
        basis.note(place(101));
        assert_eq!(basis.places(), None);
        assert!((0..PLACES as u32).all(|number| place(number).index() == number as usize));
    }
}
