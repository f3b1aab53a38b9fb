//! The text and JSON forms of resources and attributes: read or refused, and what is read obeys the algebra.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesolith::base::attributes::Attributes;
use mesolith::base::resources::Resources;
use mesolith::mesos::convert::{Format, parse_resources, resources_from_v1, resources_to_v1};

fuzz_target!(|text: &str| {
    let _ = Attributes::parse(text);
    let Ok(all) = parse_resources(text, "*") else { return };
    assert!(all.contains(&all));
    assert_eq!(all.checked_sub(&all), Some(Resources::new()));
    if let Some(text) = all.to_text() {
        assert_eq!(Resources::parse(&text, "*").as_ref(), Ok(&all));
    }
    assert_eq!(resources_from_v1(&resources_to_v1(&all, Format::Post)), Ok(all));
});
