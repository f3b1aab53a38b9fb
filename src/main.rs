//! `mesolith`: arguments to a verb, a verb to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    // Before anything else: the supervisor must have one thread, and little memory.
    if args.get(1).is_some_and(|a| a == "supervisor") {
        let code = mesolith::agent::containerizer::supervisor::entry::main(&args[2..]);
        std::process::exit(code);
    }
    mesolith::cli::main(args)
}
