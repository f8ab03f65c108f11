use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::config::{self, Loaded};
use super::{explain, print_line};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The file. Environment variables go before it, as they do for the server.
    #[arg(value_name = "CONFIG")]
    file: PathBuf,
}

impl CheckArgs {
    /// Says what is wrong, all of it, and ends with 2; or that all is good.
    pub(super) fn run(&self) -> ExitCode {
        let mut option = OsString::from("--config=");
        option.push(&self.file);
        match config::load(&["tachograph".into(), "serve".into(), option]) {
            Ok(Loaded { warnings, file_settings, .. }) => {
                warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
                let settings = if file_settings == 1 { "setting" } else { "settings" };
                print_line(format_args!("{} is good: {file_settings} {settings}", self.file.display()));
                ExitCode::SUCCESS
            }
            Err(refused) => explain(&refused),
        }
    }
}
