//! What the endpoints of file transfer answer (docs/protocol.md, section "File transfer").

use serde_json::{Map, Value};

use super::js;

/// The hidden context through which files enter and leave a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InternalContext {
    pub(crate) id: String,
    /// Where it is in the session.
    pub(crate) path: String,
}

/// The first entry that says all that is needed.
pub(crate) fn read_internal_context(data: Option<&Value>) -> Option<InternalContext> {
    let items = data.and_then(Value::as_array)?;
    items
        .iter()
        .filter_map(Value::as_object)
        .map(|item| InternalContext {
            id: js::text(item, "contextId").to_owned(),
            path: js::text(item, "contextPath").to_owned(),
        })
        .find(|context| !context.id.is_empty() && !context.path.is_empty())
}

/// The address in an answer; `None` where there is none.
pub(crate) fn read_url(data: Option<&Map<String, Value>>) -> Option<String> {
    data.map(|data| js::text(data, "url").to_owned()).filter(|url| !url.is_empty())
}

/// The directory that is synchronised for a file, as the service names it; or what the path of a file has to do.
pub(crate) fn directory_of(remote_path: &str) -> Result<String, &'static str> {
    const DIRECTORY: &str = "name a directory";
    let path = remote_path.trim().replace('\\', "/");
    let (directory, name) = path.rsplit_once('/').ok_or(DIRECTORY)?;
    if matches!(name, "" | "." | "..") {
        return Err("name a file");
    }
    match directory.trim_end_matches('/') {
        "" => Ok("/".to_owned()),
        // A relative name in the current directory.
        "." => Err(DIRECTORY),
        directory => Ok(directory.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_directory_of_a_remote_path() {
        for (path, directory) in [
            ("/tmp/a.txt", Ok("/tmp")),
            (" /tmp/d/a.txt\n", Ok("/tmp/d")),
            ("C:\\dir\\a.txt", Ok("C:/dir")),
            ("/a.txt", Ok("/")),
            ("/tmp/d//a", Ok("/tmp/d")),
            ("d/a.txt", Ok("d")),
            ("/", Err("name a file")),
            ("//", Err("name a file")),
            ("/tmp/d/", Err("name a file")),
            ("C:\\dir\\ ", Err("name a file")),
            ("/tmp/..", Err("name a file")),
            ("./.", Err("name a file")),
            ("a.txt", Err("name a directory")),
            ("./a.txt", Err("name a directory")),
            ("  ", Err("name a directory")),
        ] {
            assert_eq!(directory_of(path), directory.map(str::to_owned), "{path:?}");
        }
    }

    #[test]
    fn the_first_complete_entry_is_the_internal_context() {
        let data = json!([null, {"contextId": "c"}, {"contextId": "c-1", "contextPath": "/p"}, {"contextId": "c-2", "contextPath": "/q"}]);
        let context = read_internal_context(Some(&data)).unwrap();
        assert_eq!((context.id.as_str(), context.path.as_str()), ("c-1", "/p"));
        for nothing in [json!([]), json!({}), json!("x"), json!([{"contextId": 1, "contextPath": "/p"}])] {
            assert_eq!(read_internal_context(Some(&nothing)), None);
        }
    }
}
