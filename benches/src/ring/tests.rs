use super::*;

#[test]
fn pointers_arrive_once_and_in_order_when_the_ring_is_full_and_when_it_is_empty() {
    let values: Vec<u64> = (0..(64 * CAPACITY) as u64).collect();
    let (mut sender, mut receiver) = ring();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..64 * CAPACITY as u64 {
                // SAFETY: the values outlive the scope and are only read.
                assert_eq!(unsafe { receiver.receive().read() }, number);
            }
        });
        for value in &values {
            sender.send(NonNull::from(value));
        }
    });
}
