//! Who else on this machine may read a file.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Docker mounts secrets here, readable by all users in the container; the container itself
/// protects them.
const CONTAINER_SECRETS: &str = "/run/secrets";

/// Whether users that are neither the owner nor in the file's group may read the secret at `path`.
/// A group is chosen on purpose (`root:flyball`, 0640), so it may. `false` where that cannot be
/// determined, and for secrets that Docker mounted into this container.
pub fn may_others_read(path: &Path) -> bool {
    if path.starts_with(CONTAINER_SECRETS) {
        return false;
    }
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Removes every right on the file or directory at `path` but its owner's. A link is
/// left as it is.
///
/// # Errors
/// It is not there, or belongs to another user.
pub fn keep_private(path: &Path) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    let mode = metadata.permissions().mode();
    // The permissions of a link have no effect, and its target may belong to anyone.
    if metadata.is_symlink() || mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_becomes_private_to_its_owner() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        let mode = |mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        assert!(may_others_read(path));
        mode(0o640);
        assert!(!may_others_read(path), "a group is chosen");
        mode(0o664);
        keep_private(path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(keep_private(Path::new("/no/such/file")).is_err());
    }
}
