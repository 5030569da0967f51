use super::*;

#[test]
fn every_key_of_the_help_is_understood() {
    for (key, _) in KEYS {
        let settings = Settings::read(key);
        if key.ends_with("BYTES") {
            assert_eq!(settings.unknown, Some(key), "the word stands for a number");
            let with_number = std::string::String::from(key).replace("BYTES", "3M");
            let settings = Settings::read(&with_number);
            assert_eq!(settings.unknown, None);
            assert_eq!(settings.retained.or(settings.retained_huge), Some(3 << 20));
        } else if key.ends_with("MS") {
            assert_eq!(settings.unknown, Some(key), "the word stands for a number");
            assert_eq!(Settings::read("purge_delay=25").purge_delay, Some(25));
        } else {
            assert_eq!(settings.unknown, None);
            assert_ne!(settings, Settings::default());
        }
    }
}

#[test]
fn sizes_have_units_and_the_last_one_counts() {
    let settings = Settings::read(" retain=1,retain=64k ,retain_large=2G,");
    assert_eq!((settings.retained, settings.retained_huge), (Some(64 << 10), Some(2 << 30)));
    assert_eq!(Settings::read(""), Settings::default());
}

#[test]
fn what_is_not_understood_is_named_and_the_rest_is_done() {
    for wrong in [
        "retain",
        "retain=",
        "retain=M",
        "retain=-1",
        "purge_delay=",
        "purge_delay=1s",
        "retain=99999999999999G",
        "huge_pages=maybe",
        "x=1",
        "=",
        "help=1",
    ] {
        let value = std::format!("{wrong},y,retain_large=0");
        let settings = Settings::read(&value);
        assert_eq!((settings.unknown, settings.retained_huge), (Some(wrong), Some(0)), "{wrong}");
        assert_eq!((settings.retained, settings.advice, settings.help), (None, None, false), "{wrong}");
    }
}
