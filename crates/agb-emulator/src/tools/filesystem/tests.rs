//! The file tools as a session calls them, on both kinds of view.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
#[cfg(target_os = "linux")]
use rustix::fs::{Mode, OFlags};
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// A session's files with a place on the host to look at them from outside.
struct Scene {
    directory: TempDir,
    files: SandboxFiles,
    session: SessionFiles,
    limits: ToolLimits,
    home: PathBuf,
    is_rooted: bool,
}

impl Scene {
    /// A root directory of its own with `/home/user`, `/tmp` and `/etc`.
    #[cfg(target_os = "linux")]
    fn rooted() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["home/user", "tmp", "etc"] {
            fs::create_dir_all(directory.path().join(name)).expect("a directory");
        }
        let root = rustix::fs::open(directory.path(), OFlags::DIRECTORY | OFlags::PATH, Mode::empty()).expect("a root");
        let home = PathBuf::from("/home/user");
        let files = SandboxFiles::Namespace { root: Arc::new(root), user: None, home: home.clone() };
        Self::new(directory, files, home, true)
    }

    /// A home and a TMPDIR on the host's paths.
    fn plain() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (home, tmp) = (directory.path().join("home"), directory.path().join("tmp"));
        fs::create_dir(&home).expect("a directory");
        fs::create_dir(&tmp).expect("a directory");
        let files = SandboxFiles::Plain { home: home.clone(), tmp, user: None };
        Self::new(directory, files, home, false)
    }

    fn new(directory: TempDir, files: SandboxFiles, home: PathBuf, is_rooted: bool) -> Self {
        let limits = ToolLimits { output_bytes: 8 * 1024 * 1024, time: Duration::from_secs(60) };
        Self { directory, files, session: SessionFiles::default(), limits, home, is_rooted }
    }

    fn all() -> Vec<Self> {
        #[cfg(target_os = "linux")]
        return vec![Self::rooted(), Self::plain()];
        #[cfg(not(target_os = "linux"))]
        return vec![Self::plain()];
    }

    /// A path in the session's home, as the session names it.
    fn at(&self, name: &str) -> String {
        self.home.join(name).to_string_lossy().into_owned()
    }

    /// The same place as the host names it.
    fn host(&self, name: &str) -> PathBuf {
        let path = self.home.join(name);
        if !self.is_rooted {
            return path;
        }
        self.directory.path().join(path.strip_prefix("/").expect("an absolute path"))
    }

    async fn call(&self, name: &str, args: Value) -> ToolOutput {
        let args = args.as_object().cloned().expect("an object");
        assert_eq!(catalog::check_args(name, &args), Ok(()));
        let tool = tool_named(name).expect("a file tool");
        run(self.files.clone(), &self.session, tool, args, &self.limits).await
    }

    async fn ok(&self, name: &str, args: Value) -> String {
        let output = self.call(name, args.clone()).await;
        assert!(!output.is_error, "{name} {args}: {}", output.text);
        output.text
    }

    async fn fails(&self, name: &str, args: Value) -> String {
        let output = self.call(name, args.clone()).await;
        assert!(output.is_error, "{name} {args} answered {:?}", output.text);
        output.text
    }

    async fn changes(&self, path: &str) -> Vec<(String, String, String)> {
        let text = self.ok("get_file_change", json!({"path": path})).await;
        let events: Vec<Value> = serde_json::from_str(&text).expect("a JSON array");
        let member = |event: &Value, name: &str| event[name].as_str().expect("a text").to_owned();
        events.iter().map(|e| (member(e, "eventType"), member(e, "path"), member(e, "pathType"))).collect()
    }
}

fn event(kind: &str, path: String, path_kind: &str) -> (String, String, String) {
    (kind.to_owned(), path, path_kind.to_owned())
}

#[test]
fn other_names_are_no_file_tools() {
    assert!(tool_named("shell").is_none());
    assert!(tool_named("").is_none());
}

#[test]
fn every_file_tool_of_the_catalogue_exists() {
    let listed = catalog::tools_of_image("agb-code-space-1");
    let files: Vec<&Value> = listed.iter().filter(|tool| tool["server"] == "wuying_filesystem").collect();
    assert_eq!(files.len(), 11);
    for tool in files {
        let name = tool["name"].as_str().expect("a name");
        assert!(tool_named(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn directories_are_made_with_their_parents_and_twice() {
    for scene in Scene::all() {
        for _ in 0..2 {
            assert_eq!(scene.ok("create_directory", json!({"path": scene.at("a/b/c")})).await, "true");
        }
        assert!(scene.host("a/b/c").is_dir());
        assert_eq!(scene.ok("create_directory", json!({"path": "d/../e"})).await, "true");
        assert!(scene.host("e").is_dir());
    }
}

#[tokio::test]
async fn a_directory_is_not_made_where_a_file_is() {
    for scene in Scene::all() {
        fs::write(scene.host("file"), "x").expect("a file");
        let text = scene.fails("create_directory", json!({"path": scene.at("file")})).await;
        assert!(text.contains("exists"), "{text}");
        let text = scene.fails("create_directory", json!({"path": scene.at("file/below")})).await;
        assert!(text.contains("Not a directory"), "{text}");
    }
}

#[tokio::test]
async fn files_are_written_in_three_modes() {
    for scene in Scene::all() {
        let path = scene.at("f.txt");
        let write = |mode: &str, content: &str| json!({"path": path, "content": content, "mode": mode});
        assert_eq!(scene.ok("write_file", write("create_new", "one")).await, "true");
        scene.ok("write_file", write("append", " two")).await;
        assert_eq!(fs::read_to_string(scene.host("f.txt")).expect("a text"), "one two");
        let text = scene.fails("write_file", write("create_new", "three")).await;
        assert!(text.contains("Already exists"), "{text}");
        assert_eq!(fs::read_to_string(scene.host("f.txt")).expect("a text"), "one two");
        scene.ok("write_file", write("overwrite", "four")).await;
        assert_eq!(fs::read_to_string(scene.host("f.txt")).expect("a text"), "four");
        scene.ok("write_file", json!({"path": path, "content": ""})).await;
        assert_eq!(fs::read_to_string(scene.host("f.txt")).expect("a text"), "");
    }
}

#[tokio::test]
async fn a_missing_parent_directory_is_said_in_the_systems_words() {
    for scene in Scene::all() {
        let text = scene.fails("write_file", json!({"path": scene.at("no/f.txt"), "content": "x"})).await;
        assert!(text.contains("No such file or directory") && text.contains("no/f.txt"), "{text}");
    }
}

#[tokio::test]
async fn relative_paths_start_at_home() {
    for scene in Scene::all() {
        scene.ok("write_file", json!({"path": "here.txt", "content": "x"})).await;
        assert!(scene.host("here.txt").is_file());
        assert_eq!(scene.ok("read_file", json!({"path": "./here.txt"})).await, "x");
    }
}

#[tokio::test]
async fn files_are_deleted_and_directories_are_not() {
    for scene in Scene::all() {
        fs::write(scene.host("f"), "x").expect("a file");
        fs::create_dir(scene.host("d")).expect("a directory");
        symlink("d", scene.host("link")).expect("a link");
        assert_eq!(scene.ok("delete_file", json!({"path": scene.at("f")})).await, "true");
        scene.ok("delete_file", json!({"path": scene.at("link")})).await;
        assert!(!scene.host("f").exists() && !scene.host("link").is_symlink());
        let text = scene.fails("delete_file", json!({"path": scene.at("d")})).await;
        assert!(text.contains("Cannot delete directory"), "{text}");
        assert!(scene.host("d").is_dir());
        let text = scene.fails("delete_file", json!({"path": scene.at("f")})).await;
        assert!(text.contains("not found") && text.contains("(No such file or directory)"), "{text}");
    }
}

#[tokio::test]
async fn edits_change_the_file_or_leave_it() {
    for scene in Scene::all() {
        let path = scene.at("f");
        fs::write(scene.host("f"), "alpha beta alpha ä\n").expect("a file");
        let inode = fs::metadata(scene.host("f")).expect("a file").ino();
        let edit = |edits: Value, dry: bool| json!({"path": path, "edits": edits, "dryRun": dry});
        let good = json!([{"oldText": "alpha", "newText": "A"}, {"oldText": " ä", "newText": ""}]);
        let preview = scene.ok("edit_file", edit(good.clone(), true)).await;
        assert!(preview.contains("-alpha beta alpha ä\n+A beta alpha\n"), "{preview}");
        assert_eq!(fs::read_to_string(scene.host("f")).expect("a text"), "alpha beta alpha ä\n");
        assert_eq!(scene.ok("edit_file", edit(good, false)).await, "true");
        assert_eq!(fs::read_to_string(scene.host("f")).expect("a text"), "A beta alpha\n");
        let bad = json!([{"oldText": "beta", "newText": "B"}, {"oldText": "gamma", "newText": "G"}]);
        let text = scene.fails("edit_file", edit(bad, false)).await;
        assert!(text.contains("edits[1].oldText was not found"), "{text}");
        assert_eq!(fs::read_to_string(scene.host("f")).expect("a text"), "A beta alpha\n");
        assert_eq!(fs::metadata(scene.host("f")).expect("a file").ino(), inode);
    }
}

#[tokio::test]
async fn edits_need_an_existing_text() {
    for scene in Scene::all() {
        fs::write(scene.host("binary"), [0xFF, b'a']).expect("a file");
        let edits = json!([{"oldText": "a", "newText": "b"}]);
        let text = scene.fails("edit_file", json!({"path": "binary", "edits": edits})).await;
        assert!(text.contains("Not UTF-8 text"), "{text}");
        let text = scene.fails("edit_file", json!({"path": "missing", "edits": edits})).await;
        assert!(text.contains("File not found") && text.contains("(No such file or directory)"), "{text}");
    }
}

#[tokio::test]
async fn edits_at_the_same_time_all_count() {
    for scene in Scene::all() {
        fs::write(scene.host("f"), "0123456789").expect("a file");
        let edit = |digit: u32| json!({"path": "f", "edits": [{"oldText": digit.to_string(), "newText": format!("<{digit}>")}]});
        futures_util::future::join_all((0..10).map(|digit| scene.ok("edit_file", edit(digit)))).await;
        let text = fs::read_to_string(scene.host("f")).expect("a text");
        assert_eq!(text, "<0><1><2><3><4><5><6><7><8><9>");
    }
}

#[tokio::test]
async fn file_info_has_every_key_that_clients_read() {
    for scene in Scene::all() {
        fs::write(scene.host("a:b.txt"), "12345").expect("a file");
        fs::set_permissions(scene.host("a:b.txt"), fs::Permissions::from_mode(0o640)).expect("rights");
        let text = scene.ok("get_file_info", json!({"path": scene.at("a:b.txt")})).await;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")));
            line.unwrap_or_else(|| panic!("{key} is missing in {text}")).to_owned()
        };
        assert_eq!(value("name"), "a:b.txt");
        assert_eq!(value("path"), scene.at("a:b.txt"));
        assert_eq!(value("size"), "5");
        assert_eq!(value("type"), "file");
        assert_eq!((value("isDirectory"), value("isFile")), ("false".to_owned(), "true".to_owned()));
        assert_eq!((value("mode"), value("permissions")), ("-rw-r-----".to_owned(), "640".to_owned()));
        for key in ["modTime", "modified", "created"] {
            let time: jiff::Timestamp = value(key).parse().expect("a time");
            assert!(time.as_second() > 1_600_000_000);
            assert!(value(key).contains('.'), "{}", value(key));
        }
        let owner = if scene.is_rooted { "root".to_owned() } else { value("owner") };
        assert_eq!(value("owner"), owner);
        assert!(!value("group").is_empty());
        let text = scene.ok("get_file_info", json!({"path": scene.at("")})).await;
        assert!(text.contains("isDirectory: true") && text.contains("type: directory"), "{text}");
    }
}

#[tokio::test]
async fn file_info_follows_links_and_says_so() {
    for scene in Scene::all() {
        fs::write(scene.host("target"), "12345").expect("a file");
        symlink("target", scene.host("link")).expect("a link");
        let text = scene.ok("get_file_info", json!({"path": "link"})).await;
        assert!(text.contains("size: 5") && text.contains("type: file") && text.contains("isSymlink: true"), "{text}");
    }
}

#[tokio::test]
async fn a_missing_file_is_not_found_in_both_wordings() {
    for scene in Scene::all() {
        for tool in ["get_file_info", "read_file", "list_directory", "get_file_change"] {
            let text = scene.fails(tool, json!({"path": scene.at("missing")})).await;
            assert!(text.contains("not found") && text.contains("(No such file or directory)"), "{tool}: {text}");
            assert!(text.contains("missing"), "{tool}: {text}");
        }
    }
}

#[tokio::test]
async fn directories_are_listed_sorted_with_marks() {
    for scene in Scene::all() {
        assert_eq!(scene.ok("list_directory", json!({"path": scene.at("")})).await, "");
        fs::create_dir(scene.host("b")).expect("a directory");
        fs::write(scene.host("c"), "").expect("a file");
        fs::write(scene.host(".a"), "").expect("a file");
        fs::write(scene.host("two\nlines"), "").expect("a file");
        symlink(scene.at("b"), scene.host("link")).expect("a link");
        symlink("nowhere", scene.host("dangling")).expect("a link");
        let text = scene.ok("list_directory", json!({"path": scene.at("")})).await;
        let wanted = "[FILE] .a\n[DIR] b\n[FILE] c\n[FILE] dangling\n[DIR] link\n[FILE] two?lines";
        assert_eq!(text, wanted);
        let text = scene.fails("list_directory", json!({"path": scene.at("c")})).await;
        assert!(text.contains("Not a directory"), "{text}");
    }
}

#[tokio::test]
async fn moving_renames_files_and_directories() {
    for scene in Scene::all() {
        fs::create_dir_all(scene.host("d/e")).expect("a directory");
        fs::write(scene.host("d/e/f"), "x").expect("a file");
        let args = json!({"source": scene.at("d/e/f"), "destination": scene.at("g")});
        assert_eq!(scene.ok("move_file", args).await, "true");
        scene.ok("move_file", json!({"source": scene.at("d"), "destination": scene.at("h")})).await;
        assert!(!scene.host("d").exists() && scene.host("h/e").is_dir());
        assert_eq!(fs::read_to_string(scene.host("g")).expect("a text"), "x");
        scene.fails("read_file", json!({"path": scene.at("d/e/f")})).await;
    }
}

#[tokio::test]
async fn moving_replaces_nothing_and_needs_a_source() {
    for scene in Scene::all() {
        fs::write(scene.host("a"), "a").expect("a file");
        fs::write(scene.host("b"), "b").expect("a file");
        fs::create_dir(scene.host("d")).expect("a directory");
        for target in ["b", "d"] {
            let text =
                scene.fails("move_file", json!({"source": scene.at("a"), "destination": scene.at(target)})).await;
            assert!(text.contains("Already exists"), "{text}");
        }
        let text = scene.fails("move_file", json!({"source": scene.at("no"), "destination": scene.at("x")})).await;
        assert!(text.contains("Source file not found") && text.contains("(No such file or directory)"), "{text}");
        let text = scene.fails("move_file", json!({"source": scene.at("a"), "destination": scene.at("no/x")})).await;
        assert!(text.contains("not found"), "{text}");
        let text = scene.fails("move_file", json!({"source": scene.at("d"), "destination": scene.at("d/x")})).await;
        assert!(text.contains("into itself"), "{text}");
        assert_eq!(fs::read_to_string(scene.host("a")).expect("a text"), "a");
        assert_eq!(fs::read_to_string(scene.host("b")).expect("a text"), "b");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn moving_to_another_file_system_copies() {
    // Memory-backed, so not the one that temporary directories are on, unless that is memory-backed itself.
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
    let mut scene = Scene::plain();
    scene.files = SandboxFiles::Plain { home: scene.home.clone(), tmp: elsewhere.path().to_owned(), user: None };
    fs::create_dir(scene.host("d")).expect("a directory");
    fs::write(scene.host("d/f"), "content").expect("a file");
    fs::set_permissions(scene.host("d/f"), fs::Permissions::from_mode(0o751)).expect("rights");
    symlink("f", scene.host("d/link")).expect("a link");
    let before = fs::metadata(scene.host("d/f")).expect("a file");
    let target = elsewhere.path().join("moved");
    scene.ok("move_file", json!({"source": scene.at("d"), "destination": target})).await;
    let after = fs::metadata(target.join("f")).expect("a file");
    assert_eq!((after.mode(), after.mtime_nsec()), (before.mode(), before.mtime_nsec()));
    assert_eq!(fs::read_to_string(target.join("link")).expect("a text"), "content");
    assert!(!scene.host("d").exists());

    fs::create_dir(scene.host("again")).expect("a directory");
    make_fifo(&scene.host("again/pipe"));
    let target = elsewhere.path().join("refused");
    let text = scene.fails("move_file", json!({"source": scene.at("again"), "destination": target})).await;
    if before.dev() != fs::metadata(elsewhere.path()).expect("a directory").dev() {
        assert!(text.contains("named pipe"), "{text}");
        assert!(scene.host("again/pipe").symlink_metadata().is_ok() && !target.exists());
    }
}

#[tokio::test]
async fn reading_answers_slices_of_text() {
    for scene in Scene::all() {
        fs::write(scene.host("f"), "0123456789").expect("a file");
        let read = |offset: u64, length: u64| json!({"path": "f", "offset": offset, "length": length});
        assert_eq!(scene.ok("read_file", json!({"path": "f"})).await, "0123456789");
        assert_eq!(scene.ok("read_file", json!({"path": "f", "offset": 7})).await, "789");
        assert_eq!(scene.ok("read_file", read(2, 3)).await, "234");
        assert_eq!(scene.ok("read_file", read(8, 100)).await, "89");
        assert_eq!(scene.ok("read_file", read(10, 5)).await, "");
        assert_eq!(scene.ok("read_file", read(u64::MAX, u64::MAX)).await, "");
        assert_eq!(scene.ok("read_file", read(3, 0)).await, "");
    }
}

#[tokio::test]
async fn joined_slices_equal_a_text_of_wide_characters() {
    for scene in Scene::all() {
        let content = "a€😀ß\n".repeat(9);
        fs::write(scene.host("f"), &content).expect("a file");
        for step in [1, 2, 3, 4, 5, 7, 64] {
            let mut joined = String::new();
            for offset in (0..content.len()).step_by(step) {
                joined += &scene.ok("read_file", json!({"path": "f", "offset": offset, "length": step})).await;
            }
            assert_eq!(joined, content, "step {step}");
        }
    }
}

#[tokio::test]
async fn binary_reading_answers_the_base64_of_exactly_the_slice() {
    for scene in Scene::all() {
        let content: Vec<u8> = (0..=255).cycle().take(1000).collect();
        fs::write(scene.host("f"), &content).expect("a file");
        for (offset, length) in [(0, 1000), (1, 1), (100, 301), (999, 50), (1000, 1)] {
            let args = json!({"path": "f", "offset": offset, "length": length, "format": "binary"});
            let bytes = STANDARD.decode(scene.ok("read_file", args).await).expect("base64");
            assert_eq!(bytes, content[offset..content.len().min(offset + length)]);
        }
    }
}

#[tokio::test]
async fn reading_more_than_the_output_may_hold_is_an_error() {
    for mut scene in Scene::all() {
        scene.limits.output_bytes = 100;
        fs::write(scene.host("f"), "x".repeat(101)).expect("a file");
        let text = scene.fails("read_file", json!({"path": "f"})).await;
        assert!(text.contains("100 bytes"), "{text}");
        assert_eq!(scene.ok("read_file", json!({"path": "f", "length": 100})).await.len(), 100);
        let text = scene.fails("read_file", json!({"path": "f", "length": 100, "format": "binary"})).await;
        assert!(text.contains("100 bytes"), "{text}");
        let text = scene.fails("read_multiple_files", json!({"paths": ["f", "f"]})).await;
        assert!(text.contains("100 bytes"), "{text}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn endless_and_pseudo_files_end() {
    let root = rustix::fs::open("/", OFlags::DIRECTORY | OFlags::PATH, Mode::empty()).expect("a root");
    let mut scene = Scene::plain();
    scene.files = SandboxFiles::Namespace { root: Arc::new(root), user: None, home: scene.home.clone() };
    let status = scene.ok("read_file", json!({"path": "/proc/meminfo"})).await;
    assert!(status.contains("MemTotal") && status.ends_with('\n'), "{status}");
    let text = scene.fails("read_file", json!({"path": "/dev/zero"})).await;
    assert!(text.contains("character device"), "{text}");
    // The link of another process to its root must not be followed out of the session's.
    let text = scene.fails("read_file", json!({"path": "/proc/1/root/etc/passwd"})).await;
    assert!(text.contains("only its own process") || text.contains("Permission denied"), "{text}");
}

#[tokio::test]
async fn several_files_come_as_blocks() {
    for scene in Scene::all() {
        fs::write(scene.host("a"), "1\n2\n").expect("a file");
        fs::write(scene.host("b"), "3").expect("a file");
        fs::write(scene.host("c"), "").expect("a file");
        let paths = json!({"paths": [scene.at("a"), scene.at("b"), scene.at("c")]});
        let wanted = format!("{}: 1\n2\n---\n{}: 3\n---\n{}: ", scene.at("a"), scene.at("b"), scene.at("c"));
        assert_eq!(scene.ok("read_multiple_files", paths).await, wanted);
        assert_eq!(scene.ok("read_multiple_files", json!({"paths": []})).await, "");
        let text = scene.fails("read_multiple_files", json!({"paths": [scene.at("a"), scene.at("no")]})).await;
        assert!(text.contains("not found") && text.contains(&scene.at("no")), "{text}");
    }
}

#[tokio::test]
async fn searching_takes_globs_and_parts_of_names() {
    for scene in Scene::all() {
        fs::create_dir_all(scene.host("sub/deep")).expect("a directory");
        for name in ["b.txt", "a.txt", "sub/c.txt", "sub/deep/file1", ".hidden.txt", "T.TXT"] {
            fs::write(scene.host(name), "").expect("a file");
        }
        symlink(scene.at(""), scene.host("sub/loop")).expect("a link");
        let found = async |args: Value| {
            let text = scene.ok("search_files", args).await;
            let prefix = format!("{}/", scene.home.display());
            text.lines().map(|line| line.strip_prefix(&prefix).unwrap_or(line).to_owned()).collect::<Vec<_>>()
        };
        let home = scene.at("");
        let search =
            |pattern: &str, excluded: &[&str]| json!({"path": home, "pattern": pattern, "excludePatterns": excluded});
        assert_eq!(found(search("*.txt", &[])).await, [".hidden.txt", "a.txt", "b.txt", "sub/c.txt"]);
        assert_eq!(found(search("?.txt", &["a*"])).await, ["b.txt", "sub/c.txt"]);
        assert_eq!(found(search("e", &[])).await, [".hidden.txt", "sub/deep", "sub/deep/file1"]);
        assert_eq!(found(search("e", &["deep"])).await, [".hidden.txt"]);
        assert_eq!(found(search("loop", &[])).await, ["sub/loop"]);
        assert_eq!(found(search("sub/*", &[])).await, ["sub/c.txt", "sub/deep", "sub/loop"]);
        assert_eq!(found(search("**/file?", &[])).await, ["sub/deep/file1"]);
        assert_eq!(found(search("nothing", &[])).await, ["No matches found"]);
        let other = json!({"path": home, "pattern": "*.txt", "exclude_patterns": ["sub", ".hidden*"]});
        assert_eq!(found(other).await, ["a.txt", "b.txt"]);
        let text = scene.fails("search_files", search("[", &[])).await;
        assert!(text.contains("Invalid pattern"), "{text}");
        let text = scene.fails("search_files", json!({"path": scene.at("a.txt"), "pattern": "a"})).await;
        assert!(text.contains("Not a directory"), "{text}");
    }
}

#[tokio::test]
async fn work_that_is_out_of_time_says_so() {
    for mut scene in Scene::all() {
        fs::write(scene.host("f"), "").expect("a file");
        scene.limits.time = Duration::ZERO;
        let text = scene.fails("search_files", json!({"path": scene.at(""), "pattern": "f"})).await;
        assert!(text.contains("Timed out"), "{text}");
    }
}

#[tokio::test]
async fn changes_are_told_since_the_previous_call() {
    for scene in Scene::all() {
        fs::create_dir(scene.host("w")).expect("a directory");
        fs::write(scene.host("w/old"), "1").expect("a file");
        let watched = scene.at("w");
        assert_eq!(scene.changes(&watched).await, []);
        assert_eq!(scene.changes(&watched).await, []);

        fs::create_dir(scene.host("w/d")).expect("a directory");
        fs::write(scene.host("w/d/new"), "1").expect("a file");
        let made = [event("create", scene.at("w/d"), "directory"), event("create", scene.at("w/d/new"), "file")];
        assert_eq!(scene.changes(&watched).await, made);

        for version in 1..4 {
            rewrite(&scene.host("w/old"), version);
            assert_eq!(scene.changes(&watched).await, [event("modify", scene.at("w/old"), "file")]);
        }

        fs::rename(scene.host("w/old"), scene.host("w/renamed")).expect("a rename");
        let renamed = [event("delete", scene.at("w/old"), "file"), event("create", scene.at("w/renamed"), "file")];
        assert_eq!(scene.changes(&watched).await, renamed);

        fs::remove_dir_all(scene.host("w/d")).expect("a removal");
        fs::write(scene.host("w/d"), "now a file").expect("a file");
        let replaced = [
            event("delete", scene.at("w/d"), "directory"),
            event("create", scene.at("w/d"), "file"),
            event("delete", scene.at("w/d/new"), "file"),
        ];
        assert_eq!(scene.changes(&watched).await, replaced);
    }
}

/// Writes something of the same length with another time, however coarse the file system's clock is.
fn rewrite(path: &Path, version: u64) {
    fs::write(path, version.to_string()).expect("a file");
    let time = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_nanos(version);
    fs::File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("a time");
}

#[tokio::test]
async fn every_session_and_every_path_has_a_baseline_of_its_own() {
    for scene in Scene::all() {
        fs::create_dir(scene.host("w")).expect("a directory");
        assert_eq!(scene.changes(&scene.at("w")).await, []);
        fs::write(scene.host("w/f"), "").expect("a file");
        assert_eq!(scene.changes(&scene.at("")).await, []);
        let other = Scene { session: SessionFiles::default(), files: scene.files.clone(), ..Scene::plain() };
        assert_eq!(other.changes(&scene.at("w")).await, []);
        assert_eq!(scene.changes(&scene.at("w")).await, [event("create", scene.at("w/f"), "file")]);
    }
}

#[tokio::test]
async fn a_watched_directory_that_goes_away_is_reported_once() {
    for scene in Scene::all() {
        fs::create_dir(scene.host("w")).expect("a directory");
        fs::write(scene.host("w/f"), "").expect("a file");
        assert_eq!(scene.changes(&scene.at("w")).await, []);
        fs::remove_dir_all(scene.host("w")).expect("a removal");
        let gone = [event("delete", scene.at("w"), "directory"), event("delete", scene.at("w/f"), "file")];
        assert_eq!(scene.changes(&scene.at("w")).await, gone);
        scene.fails("get_file_change", json!({"path": scene.at("w")})).await;
    }
}

#[tokio::test]
async fn hostile_paths_are_refused_in_words() {
    for scene in Scene::all() {
        symlink("loop", scene.host("loop")).expect("a link");
        let long = "x/".repeat(3000);
        let long_name = "x".repeat(300);
        let bad = [
            ("", "empty"),
            ("a\0b", "NUL"),
            (long.as_str(), "too long"),
            (long_name.as_str(), "too long"),
            ("loop", "Too many levels of symbolic links"),
            ("loop/below", "Too many levels of symbolic links"),
        ];
        for (path, wanted) in bad {
            for tool in ["read_file", "get_file_info", "list_directory", "create_directory"] {
                let text = scene.fails(tool, json!({"path": path})).await;
                assert!(text.contains(wanted), "{tool}: {text}");
                assert!(text.len() < 1000, "{tool}: the text repeats all of the path");
            }
            let text = scene.fails("write_file", json!({"path": path, "content": "x"})).await;
            assert!(text.contains(wanted), "write_file: {text}");
        }
    }
}

#[tokio::test]
async fn special_files_are_refused_and_never_waited_for() {
    for scene in Scene::all() {
        make_fifo(&scene.host("pipe"));
        let edits = json!([{"oldText": "a", "newText": "b"}]);
        let calls = [
            ("read_file", json!({"path": "pipe"})),
            ("write_file", json!({"path": "pipe", "content": "x"})),
            ("write_file", json!({"path": "pipe", "content": "x", "mode": "append"})),
            ("edit_file", json!({"path": "pipe", "edits": edits})),
            ("read_multiple_files", json!({"paths": ["pipe"]})),
        ];
        for (tool, args) in calls {
            let text = scene.fails(tool, args).await;
            assert!(text.contains("named pipe"), "{tool}: {text}");
        }
        assert!(scene.ok("get_file_info", json!({"path": "pipe"})).await.contains("type: named pipe"));
        assert!(scene.ok("list_directory", json!({"path": scene.at("")})).await.contains("[FILE] pipe"));
        scene.ok("delete_file", json!({"path": "pipe"})).await;
    }
}

fn make_fifo(path: &Path) {
    let status = std::process::Command::new("mkfifo").arg(path).status().expect("the command mkfifo");
    assert!(status.success());
}

#[tokio::test]
async fn a_directory_is_no_file() {
    for scene in Scene::all() {
        fs::create_dir(scene.host("d")).expect("a directory");
        for (tool, args) in [("read_file", json!({"path": "d"})), ("write_file", json!({"path": "d", "content": "x"}))]
        {
            let text = scene.fails(tool, args).await;
            assert!(text.contains("Is a directory"), "{tool}: {text}");
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_leads_out_of_a_root() {
    let scene = Scene::rooted();
    fs::write(scene.directory.path().join("etc/hostname"), "of the session").expect("a file");
    symlink("/etc/hostname", scene.host("absolute")).expect("a link");
    symlink("../../../../../../etc/hostname", scene.host("upward")).expect("a link");
    symlink("/etc/passwd", scene.host("passwd")).expect("a link");
    symlink("/", scene.host("top")).expect("a link");
    let dots = "../".repeat(30);
    for path in ["absolute", "upward", "/etc/hostname", "top/etc/hostname", &format!("{dots}etc/hostname")] {
        assert_eq!(scene.ok("read_file", json!({"path": path})).await, "of the session", "{path}");
    }
    for path in ["passwd", "/etc/passwd", &format!("{dots}etc/passwd"), "/proc/self/root/etc/passwd"] {
        let text = scene.fails("read_file", json!({"path": path})).await;
        assert!(text.contains("not found"), "{path}: {text}");
    }
    // A new file at the end of an absolute link is made inside.
    scene.ok("write_file", json!({"path": "passwd", "content": "x"})).await;
    assert_eq!(fs::read_to_string(scene.directory.path().join("etc/passwd")).expect("a text"), "x");
    let outside = TempDir::new().expect("a directory");
    symlink(outside.path(), scene.host("outside")).expect("a link");
    let text = scene.fails("write_file", json!({"path": "outside/f", "content": "x"})).await;
    assert!(text.contains("No such file or directory"), "{text}");
    let made = outside.path().join("made");
    scene.ok("create_directory", json!({"path": made})).await;
    assert!(!made.exists() && scene.directory.path().join(made.strip_prefix("/").expect("a path")).is_dir());
}

#[tokio::test]
async fn plain_paths_outside_are_refused_by_name() {
    let scene = Scene::plain();
    symlink("/etc/passwd", scene.host("passwd")).expect("a link");
    symlink("/", scene.host("top")).expect("a link");
    symlink("/etc/agb-no-such-file", scene.host("dangling")).expect("a link");
    let paths = [
        "/etc/passwd",
        "/",
        "/etc/agb-no-such-directory/file",
        "passwd",
        "dangling",
        "top/etc/passwd",
        "../../../../../../../etc/passwd",
        "/tmp/../etc/passwd",
        "/proc/self/root/etc/passwd",
    ];
    for path in paths {
        for tool in ["read_file", "get_file_info", "list_directory", "get_file_change"] {
            let text = scene.fails(tool, json!({"path": path})).await;
            let names_all = text.contains(&scene.at("")[..scene.at("").len() - 1])
                && text.contains(&scene.directory.path().join("tmp").to_string_lossy().into_owned())
                && text.contains("and /tmp");
            assert!(text.contains("not allowed") && names_all, "{tool} {path}: {text}");
        }
        let text = scene.fails("write_file", json!({"path": path, "content": "x", "mode": "append"})).await;
        assert!(text.contains("not allowed"), "{path}: {text}");
    }
    fs::write(scene.host("f"), "x").expect("a file");
    for (tool, args) in [
        ("move_file", json!({"source": "f", "destination": "/etc/agb-never-made"})),
        ("move_file", json!({"source": "/etc/passwd", "destination": "stolen"})),
        ("delete_file", json!({"path": "/etc/passwd"})),
        ("create_directory", json!({"path": "/agb-never-made/x"})),
        ("create_directory", json!({"path": "top/agb-never-made"})),
    ] {
        let text = scene.fails(tool, args.clone()).await;
        assert!(text.contains("not allowed"), "{tool} {args}: {text}");
    }
    assert!(scene.host("f").exists() && Path::new("/etc/passwd").exists() && !Path::new("/agb-never-made").exists());
}

#[tokio::test]
async fn plain_links_between_allowed_places_work() {
    let scene = Scene::plain();
    let tmp = scene.directory.path().join("tmp");
    fs::write(tmp.join("f"), "there").expect("a file");
    symlink(tmp.join("f"), scene.host("absolute")).expect("a link");
    symlink("../tmp/f", scene.host("relative")).expect("a link");
    symlink("absolute", scene.host("chain")).expect("a link");
    for path in ["absolute", "relative", "chain"] {
        assert_eq!(scene.ok("read_file", json!({"path": path})).await, "there", "{path}");
    }
    scene.ok("write_file", json!({"path": "chain", "content": "new"})).await;
    assert_eq!(fs::read_to_string(tmp.join("f")).expect("a text"), "new");
    // Removing a link that leads outside removes the link.
    symlink("/etc/passwd", scene.host("outside")).expect("a link");
    scene.ok("delete_file", json!({"path": "outside"})).await;
    assert!(!scene.host("outside").is_symlink());
}

/// A session on plain paths whose home is not below `/tmp`, and a directory in `/tmp` to work in.
fn scene_beside_tmp() -> (Scene, TempDir) {
    let mut scene = Scene::plain();
    let program = std::env::current_exe().expect("a program");
    let directory = tempfile::tempdir_in(program.parent().expect("a directory")).expect("a directory");
    let (home, tmp) = (directory.path().join("home"), directory.path().join("tmp"));
    fs::create_dir(&home).expect("a directory");
    fs::create_dir(&tmp).expect("a directory");
    scene.files = SandboxFiles::Plain { home: home.clone(), tmp, user: None };
    scene.home = home;
    scene.directory = directory;
    (scene, tempfile::tempdir_in("/tmp").expect("a directory"))
}

#[tokio::test]
async fn what_was_made_in_tmp_goes_with_the_session() {
    let (scene, shared) = scene_beside_tmp();
    let at = |name: &str| shared.path().join(name);
    fs::write(at("theirs"), "1").expect("a file");
    fs::write(scene.host("moving"), "").expect("a file");
    scene.ok("write_file", json!({"path": at("theirs"), "content": "2"})).await;
    scene.ok("write_file", json!({"path": at("ours"), "content": "2"})).await;
    scene.ok("write_file", json!({"path": at("deleted"), "content": "2"})).await;
    scene.ok("delete_file", json!({"path": at("deleted")})).await;
    fs::write(at("deleted"), "of somebody else").expect("a file");
    scene.ok("write_file", json!({"path": at("replaced"), "content": "2"})).await;
    fs::rename(at("replaced"), at("renamed-elsewhere")).expect("a rename");
    fs::write(at("replaced"), "of somebody else").expect("a file");
    scene.ok("create_directory", json!({"path": at("d/e")})).await;
    fs::write(at("d/e/by-the-shell"), "x").expect("a file");
    symlink(at("theirs"), at("d/link")).expect("a link");
    scene.ok("move_file", json!({"source": "moving", "destination": at("moved")})).await;
    scene.ok("move_file", json!({"source": at("ours"), "destination": at("ours-again")})).await;
    scene.ok("move_file", json!({"source": at("theirs"), "destination": at("theirs-again")})).await;
    scene.ok("write_file", json!({"path": "at-home", "content": "2"})).await;

    scene.session.cleanup().await;
    let mut left: Vec<_> = fs::read_dir(shared.path()).expect("a directory").flatten().map(|e| e.file_name()).collect();
    left.sort();
    assert_eq!(left, ["deleted", "renamed-elsewhere", "replaced", "theirs-again"]);
    assert!(scene.host("at-home").exists());
    fs::write(at("ours-again"), "of the next session").expect("a file");
    scene.session.cleanup().await;
    assert!(at("ours-again").exists());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_belong_to_the_sessions_user_and_rights_count() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (uid, gid) = (54_321, 54_322);
    for mut scene in Scene::all() {
        fs::set_permissions(scene.directory.path(), fs::Permissions::from_mode(0o755)).expect("rights");
        std::os::unix::fs::chown(scene.host(""), Some(uid), Some(gid)).expect("an owner");
        fs::write(scene.host("secret"), "of root").expect("a file");
        fs::set_permissions(scene.host("secret"), fs::Permissions::from_mode(0o600)).expect("rights");
        match &mut scene.files {
            SandboxFiles::Namespace { user, .. } | SandboxFiles::Plain { user, .. } => *user = Some((uid, gid)),
        }
        let text = scene.fails("read_file", json!({"path": "secret"})).await;
        assert!(text.contains("Permission denied"), "{text}");
        scene.ok("write_file", json!({"path": "mine", "content": "x"})).await;
        scene.ok("create_directory", json!({"path": "d"})).await;
        for name in ["mine", "d"] {
            let facts = fs::metadata(scene.host(name)).expect("a file");
            assert_eq!((facts.uid(), facts.gid()), (uid, gid));
        }
        let info = scene.ok("get_file_info", json!({"path": "mine"})).await;
        let wanted = if scene.is_rooted { "owner: root\ngroup: root\nuid: 0" } else { "uid: 54321" };
        assert!(info.contains(wanted), "{info}");
        let info = scene.ok("get_file_info", json!({"path": "secret"})).await;
        let wanted = if scene.is_rooted { "owner: nobody\ngroup: nogroup\nuid: 65534" } else { "owner: root" };
        assert!(info.contains(wanted), "{info}");
        assert_eq!(fs::read_to_string(scene.host("secret")).expect("a text"), "of root");
    }
}
