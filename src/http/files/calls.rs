//! LIST_FILES and READ_FILE of the operator APIs: what `/files` shows, in messages.

use super::browse::{Listed, list_files};
use super::read::read_file;
use super::table::FileTable;
use crate::http::Refusal;
use crate::mesos::v1::{FileInfo, TimeInfo};
use axum::http::StatusCode;

async fn off_the_loop<T: Send + 'static>(
    table: &FileTable,
    work: impl FnOnce(FileTable) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let table = table.clone();
    let done = tokio::task::spawn_blocking(move || work(table)).await;
    done.unwrap_or_else(|_| Err(Refusal::of(StatusCode::INTERNAL_SERVER_ERROR)))
}

/// The files of a virtual directory; none of what is no directory.
///
/// # Errors
/// 404 when the path is not there, 400 when it cannot be listed.
pub async fn list(table: &FileTable, path: String) -> Result<Vec<FileInfo>, Refusal> {
    let listed = off_the_loop(table, move |table| list_files(&table, &path)).await?;
    let info = |file: Listed| FileInfo {
        path: file.path,
        nlink: i32::try_from(file.links).ok(),
        size: u64::try_from(file.size).ok(),
        mtime: Some(TimeInfo { nanoseconds: file.modified_secs.saturating_mul(1_000_000_000) }),
        mode: Some(file.mode),
        uid: Some(file.user),
        gid: Some(file.group),
    };
    Ok(listed.into_iter().map(info).collect())
}

/// The size of a virtual file in bytes, and as much of it from `offset` on as is asked for and one answer holds.
///
/// # Errors
/// 404 when the path is not there, 400 when it is no file, 500 when it cannot be read.
pub async fn read(
    table: &FileTable,
    path: String,
    offset: u64,
    length: Option<u64>,
) -> Result<(u64, Vec<u8>), Refusal> {
    off_the_loop(table, move |table| read_file(&table, &path, offset, length)).await
}
