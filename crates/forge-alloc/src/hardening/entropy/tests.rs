use super::{hashed, words};

#[test]
fn no_word_comes_twice() {
    let mut all = [[words::<5>(), words()], [hashed(), hashed()]];
    let all = all.as_flattened_mut().as_flattened_mut();
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
}
