use super::*;

#[test]
fn every_probe_runs_and_has_a_name_of_its_own() {
    let probes = all();
    for (index, probe) in probes.iter().enumerate() {
        assert!(probes[..index].iter().all(|other| other.name != probe.name), "{} twice", probe.name);
        probe.run();
    }
}

#[test]
fn the_copies_suffice_for_their_probe() {
    assert!(copies::strings_of(1, 64).len() >= OPERATIONS as usize);
}
