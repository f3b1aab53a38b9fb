//! Compiles the wire contract (`src/mesos/proto`) without protoc.
//!
//! prost writes the types; this script adds to each field the serde attributes that make Mesos's own
//! JSON (names as in the proto, 64-bit integers bare, explicit defaults written, `null` = unset, one value
//! accepted where a list is expected), and writes the tables by which a reader enforces `required`.

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const ROOT: &str = "src/mesos/proto";
const FILES: &[&str] = &[
    "mesos/v1/mesos.proto",
    "mesos/v1/allocator/allocator.proto",
    "mesos/v1/agent/agent.proto",
    "mesos/v1/executor/executor.proto",
    "mesos/v1/maintenance/maintenance.proto",
    "mesos/v1/master/master.proto",
    "mesos/v1/quota/quota.proto",
    "mesos/v1/resource_provider/resource_provider.proto",
    "mesos/v1/scheduler/scheduler.proto",
    "mesos/internal/internal.proto",
    "mesos/internal/registry.proto",
    "mesos/internal/checkpoint.proto",
];

fn main() {
    println!("cargo:rerun-if-changed={ROOT}");
    println!("cargo:rerun-if-changed=build.rs");
    tell_build_time();
    let files = protox::compile(FILES, [ROOT]).expect("the .proto files must compile");
    let mut config = prost_build::Config::new();
    config.btree_map(["."]).enable_type_names();
    config.message_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]");
    let mut tables = Tables::default();
    for_each_message(&files, &mut |path, message| {
        for field in &message.field {
            let full = format!("{path}.{}", field.name());
            if let Some(attribute) = json_attribute(&full, field, message, &mut tables) {
                config.field_attribute(&full, attribute);
            }
        }
        tables.shape(path, message);
    });
    for_each_enum(&files, &mut |path, it| tables.enumeration(path, it));
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(format!("{out}/shapes.rs"), tables.render()).expect("OUT_DIR must be writable");
    config.compile_fds(files).expect("prost must render the types");
}

/// Puts the time of this build, or the one the builder asks for, where the program can read it.
fn tell_build_time() {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let told = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|t| t.parse::<u64>().ok());
    let secs = told.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |d| d.as_secs())
    });
    // Days to a civil date: Howard Hinnant's algorithm, years from March.
    let days = (secs / 86_400) as i64 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (
        day_of_year - (153 * shifted + 2) / 5 + 1,
        if shifted < 10 { shifted + 3 } else { shifted - 9 },
    );
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (secs % 86_400 / 3600, secs % 3600 / 60, secs % 60);
    println!("cargo:rustc-env=MESOLITH_BUILD_TIME={secs}");
    println!(
        "cargo:rustc-env=MESOLITH_BUILD_DATE={year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}"
    );
}

/// What the JSON codec and the required-field check need to know, as generated Rust.
#[derive(Default)]
struct Tables {
    defaults: String,
    enums: String,
    shapes: BTreeMap<String, Shape>,
}

struct Shape {
    required: Vec<(i32, String)>,
    /// Number, name, whether repeated, message type.
    children: Vec<(i32, String, bool, String)>,
    /// Number and Rust type of each required enum.
    closed: Vec<(i32, String)>,
}

impl Tables {
    fn shape(&mut self, path: &str, message: &DescriptorProto) {
        let type_name =
            |f: &FieldDescriptorProto| f.type_name().trim_start_matches('.').to_string();
        let required = message.field.iter().filter(|f| f.label() == Label::Required);
        let children = message.field.iter().filter(|f| f.r#type() == Type::Message);
        let shape = Shape {
            required: required.clone().map(|f| (f.number(), f.name().to_string())).collect(),
            children: children
                .map(|f| {
                    let repeated = f.label() == Label::Repeated;
                    (f.number(), f.name().to_string(), repeated, type_name(f))
                })
                .collect(),
            closed: required
                .filter(|f| f.r#type() == Type::Enum)
                .map(|f| (f.number(), rust_path(f.type_name())))
                .collect(),
        };
        // The walker counts fields in arrays and masks of this size.
        assert!(shape.required.len() <= 64 && shape.children.len() <= 64, "{path} is too wide");
        self.shapes.insert(path.trim_start_matches('.').to_string(), shape);
    }

    fn enumeration(&mut self, path: &str, _: &EnumDescriptorProto) {
        let rust = rust_path(path);
        writeln!(
            self.enums,
            "impl crate::mesos::json::ProtoEnum for {rust} {{\n    \
             fn name(self) -> &'static str {{ self.as_str_name() }}\n    \
             fn by_name(name: &str) -> Option<Self> {{ Self::from_str_name(name) }}\n}}"
        )
        .expect("writing to a string cannot fail");
    }

    fn render(&self) -> String {
        let index: BTreeMap<&str, usize> =
            self.shapes.keys().enumerate().map(|(i, k)| (k.as_str(), i)).collect();
        let mut out = String::from("pub(crate) static SHAPES: &[Shape] = &[\n");
        for (name, shape) in &self.shapes {
            let children: Vec<_> = (shape.children.iter())
                .map(|(number, name, repeated, of)| (*number, name, *repeated, index[of.as_str()]))
                .collect();
            let closed: Vec<_> = (shape.closed.iter())
                .map(|(number, rust)| format!("({number}, |v| {rust}::try_from(v).is_ok())"))
                .collect();
            writeln!(
                out,
                "    Shape {{ name: {name:?}, required: &{:?}, children: &{children:?}, closed: &[{}] }},",
                shape.required,
                closed.join(", ")
            )
            .expect("writing to a string cannot fail");
        }
        out.push_str("];\n");
        out.push_str(&self.enums);
        writeln!(out, "pub(crate) mod defaults {{\n{}}}", self.defaults)
            .expect("writing to a string cannot fail");
        out
    }
}

/// The serde attribute of one field, or none where serde's own rules are already Mesos's.
fn json_attribute(
    full: &str,
    field: &FieldDescriptorProto,
    message: &DescriptorProto,
    tables: &mut Tables,
) -> Option<String> {
    const JSON: &str = "crate::mesos::json";
    let name = field.name();
    let rename = format!("rename = \"{name}\"");
    let kind = kind_of(field);
    let is_map = message.nested_type.iter().any(|n| {
        n.options.as_ref().is_some_and(|o| o.map_entry())
            && field.type_name().ends_with(&format!(".{}", n.name()))
    });
    if is_map {
        return Some(format!(
            "#[serde({rename}, default, deserialize_with = \"{JSON}::map\", \
             skip_serializing_if = \"std::collections::BTreeMap::is_empty\")]"
        ));
    }
    Some(match field.label() {
        Label::Repeated => format!(
            "#[serde({rename}, default, skip_serializing_if = \"Vec::is_empty\", \
             serialize_with = \"{JSON}::{kind}::write_list\", \
             deserialize_with = \"{JSON}::{kind}::read_list\")]"
        ),
        Label::Required => format!(
            "#[serde({rename}, serialize_with = \"{JSON}::{kind}::write\", \
             deserialize_with = \"{JSON}::{kind}::read\")]"
        ),
        Label::Optional => {
            let deprecated = field.options.as_ref().is_some_and(|o| o.deprecated());
            if field.default_value.is_some() && !deprecated {
                let function = default_writer(full, field, &kind, tables);
                format!(
                    "#[serde({rename}, default, serialize_with = \"crate::mesos::shape::defaults::{function}\", \
                     deserialize_with = \"{JSON}::{kind}::read_option\")]"
                )
            } else {
                format!(
                    "#[serde({rename}, default, skip_serializing_if = \"Option::is_none\", \
                     serialize_with = \"{JSON}::{kind}::write_option\", \
                     deserialize_with = \"{JSON}::{kind}::read_option\")]"
                )
            }
        }
    })
}

/// Writes the function that emits an unset field's explicit default; answers its name.
fn default_writer(full: &str, field: &FieldDescriptorProto, kind: &str, t: &mut Tables) -> String {
    let function = full.trim_start_matches('.').replace('.', "_").to_snake_case();
    let text = field.default_value();
    let (rust, value) = match field.r#type() {
        Type::Bool => ("bool".into(), text.to_string()),
        Type::String => ("String".into(), format!("{text:?}.to_string()")),
        Type::Double => ("f64".into(), format!("{text}f64")),
        Type::Enum => {
            let path = rust_path(field.type_name());
            ("i32".into(), format!("{path}::from_str_name({text:?}).map_or(0, |v| v as i32)"))
        }
        Type::Int32 => ("i32".into(), text.to_string()),
        Type::Uint32 => ("u32".into(), text.to_string()),
        Type::Int64 => ("i64".into(), text.to_string()),
        Type::Uint64 => ("u64".into(), text.to_string()),
        other => panic!("{full}: a default of type {other:?} is not known here"),
    };
    let rust: String = rust;
    writeln!(
        t.defaults,
        "pub(crate) fn {function}<S: serde::Serializer>(v: &Option<{rust}>, s: S) -> \
         Result<S::Ok, S::Error> {{\n    match v {{\n        \
         Some(v) => crate::mesos::json::{kind}::write(v, s),\n        \
         None => crate::mesos::json::{kind}::write(&{value}, s),\n    }}\n}}"
    )
    .expect("writing to a string cannot fail");
    function
}

/// The type in `crate::mesos::json` that reads and writes values of this field's type.
fn kind_of(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Enum => format!("Enum::<{}>", rust_path(field.type_name())),
        Type::Bytes => "Bytes".into(),
        Type::Bool => "Bool".into(),
        Type::Double | Type::Float => "Double".into(),
        Type::String => "Plain::<String>".into(),
        Type::Message => "Message".into(),
        Type::Int32 => "Int::<i32>".into(),
        Type::Uint32 => "Int::<u32>".into(),
        Type::Int64 => "Int::<i64>".into(),
        Type::Uint64 => "Int::<u64>".into(),
        other => panic!("{}: the type {other:?} is not used by Mesos", field.name()),
    }
}

/// `.mesos.v1.Resource.Type` → `crate::mesos::v1::resource::Type`, by prost's naming rules.
fn rust_path(proto: &str) -> String {
    let parts: Vec<&str> = proto.trim_start_matches('.').split('.').collect();
    let (last, modules) = parts.split_last().expect("a type has a name");
    let modules: Vec<String> = modules.iter().map(|m| m.to_snake_case()).collect();
    format!("crate::{}::{}", modules.join("::"), last.to_upper_camel_case())
}

fn for_each_message(files: &FileDescriptorSet, f: &mut dyn FnMut(&str, &DescriptorProto)) {
    fn walk(path: &str, m: &DescriptorProto, f: &mut dyn FnMut(&str, &DescriptorProto)) {
        let path = format!("{path}.{}", m.name());
        f(&path, m);
        for nested in &m.nested_type {
            walk(&path, nested, f);
        }
    }
    for file in &files.file {
        for message in &file.message_type {
            walk(&format!(".{}", file.package()), message, f);
        }
    }
}

fn for_each_enum(files: &FileDescriptorSet, f: &mut dyn FnMut(&str, &EnumDescriptorProto)) {
    for file in &files.file {
        for it in &file.enum_type {
            f(&format!(".{}.{}", file.package(), it.name()), it);
        }
    }
    for_each_message(files, &mut |path, message| {
        for it in &message.enum_type {
            f(&format!("{path}.{}", it.name()), it);
        }
    });
}
