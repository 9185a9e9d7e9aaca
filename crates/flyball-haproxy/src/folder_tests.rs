//! What must not become of a path, tried on a real file system.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use super::*;

const MARK: &str = "# ours";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn place(folder: &tempfile::TempDir, name: &str) -> Result<Place, HaproxyError> {
    Place::open(&folder.path().join(name), folder.path())
}

fn said<T>(result: Result<T, HaproxyError>) -> String {
    result.map(drop).unwrap_err().to_string()
}

#[test]
fn a_file_is_made_replaced_and_left_alone_once_somebody_else_has_written_it() {
    let folder = folder();
    let place = place(&folder, "web.cfg").unwrap();
    assert_eq!(place.look(MARK).unwrap(), Found::Nothing);
    place.write(MARK, "# ours\n1").unwrap();
    place.write(MARK, "# ours\n2").unwrap();
    let path = folder.path().join("web.cfg");
    assert_eq!(fs::read_to_string(&path).unwrap(), "# ours\n2");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    fs::write(&path, "theirs").unwrap();
    assert!(said(place.write(MARK, "# ours\n3")).contains("was not written by flyball"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
}

#[test]
fn what_is_no_regular_file_is_an_error_at_once() {
    let folder = folder();
    assert!(Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    fs::create_dir(folder.path().join("inner")).unwrap();
    symlink("/etc/hostname", folder.path().join("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let began = Instant::now();
    for (name, what) in
        [("pipe", "a pipe"), ("inner", "a directory"), ("link", "a link"), ("socket", "a socket")]
    {
        let place = place(&folder, name).unwrap();
        assert!(said(place.look(MARK)).contains(what), "{name}");
        assert!(said(place.write(MARK, "# ours")).contains(what), "{name}");
    }
    let device = Place::open(Path::new("/dev/zero"), Path::new("/dev")).unwrap();
    assert!(said(device.look(MARK)).contains("a device"));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn no_link_is_followed_at_any_step() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("real/inner")).unwrap();
    symlink("real", folder.path().join("link")).unwrap();
    let refused = said(place(&folder, "link/inner/web.cfg"));
    assert!(refused.contains("link is a link, and none is followed"), "{refused}");
    assert!(place(&folder, "real/inner/web.cfg").is_ok());
    // Nor where what is written beside the file was put there as a link.
    let target = folder.path().join("target");
    fs::write(&target, "theirs").unwrap();
    symlink(&target, folder.path().join(".web.cfg.new")).unwrap();
    place(&folder, "web.cfg").unwrap().write(MARK, "# ours").unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
}

#[test]
fn a_file_is_below_the_directory_or_nowhere() {
    let folder = folder();
    for (path, wanted) in [
        ("/root/.ssh/authorized_keys".into(), "is not below"),
        (folder.path().join("../x.cfg"), "there is .. in it"),
        (folder.path().join("a/../x.cfg"), "there is .. in it"),
        (folder.path().to_owned(), "is not below"),
        ("/".into(), "names no file"),
    ] {
        let refused = said(Place::open(&path, folder.path()));
        assert!(refused.contains(wanted), "{}: {refused}", path.display());
    }
}

#[test]
fn two_spellings_of_one_file_are_one() {
    let folder = folder();
    fs::create_dir(folder.path().join("inner")).unwrap();
    let files = OwnedFiles::default();
    let first = place(&folder, "inner/web.cfg").unwrap();
    files.take(&first, "web").unwrap();
    for spelling in ["inner//web.cfg", "./inner/web.cfg", "inner/./web.cfg"] {
        let again = place(&folder, spelling).unwrap();
        let refused = said(files.take(&again, "api"));
        assert!(refused.contains("the file of service web"), "{spelling}: {refused}");
        files.take(&again, "web").unwrap();
    }
    files.take(&place(&folder, "inner/api.cfg").unwrap(), "api").unwrap();
    files.let_go("web");
    files.take(&first, "third").unwrap();
}

#[test]
fn a_large_file_costs_no_more_than_its_head() {
    let folder = folder();
    let file = File::create(folder.path().join("web.cfg")).unwrap();
    file.set_len(1 << 40).unwrap();
    let began = Instant::now();
    assert!(said(place(&folder, "web.cfg").unwrap().look(MARK)).contains("was not written"));
    assert!(began.elapsed() < Duration::from_secs(1));
}
