//! Who holds a port. Linux tells through `/proc`; elsewhere nobody knows without a privilege.

use std::{fmt, fs};

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// The process that listens on `port`, if it is visible to this user.
pub fn holder_of(port: u16) -> Option<Holder> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listeners(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let mut descriptors = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        let holds = descriptors.any(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|target| {
                target.to_str().is_some_and(|target| inodes.iter().any(|inode| inode == target))
            })
        });
        let name = holds.then(|| fs::read_to_string(process.path().join("comm")).ok()).flatten()?;
        Some(Holder { pid, name: String::from_utf8_lossy(name.trim().as_bytes()).into_owned() })
    })
}

/// The inodes of the sockets that listen on `port`, from a table as `proc_pid_net(5)` describes it.
fn listeners(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, LISTEN, _, _, _, _, _, inode, ..] = columns.as_slice() else { return None };
        let (_, local_port) = local.rsplit_once(':')?;
        (u16::from_str_radix(local_port, 16).ok()? == port).then(|| inode.parse().ok()).flatten()
    };
    table.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 20 4 30 10 -1\n\
            torn line\n";
        assert_eq!(listeners(table, 8080), [4711]);
        assert!(listeners(table, 80).is_empty());
    }
}
