//! Lives here: the check that the committed seeds are those that this folder describes, and writing them anew
//! (`MNARA_FUZZ_BLESS=1 cargo test -p mnara-smpp-fuzz --test seeds`).
//! Never here: the seeds themselves (`wire`, `content`).

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

mod content;
#[path = "../../../tests/samples/mod.rs"]
mod samples;
mod wire;

/// Path below `seeds/`, and content.
type Seeds = BTreeMap<PathBuf, Vec<u8>>;

fn described() -> Seeds {
    let mut seeds = Seeds::new();
    let lists = [
        ("wire", wire::seeds()),
        ("tlv", content::tlvs()),
        ("receipt", content::receipts()),
        ("times", content::times()),
        ("udh", content::udhs()),
        ("gsm7", content::texts()),
    ];
    for (folder, list) in lists {
        for (name, octets) in list {
            let path = Path::new(folder).join(name);
            assert!(
                seeds.insert(path.clone(), octets).is_none(),
                "two seeds are named {}",
                path.display()
            );
        }
    }
    seeds
}

fn committed(root: &Path) -> Seeds {
    let mut seeds = Seeds::new();
    for folder in fs::read_dir(root).expect("the folder of the seeds") {
        let folder = folder.expect("a readable folder").path();
        for file in fs::read_dir(&folder).expect("a folder of seeds") {
            let file = file.expect("a readable folder").path();
            let name = file.strip_prefix(root).expect("it lies below").to_owned();
            seeds.insert(name, fs::read(&file).expect("a readable seed"));
        }
    }
    seeds
}

#[test]
fn the_committed_seeds_are_those_described() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let described = described();
    if env::var_os("MNARA_FUZZ_BLESS").is_some() {
        fs::remove_dir_all(&root).ok();
        for (name, octets) in &described {
            let file = root.join(name);
            let folder = file.parent().expect("a seed lies in a folder");
            fs::create_dir_all(folder).expect("a folder for seeds");
            fs::write(&file, octets).expect("a seed");
        }
    }
    let committed = committed(&root);
    for name in committed.keys() {
        assert!(
            described.contains_key(name),
            "{} is described nowhere",
            name.display()
        );
    }
    for (name, octets) in &described {
        assert_eq!(
            committed.get(name),
            Some(octets),
            "{} differs: run this test with MNARA_FUZZ_BLESS=1 and commit",
            name.display()
        );
    }
}
