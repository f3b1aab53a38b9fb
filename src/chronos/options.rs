//! Settings of Chronos.
use crate::base::settings::{Setting, Values};
pub const SETTINGS: &[Setting] = &[];
#[derive(Clone, Debug)]
pub struct Options;
pub fn read(_values: &mut Values) -> Options {
    Options
}
