//! The question before something is gone for good.

use crate::base::error::{Code, Error, Result};
use std::io::IsTerminal as _;

/// Asks on the terminal unless `yes`; `what` is a sentence that names the thing, e.g. `this removes app /a`.
///
/// # Errors
/// [`Code::Invalid`] when the answer is no, or when nobody is there to be asked.
pub fn confirm(yes: bool, what: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Error::new(Code::Invalid, what).hint("give --yes to do it without being asked"));
    }
    eprint!("{what}. Go on? [y/N] ");
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|e| Error::new(Code::System, format!("cannot read the answer: {e}")))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Error::new(Code::Invalid, "nothing was done")),
    }
}
