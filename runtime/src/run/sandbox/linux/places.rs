//! The places of the system that engines and the libraries below them read or use as devices.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use landlock::{AccessFs, BitFlags, make_bitflags};

/// Libraries and their settings, time zones, what the kernel says of processors, memory and accelerators.
const READABLE: &[&str] = &[
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/opt/cuda",
    "/opt/intel",
    "/opt/rocm",
    "/run/opengl-driver",
    "/etc/OpenCL",
    "/etc/glvnd",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/vulkan",
    "/sys/bus",
    "/sys/class",
    "/sys/devices",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
    "/sys/module",
];

/// What is read of /proc: this process, and figures of the machine.
const PROCESS: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/devices",
    "/proc/driver",
    "/proc/meminfo",
    "/proc/self",
    "/proc/stat",
    "/proc/sys/kernel",
    "/proc/sys/vm",
    "/proc/version",
];

/// Devices without a state.
const PLAIN_DEVICES: &[&str] = &["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"];

/// How the names of accelerators begin: NVIDIA's, AMD's, those of the kernel's graphics interface, those of Windows.
const ACCELERATORS: &[&str] = &["nvidia", "kfd", "dri", "dxg"];

/// Lists of folders, and a file whose folder counts, that libraries are looked for in.
const LIBRARY_LISTS: &[&str] = &["LD_LIBRARY_PATH"];
const LIBRARY_FILES: &[&str] = &["ORT_DYLIB_PATH"];

/// A file, or a folder with all that is in it, and what may be done there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) access: BitFlags<AccessFs>,
    /// Whether the kernel makes it up anew when nobody has it open.
    pub(super) is_fleeting: bool,
}

impl Place {
    pub(super) fn new(path: impl AsRef<Path>, access: BitFlags<AccessFs>) -> Self {
        let path = path.as_ref().to_owned();
        let is_fleeting = path.starts_with("/proc");
        Self { path, access, is_fleeting }
    }

    /// A place that is read.
    pub(super) fn reading(path: impl AsRef<Path>) -> Self {
        Self::new(path, make_bitflags!(AccessFs::{ReadFile | ReadDir}))
    }

    /// A folder that sockets are made in.
    pub(super) fn of_sockets(path: impl AsRef<Path>) -> Self {
        Self::new(path, make_bitflags!(AccessFs::{MakeSock | RemoveFile}))
    }

    /// A folder that files are made in.
    pub(super) fn of_files(path: impl AsRef<Path>) -> Self {
        let making = make_bitflags!(AccessFs::{MakeReg | RemoveFile | WriteFile | Truncate});
        Self::new(path, making | make_bitflags!(AccessFs::{ReadFile | ReadDir}))
    }

    /// The same with no more than this access.
    pub(super) fn only(self, access: BitFlags<AccessFs>) -> Self {
        Self { access: self.access & access, ..self }
    }
}

/// Devices that are there, with all that is done with them.
pub(super) fn devices() -> Vec<Place> {
    let plain = make_bitflags!(AccessFs::{ReadFile | WriteFile});
    let whole = make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | IoctlDev});
    let is_accelerator = |name: &str| ACCELERATORS.iter().any(|family| name.starts_with(family));
    let accelerators = fs::read_dir("/dev").into_iter().flatten().flatten();
    let accelerators = accelerators.filter(|entry| entry.file_name().to_str().is_some_and(is_accelerator));
    let plain = PLAIN_DEVICES.iter().map(|path| Place::new(path, plain));
    plain.chain(accelerators.map(|entry| Place::new(entry.path(), whole))).collect()
}

/// Everything of the system that may be read.
pub(super) fn readable() -> Vec<Place> {
    let fixed = READABLE.iter().chain(PROCESS).map(PathBuf::from);
    let program = env::current_exe().ok().and_then(|program| program.canonicalize().ok());
    let folder = program.as_deref().and_then(Path::parent);
    let beside = folder.and_then(Path::parent).map(|above| above.join("lib"));
    // Libraries may lie beside the program, but a program that lies among everything else says nothing of that.
    let is_everything =
        |folder: &Path| folder.parent().is_none() || env::home_dir().as_deref() == Some(folder);
    let program = folder.filter(|folder| !is_everything(folder)).map(Path::to_owned).or(program.clone());
    let lists = LIBRARY_LISTS.iter().filter_map(env::var_os);
    let listed: Vec<PathBuf> = lists.flat_map(|list| env::split_paths(&list).collect::<Vec<_>>()).collect();
    let files = LIBRARY_FILES.iter().filter_map(env::var_os);
    let around = files.filter_map(|file| Path::new(&file).canonicalize().ok()?.parent().map(Path::to_owned));
    let all = fixed.chain(program).chain(beside).chain(listed).chain(around);
    all.filter(|path| path.is_absolute()).map(Place::reading).collect()
}
