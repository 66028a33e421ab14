//! What a test's server is started with.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use impetus_tests::process::{INSTALLATION, install};
use tempfile::TempDir;

use super::server::{BUNDLED, Server};

/// A folder with models and a configuration file, not yet served.
pub(crate) struct Setup {
    pub(crate) dir: TempDir,
    sets: Vec<String>,
    tables: String,
}

/// The bundled model's file.
pub(crate) fn bundled_model() -> PathBuf {
    bundled("impetus-tiny.gguf")
}

/// A file or a folder of the bundled model.
pub(crate) fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny").join(name)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

impl Setup {
    /// A server of the bundled model.
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("i-").expect("there is a place for temporary files");
        let setup = Self { dir, sets: Vec::new(), tables: String::new() };
        let models = setup.path("models");
        fs::create_dir(&models).unwrap();
        let target = models.join("impetus-tiny.gguf");
        if fs::hard_link(bundled_model(), &target).is_err() {
            fs::copy(bundled_model(), &target).expect("the bundled model can be copied");
        }
        setup
    }

    /// A server of the bundled model in every format.
    pub(crate) fn in_all_formats() -> Self {
        BUNDLED[1..].iter().fold(Self::new(), |setup, name| setup.with_folder(name, bundled(name)))
    }

    /// A copy of the folder `source` in the models folder, which is another model; a link would be the same.
    pub(crate) fn with_folder(self, name: &str, source: impl AsRef<Path>) -> Self {
        copy_folder(source.as_ref(), &self.path("models").join(name));
        self
    }

    /// A copy of the bundled model in the models folder, under another name; a link would be the same model.
    pub(crate) fn with_copy(self, file: &str) -> Self {
        fs::copy(bundled_model(), self.path("models").join(file)).expect("the bundled model can be copied");
        self
    }

    /// A file of these bytes in the models folder.
    pub(crate) fn with_file(self, file: &str, bytes: impl AsRef<[u8]>) -> Self {
        fs::write(self.path("models").join(file), bytes).unwrap();
        self
    }

    /// A model of `worker-fake`: the lines of its script. The worker is added by configuration alone.
    pub(crate) fn with_fake(self, name: &str, script: &str) -> Self {
        let worker = env!("CARGO_BIN_EXE_worker-fake");
        let setup = self.with_file(&format!("{name}.fake"), format!("fake\n{script}\n"));
        let set = |setting: &str| format!("workers.fake.{setting}");
        let setup = setup.set(&set(&format!("command='{worker}'"))).set(&set("patterns=['*.fake']"));
        // What goes wrong in it does so at a token, which is not to be guessed.
        setup.set(&set("standby=0")).set(&set("speculation='off'"))
    }

    /// Programs of its own, which can be replaced.
    pub(crate) fn installed(self) -> Self {
        install(&self.path(INSTALLATION)).expect("programs can be linked or copied");
        // With programs of its own it has a worker-fake of its own, too.
        let is_fake = |setting: &String| setting.starts_with("workers.fake.command=");
        let has_fake = self.sets.iter().any(is_fake);
        let sets = self.sets.into_iter().filter(|setting| !is_fake(setting)).collect();
        let setup = Self { sets, ..self };
        if has_fake { setup.set("workers.fake.command='worker-fake'") } else { setup }
    }

    /// A setting, as `--set` takes it.
    pub(crate) fn set(mut self, setting: &str) -> Self {
        self.sets.push(setting.to_owned());
        self
    }

    /// Further tables of the configuration file, such as `[[model]]`.
    pub(crate) fn table(mut self, toml: &str) -> Self {
        writeln!(self.tables, "{toml}").expect("writing to a String cannot fail");
        self
    }

    /// A path in this server's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts it and waits until it serves.
    pub(crate) async fn start(self) -> Server {
        let sets = self.sets.clone();
        Server::start(self.write_config(), &sets).await
    }

    /// The same with a disk of its own for models that are fetched; absent where nobody may mount one.
    pub(crate) async fn start_on_disk(self, bytes: u64) -> Option<Server> {
        let sets = self.sets.clone();
        Server::start_on_disk(self.write_config(), &sets, "state/store", bytes).await
    }

    /// Writes the configuration file and gives up the folder.
    pub(crate) fn write_config(self) -> TempDir {
        // One compute thread: several servers share this machine's cores. Short delays: nobody is at fault here.
        let config = format!(
            r#"
            [gateway]
            listen = "127.0.0.1:0"
            [supervisor]
            runtime_dir = "run"
            state_dir = "state"
            backoff_initial_ms = 20
            kill_timeout_s = 2
            [models]
            dirs = ["models"]
            default = "impetus-tiny"
            [workers]
            gguf.threads = 1
            candle = {{ threads = 1, standby = 0 }}
            onnx = {{ threads = 1, standby = 0 }}
            {}"#,
            self.tables
        );
        fs::write(self.path("impetus.toml"), config).unwrap();
        self.dir
    }
}
