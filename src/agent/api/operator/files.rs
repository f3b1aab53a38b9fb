//! LIST_FILES and READ_FILE: what `/files` shows, in messages.

use super::{Api, Refusal, missing, of};
use crate::http::files;
use crate::mesos::v1::agent::response::{self, Type};
use crate::mesos::v1::agent::{Call, Response};

/// The files of a directory.
pub(super) async fn list(api: &Api, call: Call) -> Result<Response, Refusal> {
    let path = call.list_files.ok_or_else(|| missing("list_files"))?.path;
    let file_infos = files::list(&api.files, path).await?;
    let list_files = Some(response::ListFiles { file_infos });
    Ok(Response { list_files, ..of(Type::ListFiles) })
}

/// A part of a file.
pub(super) async fn read(api: &Api, call: Call) -> Result<Response, Refusal> {
    let asked = call.read_file.ok_or_else(|| missing("read_file"))?;
    let (size, data) = files::read(&api.files, asked.path, asked.offset, asked.length).await?;
    let read_file = Some(response::ReadFile { size, data });
    Ok(Response { read_file, ..of(Type::ReadFile) })
}
