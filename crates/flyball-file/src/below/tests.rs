//! Paths that must be refused, on a real file system.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, mknodat};

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn place(folder: &tempfile::TempDir, name: &str) -> Result<FileBelow, PlaceError> {
    FileBelow::open(&folder.path().join(name), folder.path())
}

fn error_text<T>(result: Result<T, PlaceError>) -> String {
    result.map(drop).unwrap_err().to_string()
}

#[test]
fn a_file_is_made_and_replaced_as_a_whole_and_never_made_over_another() {
    let folder = folder();
    let place = place(&folder, "web.cfg").unwrap();
    assert_eq!(place.read_head(9).unwrap(), None);
    place.create("1").unwrap();
    place.replace("23456").unwrap();
    assert_eq!(place.read_head(3).unwrap(), Some(b"234".to_vec()));
    assert!(error_text(place.create("7")).contains("File exists"));
    assert_eq!(fs::read_to_string(folder.path().join("web.cfg")).unwrap(), "23456");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn what_is_no_regular_file_is_an_error_at_once() {
    let folder = folder();
    mknodat(CWD, folder.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    fs::create_dir(folder.path().join("inner")).unwrap();
    symlink("/etc/hostname", folder.path().join("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let began = Instant::now();
    for (name, what) in
        [("pipe", "a FIFO"), ("inner", "a directory"), ("link", "a link"), ("socket", "a socket")]
    {
        let refused = error_text(place(&folder, name).unwrap().read_head(9));
        assert!(refused.contains(what), "{name}: {refused}");
    }
    let device = FileBelow::open(Path::new("/dev/zero"), Path::new("/dev")).unwrap();
    assert!(error_text(device.read_head(9)).contains("a device"));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn no_link_is_followed_at_any_step() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("real/inner")).unwrap();
    symlink("real", folder.path().join("link")).unwrap();
    let refused = error_text(place(&folder, "link/inner/web.cfg"));
    assert!(refused.contains("link is a link, and links are not followed"), "{refused}");
    assert!(place(&folder, "real/inner/web.cfg").is_ok());
    // Nor where what is written beside the file was put there as a link.
    let target = folder.path().join("target");
    fs::write(&target, "theirs").unwrap();
    symlink(&target, folder.path().join(".web.cfg.new")).unwrap();
    place(&folder, "web.cfg").unwrap().create("ours").unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
}

#[test]
fn a_file_is_below_the_directory_or_nowhere() {
    let folder = folder();
    for (path, wanted) in [
        ("/root/.ssh/authorized_keys".into(), "is not below"),
        (folder.path().join("../x.cfg"), "it contains .."),
        (folder.path().join("a/../x.cfg"), "it contains .."),
        (folder.path().to_owned(), "is not below"),
        (folder.path().join("none/x.cfg"), "there is no directory"),
        ("/".into(), "does not name a file"),
    ] {
        let refused = error_text(FileBelow::open(&path, folder.path()));
        assert!(refused.contains(wanted), "{}: {refused}", path.display());
    }
}

#[test]
fn two_spellings_of_one_file_are_one() {
    let folder = folder();
    fs::create_dir(folder.path().join("inner")).unwrap();
    let identity = |name: &str| place(&folder, name).unwrap().identity().unwrap();
    let first = identity("inner/web.cfg");
    for spelling in ["inner//web.cfg", "./inner/web.cfg", "inner/./web.cfg"] {
        assert_eq!(identity(spelling), first, "{spelling}");
    }
    assert_ne!(identity("inner/api.cfg"), first);
    assert_ne!(identity("web.cfg"), first);
}

#[test]
fn a_large_file_costs_no_more_than_its_head() {
    let folder = folder();
    let file = File::create(folder.path().join("web.cfg")).unwrap();
    file.set_len(1 << 40).unwrap();
    let began = Instant::now();
    assert_eq!(place(&folder, "web.cfg").unwrap().read_head(9).unwrap().unwrap().len(), 9);
    assert!(began.elapsed() < Duration::from_secs(1));
}
