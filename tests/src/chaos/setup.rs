//! What a scenario's server is started with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tempfile::TempDir;

use super::{mix::BUNDLED, site::Site};
use crate::process::{INSTALLATION, install, program};

/// A folder with models and settings, not yet served.
pub(super) struct Setup {
    pub(super) dir: TempDir,
    sets: Vec<String>,
    tables: String,
}

impl Setup {
    pub(super) fn new() -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("i-").context("making a folder for a server")?;
        fs::create_dir(dir.path().join("models"))?;
        Ok(Self { dir, sets: Vec::new(), tables: String::new() })
    }

    /// The bundled model in every format.
    pub(super) fn bundled(self) -> anyhow::Result<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny");
        let models = self.path("models");
        fs::copy(source.join("impetus-tiny.gguf"), models.join("impetus-tiny.gguf"))?;
        for name in &BUNDLED[1..] {
            copy_folder(&source.join(name), &models.join(name))?;
        }
        Ok(self)
    }

    /// Lets a bundled model in a folder begin every answer with a thought, whatever it thinks.
    pub(super) fn thinking(self, name: &str) -> anyhow::Result<Self> {
        let file = self.path("models").join(name).join("chat_template.jinja");
        let template = fs::read_to_string(&file).context("reading a chat template")?;
        let thinking =
            template.replace(r"assistant\n' -}}{%- endif -%}", r"assistant\n<think>\n' -}}{%- endif -%}");
        anyhow::ensure!(thinking != template, "the bundled chat template begins an answer otherwise");
        fs::write(&file, thinking + "{#- ends with </think> -#}").context("writing a chat template")?;
        Ok(self)
    }

    /// A model of `worker-fake`: the lines of its script.
    pub(super) fn fake(self, name: &str, script: &str) -> anyhow::Result<Self> {
        fs::write(self.path("models").join(format!("{name}.fake")), format!("fake\n{script}\n"))?;
        Ok(self)
    }

    /// Programs of its own, which can be replaced.
    pub(super) fn installed(self) -> anyhow::Result<Self> {
        install(&self.path(INSTALLATION)).context("installing programs")?;
        Ok(self)
    }

    /// A setting, as `--set` takes it.
    pub(super) fn set(mut self, setting: &str) -> Self {
        self.sets.push(setting.to_owned());
        self
    }

    /// A `[[model]]` of the configuration file: the lines below its head.
    pub(super) fn model(mut self, name: &str, lines: &str) -> Self {
        self.tables.extend(["[[model]]\nname = \"", name, "\"\n", lines, "\n"]);
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts it and waits until it serves.
    pub(super) async fn start(self) -> anyhow::Result<Site> {
        // One compute thread each: the processes share few cores.
        let config = format!(
            r#"
[gateway]
listen = "127.0.0.1:0"
[supervisor]
runtime_dir = "run"
state_dir = "state"
kill_timeout_s = 2
[models]
dirs = ["models"]
[workers]
gguf = {{ threads = 1, slots = 16 }}
candle = {{ threads = 1, slots = 16, standby = 0 }}
onnx = {{ threads = 1, slots = 16, standby = 0 }}
[workers.fake]
command = '{}'
patterns = ["*.fake"]
slots = 32
context = 1024
# What goes wrong does so at a token, which is not to be guessed.
speculation = "off"
{}"#,
            program("worker-fake").display(),
            self.tables
        );
        fs::write(self.path("impetus.toml"), config).context("writing a configuration")?;
        Site::start(self.dir, self.sets).await
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
