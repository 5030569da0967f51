use super::*;
use crate::layout::heap::testing;

#[test]
fn random_histories_at_every_occupancy_keep_the_contract() {
    testing::histories(FreeListHeap::<FirstFit>::new);
    testing::histories(FreeListHeap::<BestFit>::new);
}
