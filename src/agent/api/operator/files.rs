//! LIST_FILES and READ_FILE: what `/files` shows, in messages.

use super::{Api, Refusal, missing, of};
use crate::http::files::{FileTable, Listed, list_files, read_file};
use crate::mesos::v1::agent::response::{self, Type};
use crate::mesos::v1::agent::{Call, Response};
use crate::mesos::v1::{FileInfo, TimeInfo};
use axum::http::StatusCode;

/// What the files are read from.
async fn off_the_loop<T: Send + 'static>(
    table: &FileTable,
    work: impl FnOnce(FileTable) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let table = table.clone();
    let done = tokio::task::spawn_blocking(move || work(table)).await;
    done.unwrap_or_else(|_| Err(Refusal::of(StatusCode::INTERNAL_SERVER_ERROR)))
}

/// The files of a directory.
pub(super) async fn list(api: &Api, call: Call) -> Result<Response, Refusal> {
    let path = call.list_files.ok_or_else(|| missing("list_files"))?.path;
    let listed = off_the_loop(&api.files, move |table| list_files(&table, &path)).await?;
    let info = |file: Listed| FileInfo {
        path: file.path,
        nlink: i32::try_from(file.links).ok(),
        size: u64::try_from(file.size).ok(),
        mtime: Some(TimeInfo { nanoseconds: file.modified_secs.saturating_mul(1_000_000_000) }),
        mode: Some(file.mode),
        uid: Some(file.user),
        gid: Some(file.group),
    };
    let file_infos = listed.into_iter().map(info).collect();
    let list_files = Some(response::ListFiles { file_infos });
    Ok(Response { list_files, ..of(Type::ListFiles) })
}

/// A part of a file.
pub(super) async fn read(api: &Api, call: Call) -> Result<Response, Refusal> {
    let asked = call.read_file.ok_or_else(|| missing("read_file"))?;
    let read = move |table: FileTable| read_file(&table, &asked.path, asked.offset, asked.length);
    let (size, data) = off_the_loop(&api.files, read).await?;
    let read_file = Some(response::ReadFile { size, data });
    Ok(Response { read_file, ..of(Type::ReadFile) })
}
