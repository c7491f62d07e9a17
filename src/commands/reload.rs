//! Reading the configuration again: on SIGHUP, and when one of its files changed.
//!
//! What is compared is what the files say, and not their times: a file replaced within the same
//! second, a link that was turned to another folder, and a file that came or went in `conf.d`
//! are all seen, and one that was only touched is not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gapmend::config::{self, Environment, Settings};
use gapmend::daemon::Reload;
use gapmend::expose::Supervisor;
use gapmend::platform::{Clock, SystemClock};

/// Reads the configuration again when it is asked to, or finds other files than before.
pub(super) fn reloader(
    path: PathBuf,
    settings: &Settings,
    hangup: &Arc<AtomicBool>,
    supervisor: Arc<Supervisor>,
) -> Reload {
    let hangup = Arc::clone(hangup);
    let environment = Environment::of_process();
    let mut known = texts(&path);
    let mut hash = settings.hash.clone();
    let mut was_refused = false;
    Box::new(move || {
        let asked = hangup.swap(false, Ordering::Relaxed);
        let now_there = texts(&path);
        if !asked && now_there == known {
            return None;
        }
        known = now_there;
        supervisor.reloading();
        let loaded = config::load(&path, &environment, SystemClock.now());
        supervisor.ready();
        match loaded {
            Ok(loaded) if loaded.settings.hash == hash && !asked && !was_refused => None,
            Ok(loaded) => {
                was_refused = false;
                hash.clone_from(&loaded.settings.hash);
                Some(Ok(loaded.settings))
            }
            Err(problems) => {
                was_refused = true;
                Some(Err(problems.to_string()))
            }
        }
    })
}

/// What the configuration's files say, by path; `None` for one that cannot be read.
fn texts(path: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let entries = std::fs::read_dir(path.with_file_name("conf.d")).into_iter().flatten().flatten();
    let fragments = entries.map(|entry| entry.path());
    let fragments = fragments.filter(|file| file.extension().is_some_and(|end| end == "toml"));
    fragments
        .chain([path.to_owned()])
        .map(|file| {
            let text = std::fs::read(&file).ok();
            (file, text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    const LIBERATOR: &str = include_str!("../../config/liberator.toml");
    const PAUSE: &str = "[datasets.liberator]\nmode = \"allowlist\"\n";

    struct Files {
        folder: tempfile::TempDir,
        hangup: Arc<AtomicBool>,
        reload: Reload,
    }

    impl Files {
        fn new(lay_out: impl FnOnce(&Path)) -> Self {
            let folder = tempfile::tempdir().unwrap();
            lay_out(folder.path());
            let path = folder.path().join("gapmend.toml");
            let loaded = config::load(&path, &Environment::of_process(), SystemClock.now());
            let hangup = Arc::new(AtomicBool::new(false));
            let nobody = Arc::new(Supervisor::at(None, None));
            let reload = reloader(path, &loaded.unwrap().settings, &hangup, nobody);
            Self { folder, hangup, reload }
        }

        fn plain() -> Self {
            Self::new(|folder| {
                fs::write(folder.join("gapmend.toml"), LIBERATOR).unwrap();
                fs::create_dir(folder.join("conf.d")).unwrap();
            })
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.folder.path().join(name), text).unwrap();
        }

        /// The mode after a reload; `None` when nothing was read again.
        fn mode(&mut self) -> Option<Result<&'static str, String>> {
            let read = (self.reload)()?;
            Some(read.map(|settings| settings.datasets["liberator"].mode.label()))
        }
    }

    #[test]
    fn a_file_of_the_same_length_and_time_is_read_again() {
        let mut files = Files::plain();
        let path = files.folder.path().join("gapmend.toml");
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        assert!(files.mode().is_none());
        let changed = LIBERATOR.replace("mode = \"observe\"", "mode = \"auto\"   ");
        assert_eq!(changed.len(), LIBERATOR.len());
        fs::write(&path, changed).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        assert_eq!(files.mode(), Some(Ok("auto")));
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(before + Duration::from_secs(5))
            .unwrap();
        assert_eq!(files.mode(), None, "touched, and nothing else");
    }

    #[test]
    fn a_file_that_comes_or_goes_in_conf_d_is_noticed() {
        let mut files = Files::plain();
        files.write("conf.d/README", "no configuration");
        assert_eq!(files.mode(), None);
        files.write("conf.d/10-a.toml", PAUSE);
        assert_eq!(files.mode(), Some(Ok("allowlist")));
        fs::remove_file(files.folder.path().join("conf.d/10-a.toml")).unwrap();
        assert_eq!(files.mode(), Some(Ok("observe")));
    }

    #[test]
    fn a_link_that_is_turned_to_another_folder_is_noticed() {
        use std::os::unix::fs::symlink;

        let mut files = Files::new(|folder| {
            for (name, text) in
                [("..one", LIBERATOR.to_owned()), ("..two", LIBERATOR.replace("observe", "auto"))]
            {
                fs::create_dir(folder.join(name)).unwrap();
                fs::write(folder.join(name).join("gapmend.toml"), text).unwrap();
            }
            symlink("..one", folder.join("..data")).unwrap();
            symlink("..data/gapmend.toml", folder.join("gapmend.toml")).unwrap();
        });
        let at = |name: &str| files.folder.path().join(name);
        symlink("..two", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_eq!(files.mode(), Some(Ok("auto")));
    }

    #[test]
    fn a_bad_file_is_told_once_and_its_repair_is_told_too() {
        let mut files = Files::plain();
        files.write("conf.d/10-a.toml", "nonsense = 1\n");
        let problem = files.mode().unwrap().unwrap_err();
        assert!(problem.contains("nonsense") && problem.contains("10-a.toml"), "{problem}");
        assert_eq!(files.mode(), None);
        fs::remove_file(files.folder.path().join("conf.d/10-a.toml")).unwrap();
        assert_eq!(
            files.mode(),
            Some(Ok("observe")),
            "the same settings as before, and good again"
        );
        assert_eq!(files.mode(), None);
    }

    #[test]
    fn a_hangup_reads_again_what_has_not_changed() {
        let mut files = Files::plain();
        files.hangup.store(true, Ordering::Relaxed);
        assert_eq!(files.mode(), Some(Ok("observe")));
        assert_eq!(files.mode(), None);
    }
}
