//! Media types by file name extension: those that sandboxes hold.

use std::path::Path;

/// What is not in the table.
const UNKNOWN: &str = "application/octet-stream";

const TYPES: [(&str, &str); 42] = [
    ("7z", "application/x-7z-compressed"),
    ("avi", "video/x-msvideo"),
    ("bz2", "application/x-bzip2"),
    ("c", "text/x-c"),
    ("conf", "text/plain"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("err", "text/plain"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/x-icon"),
    ("ini", "text/plain"),
    ("jar", "application/java-archive"),
    ("java", "text/x-java-source"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("log", "text/plain"),
    ("md", "text/markdown"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("out", "text/plain"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("py", "text/x-python"),
    ("rs", "text/plain"),
    ("sh", "application/x-sh"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("toml", "text/plain"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("xml", "application/xml"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
];

/// The media type of a file, by its name alone.
pub(super) fn of(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let extension = extension.to_ascii_lowercase();
    let at = TYPES.binary_search_by(|(name, _)| (*name).cmp(extension.as_str()));
    at.ok().and_then(|at| TYPES.get(at)).map_or(UNKNOWN, |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_found() {
        assert!(TYPES.is_sorted());
        assert_eq!(of(Path::new("a/b.TXT")), "text/plain");
        assert_eq!(of(Path::new("a/stdout")), UNKNOWN);
        assert_eq!(of(Path::new("a/b.zip")), "application/zip");
    }
}
