//! What shells and `man` know of the programs, written from the definitions that also parse their arguments.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Failure, print};

/// Prints what `shell` has to run to complete a program's verbs and options.
pub(super) fn complete(shell: Shell, program: &str) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    let mut command = match program {
        "impetus" => super::impetus::command(),
        _ => super::Arguments::command(),
    };
    clap_complete::generate(shell, &mut command, program, &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a manual page for each program and each verb into `folder`, which is made.
pub(super) fn write(folder: &Path) -> Result<ExitCode, Failure> {
    let failed = |path: &Path, error| Failure::Page { path: path.to_owned(), source: error };
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for program in [super::Arguments::command(), super::impetus::command(), crate::cli::command()] {
        for (name, page) in pages(program).map_err(|error| failed(folder, error))? {
            let path = folder.join(name);
            fs::write(&path, page).map_err(|error| failed(&path, error))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The pages of a program and its verbs, by their file names.
fn pages(program: Command) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    // `help` says what the pages say.
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    let mut left = vec![program];
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned());
        let man = Man::new(command);
        let mut page = Vec::new();
        man.render(&mut page)?;
        pages.push((man.get_filename().into(), page));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_has_a_page_under_its_full_name() {
        let pages = pages(super::super::Arguments::command()).unwrap();
        let names: Vec<String> = pages.iter().map(|(name, _)| name.display().to_string()).collect();
        for expected in ["supervisorctl.1", "supervisorctl-swap.1", "supervisorctl-key-add.1"] {
            assert!(names.iter().any(|name| name == expected), "{expected}: {names:?}");
        }
        let (_, swap) = pages.iter().find(|(name, _)| name.ends_with("supervisorctl-swap.1")).unwrap();
        let swap = String::from_utf8_lossy(swap);
        assert!(swap.contains("Lets an alias mean another model") && swap.contains("ALIAS"), "{swap}");
    }
}
