use super::holds_only;

#[test]
fn every_single_change_is_found_at_every_length() {
    let longest = if cfg!(miri) { 9 } else { 200 };
    for len in 0..longest {
        let mut bytes = std::vec![0xDE; len];
        assert!(holds_only(&bytes, 0xDE));
        for index in 0..len {
            let bit = 1 << (index % 8);
            bytes[index] ^= bit;
            assert!(!holds_only(&bytes, 0xDE), "{len} {index}");
            bytes[index] ^= bit;
        }
        assert_eq!(holds_only(&bytes, 0xDF), len == 0);
    }
}
