use super::fill_random;

#[test]
fn random_bytes_fill_every_length_and_differ() {
    let mut buffer = std::vec![0; 1000];
    for length in [0, 1, 16, 255, 256, 257, 1000] {
        buffer.fill(0);
        fill_random(&mut buffer[..length]).unwrap();
        assert!(buffer[length..].iter().all(|&byte| byte == 0), "wrote past {length}");
        if length >= 16 {
            assert!(buffer[length - 16..length].iter().any(|&byte| byte != 0), "tail of {length} not filled");
        }
    }
    let (mut first, mut second) = ([0; 32], [0; 32]);
    fill_random(&mut first).unwrap();
    fill_random(&mut second).unwrap();
    assert_ne!(first, second);
}
