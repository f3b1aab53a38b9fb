fn main() {
    let args: Vec<String> = std::env::args().collect();
    // Before anything else: the supervisor must have one thread, and little memory.
    if args.get(1).is_some_and(|a| a == "supervisor") {
        std::process::exit(mesolith::agent::containerizer::supervisor::entry::main(&args[2..]));
    }
}
