//! The data folder, which only one `cargo dev` may use at a time.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

/// The process that uses the folder locks this file. The lock ends with the process, however it ends.
const LOCK: &str = "lock";
const LOGS: &str = "logs";

/// A writable data folder that belongs to this process until this is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Creates the folder if needed, and locks it.
    ///
    /// # Errors
    /// The folder is not writable, or another process uses it. Two processes would share a database and a bucket.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        ensure!(!path.exists() || path.is_dir(), "{shown} is not a folder; choose one with --data");
        let cannot = || format!("the data folder {shown} cannot be written; choose another with --data");
        fs::create_dir_all(path.join(LOGS)).with_context(cannot)?;
        let lock = File::options().create(true).append(true).open(path.join(LOCK)).with_context(cannot)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("another `cargo dev` uses the data folder {shown}; end it, or choose another with --data")
            }
            Err(TryLockError::Error(error)) => Err(error)
                .with_context(|| format!("the data folder {shown} cannot be locked; choose another with --data")),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of the functions' logs.
    pub fn logs(&self) -> PathBuf {
        self.path.join(LOGS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let path = temporary.path().join("new/data");
        let _first = DataFolder::open(&path).expect("it is made");
        let problem = format!("{:#}", DataFolder::open(&path).expect_err("it is taken"));
        assert!(problem.contains("another `cargo dev`") && problem.contains("--data"), "{problem}");
        DataFolder::open(&path.join("other")).expect("another one is free");
    }

    #[test]
    fn a_file_is_not_a_folder() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let file = temporary.path().join("file");
        fs::write(&file, "kept").expect("a file");
        for path in [file.clone(), file.join("below")] {
            let problem = format!("{:#}", DataFolder::open(&path).expect_err("not a folder"));
            assert!(problem.contains("--data"), "{problem}");
        }
        assert_eq!(fs::read(&file).expect("a file"), b"kept");
    }
}
