//! Replays the seeds: fixed findings stay fixed, and sample inputs stay valid.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use flyball_fuzz::TARGETS;

fn seeds(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn no_target_finds_anything_in_any_of_its_seeds() {
    let mut found = Vec::new();
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            let data = fs::read(&seed).unwrap();
            if catch_unwind(|| target(&data)).is_err() {
                found.push(seed);
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_target_is_a_binary_for_libfuzzer_and_a_folder_of_seeds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let named: Vec<&str> = TARGETS.map(|(name, _)| name).to_vec();
    for name in &named {
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\n")), "{name}");
        let program = fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("flyball_fuzz::{name}(data)")), "{name}");
    }
    let folders = fs::read_dir(root.join("seeds")).unwrap();
    for folder in folders {
        let folder = folder.unwrap().file_name().into_string().unwrap();
        assert!(named.contains(&folder.as_str()), "seeds/{folder} is of no target");
    }
    assert!(named.is_sorted());
}
