//! Weights of features for some questions: learnt ahead, laid into one table, and looked up in place.

/// Of each of `N` questions a step and what a thing without features weighs, then [`SLOT`](Self::SLOT)s for features. It is
/// read as it lies in the program: nothing is built at a start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a, const N: usize> {
    bytes: &'a [u8],
    slots: usize,
}

/// Where a feature is looked for first, and by what it is known there.
fn place(feature: u64, slots: usize) -> (usize, [u8; 4]) {
    let [a, b, c, d, rest @ ..] = feature.to_le_bytes();
    let slot = u32::from_le_bytes(rest) as usize & (slots - 1);
    // nothing is known by nothing: so an empty place is told
    (slot, [a | 1, b, c, d])
}

impl<'a, const N: usize> Table<'a, N> {
    /// Two numbers of four bytes for each question, little end first.
    const HEAD: usize = N * 8;
    /// Half of a feature, little end first, and its weights in steps.
    const SLOT: usize = 4 + N;

    /// Of bytes that [`lay`] made with so many slots; a wrong length does not compile where it is a constant.
    pub(super) const fn new(bytes: &'a [u8], slots: usize) -> Self {
        assert!(slots.is_power_of_two(), "slots are found by the lowest bits");
        assert!(bytes.len() == Self::HEAD + slots * Self::SLOT, "the table is of another shape");
        Self { bytes, slots }
    }

    /// The weights of a feature in steps; `None` for what was never learnt.
    pub(super) fn steps(&self, feature: u64) -> Option<&'a [u8]> {
        let (first, mark) = place(feature, self.slots);
        for at in (first..self.slots).chain(0..first) {
            let slot = self.bytes.get(Self::HEAD + at * Self::SLOT..)?.get(..Self::SLOT)?;
            let (own, weights) = slot.split_first_chunk::<4>()?;
            if *own == mark {
                return Some(weights);
            }
            if *own == [0; 4] {
                return None;
            }
        }
        None
    }

    /// Log-odds of each answer.
    pub(super) fn odds(&self, features: &[u64]) -> [f32; N] {
        let mut sums = [0_i32; N];
        for weights in features.iter().filter_map(|feature| self.steps(*feature)) {
            sums.iter_mut().zip(weights).for_each(|(sum, step)| *sum += i32::from(step.cast_signed()));
        }
        let heads = self.bytes.as_chunks::<4>().0.as_chunks::<2>().0;
        let mut odds = [0.0; N];
        for ((odds, sum), [step, bias]) in odds.iter_mut().zip(sums).zip(heads) {
            #[expect(clippy::cast_precision_loss, reason = "at most some thousands of small numbers")]
            let sum = sum as f32;
            *odds = f32::from_le_bytes(*bias) + f32::from_le_bytes(*step) * sum;
        }
        odds
    }
}

/// A table for whoever learns: of each question a step and a bias, of each feature its steps. `None` where there are more
/// features than so many slots, a power of two, can hold well.
pub(super) fn lay<const N: usize>(
    heads: [(f32, f32); N],
    features: &[(u64, [i8; N])],
    slots: usize,
) -> Option<Vec<u8>> {
    let (head, size) = (Table::<N>::HEAD, Table::<N>::SLOT);
    let mut table: Vec<u8> =
        heads.iter().flat_map(|(step, bias)| [step.to_le_bytes(), bias.to_le_bytes()]).flatten().collect();
    table.resize(head + slots * size, 0);
    if features.len() * 2 > slots {
        return None;
    }
    for (feature, weights) in features {
        let (first, mark) = place(*feature, slots);
        let free = |at: &usize| table.get(head + at * size..).is_some_and(|slot| slot.starts_with(&[0; 4]));
        let at = (first..slots).chain(0..first).find(free)?;
        let bytes = mark.into_iter().chain(weights.iter().map(|one| one.cast_unsigned()));
        table.get_mut(head + at * size..)?.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_gives_back_what_was_laid_into_it() {
        const SLOTS: usize = 1 << 15;
        // numbers stirred, as hashes are
        let feature = |one: u64| one.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        let features: Vec<(u64, [i8; 7])> =
            (0..16_000).map(|one| (feature(one), [i8::try_from(one % 100).unwrap(); 7])).collect();
        let bytes = lay([(0.5, -1.0); 7], &features, SLOTS).unwrap();
        let table = Table::<7>::new(&bytes, SLOTS);
        for (feature, weights) in &features {
            let found: Vec<i8> = table.steps(*feature).unwrap().iter().map(|one| one.cast_signed()).collect();
            assert_eq!(found, weights);
        }
        assert_eq!(table.steps(feature(20_000)), None, "never learnt");
        assert_eq!(table.odds(&[feature(3), feature(20_000), feature(4)]), [2.5; 7]);
        assert_eq!(lay([(0.5, 0.0); 7], &vec![(1, [0; 7]); SLOTS], SLOTS), None, "more than it holds");
    }
}
