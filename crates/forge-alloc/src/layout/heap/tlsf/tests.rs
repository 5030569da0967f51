use super::*;
use crate::layout::heap::testing;

#[test]
fn random_histories_at_every_occupancy_keep_the_contract() {
    testing::histories(Tlsf::<20, 32>::new);
    testing::histories(Tlsf::<28, { usize::BITS as usize }>::new);
    testing::histories(Tlsf::<3, 4>::new);
}
