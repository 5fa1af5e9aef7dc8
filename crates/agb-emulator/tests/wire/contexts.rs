//! Contexts: storage, mounts, synchronisation, files through URLs.

use agb_emulator::{EmulatorOptions, Isolation};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Peer, encoded, http};

const NO_CONTEXT: &str = "InvalidContext.NotFound";

async fn context(peer: &Peer, name: &str) -> String {
    let reply = peer.get(&format!("/sdk/GetContext?name={}&allowCreate=true", encoded(name))).await;
    reply.data()["id"].as_str().unwrap().to_owned()
}

/// A path that no other test and no other run uses: with plain isolation it is the machine's.
fn place(name: &str) -> String {
    format!("/tmp/agb-test-{}-{name}-{:08x}", std::process::id(), fastrand::u32(..))
}

fn mount(context: &str, path: &str, policy: &Value) -> Value {
    json!({"contextId": context, "path": path, "policy": policy.to_string()})
}

/// A session with mounts, once everything stored is there.
async fn session_with(peer: &Peer, mounts: &[Value]) -> String {
    let data = peer.create(json!({"timeout": 300, "persistenceDataList": mounts})).await;
    let id = data["sessionId"].as_str().unwrap().to_owned();
    settled(peer, &id, "").await;
    id
}

async fn items(peer: &Peer, session: &str, query: &str) -> Vec<Value> {
    let reply = peer.get(&format!("/sdk/GetContextInfo?sessionId={session}{query}")).await;
    let outer: Vec<Value> = serde_json::from_str(reply.data()["contextStatus"].as_str().unwrap()).unwrap();
    outer
        .iter()
        .flat_map(|entry| serde_json::from_str::<Vec<Value>>(entry["data"].as_str().unwrap()).unwrap())
        .collect()
}

/// Waits until no task is under way.
async fn settled(peer: &Peer, session: &str, query: &str) -> Vec<Value> {
    for _ in 0..2_000 {
        let items = items(peer, session, query).await;
        if items.iter().all(|item| item["status"] != "InProgress") {
            return items;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("a synchronisation does not end");
}

async fn sync(peer: &Peer, session: &str, query: &str) -> Vec<Value> {
    peer.post(&format!("/sdk/SyncContext?sessionId={session}{query}"), json!({})).await.data();
    settled(peer, session, query.split("&mode").next().unwrap()).await
}

async fn run(peer: &Peer, session: &str, command: &str) -> String {
    let (is_error, text) = peer.shell(session, command).await.tool();
    let output: Value = serde_json::from_str(&text).unwrap();
    assert!(!is_error, "{command}: {text}");
    output["stdout"].as_str().unwrap().to_owned()
}

async fn release(peer: &Peer, session: &str) {
    peer.post("/mcp/releaseSession", json!({"sessionId": session})).await.data();
}

async fn files(peer: &Peer, context: &str, folder: &str) -> Vec<String> {
    let query = format!("contextId={context}&parentFolderPath={}", encoded(folder));
    let reply = peer.post(&format!("/sdk/DescribeContextFiles?{query}&pageNumber=1&pageSize=50"), json!({})).await;
    reply.data().as_array().unwrap().iter().map(|file| file["fileName"].as_str().unwrap().to_owned()).collect()
}

async fn url(peer: &Peer, kind: &str, context: &str, path: &str) -> String {
    let query = format!("contextId={context}&filePath={}", encoded(path));
    let reply = peer.post(&format!("/sdk/GetContextFile{kind}Url?{query}"), json!({})).await;
    assert!(reply.data()["expireTime"].as_i64().unwrap() > 1_600_000_000);
    reply.data()["url"].as_str().unwrap().to_owned()
}

async fn in_both_modes<F: Future<Output = ()>>(test: impl Fn(Peer) -> F) {
    test(Peer::with(EmulatorOptions { isolation: Some(Isolation::Plain), ..EmulatorOptions::default() }).await).await;
    let peer = Peer::start().await;
    if peer.emulator.isolation() == Isolation::Namespace {
        test(peer).await;
    }
}

#[tokio::test]
async fn a_context_is_made_found_listed_renamed_and_deleted() {
    let peer = Peer::start().await;
    let id = context(&peer, "first one").await;
    assert_eq!(context(&peer, "first one").await, id);
    let reply = peer.get(&format!("/sdk/GetContext?id={id}&allowCreate=false")).await;
    assert_eq!((&reply.data()["name"], &reply.data()["state"]), (&json!("first one"), &json!("available")));
    for name in ["b", "c"] {
        context(&peer, name).await;
    }
    let reply = peer.get("/sdk/ListContexts?maxResults=2").await;
    assert_eq!((&reply.body["totalCount"], &reply.body["count"]), (&json!(3), &json!(3)));
    assert_eq!(reply.data()[0]["name"], "c");
    let token = reply.body["nextToken"].as_str().unwrap();
    let reply = peer.get(&format!("/sdk/ListContexts?maxResults=2&nextToken={token}")).await;
    assert_eq!((&reply.data()[0]["id"], &reply.body["nextToken"]), (&json!(id), &json!("")));

    peer.post(&format!("/sdk/ModifyContext?id={id}&name=new"), json!({})).await.data();
    assert_eq!(context(&peer, "new").await, id);
    peer.post(&format!("/sdk/ModifyContext?id={id}&name=b"), json!({})).await.failed(400, "InvalidParameter");
    peer.post(&format!("/sdk/DeleteContext?id={id}"), json!({})).await.data();
    let gone = peer.get(&format!("/sdk/GetContext?id={id}&allowCreate=false")).await;
    assert!(gone.failed(400, NO_CONTEXT).contains(&id));
    for path in ["DeleteContext", "ClearContext"] {
        peer.post(&format!("/sdk/{path}?id={id}"), json!({})).await.failed(400, NO_CONTEXT);
    }
    peer.get("/sdk/GetContext?name=none&allowCreate=false").await.failed(400, NO_CONTEXT);
    peer.get("/sdk/GetContext?allowCreate=true").await.failed(400, "InvalidParameter");
}

#[tokio::test]
async fn files_of_a_context_go_in_and_out_through_urls() {
    let peer = Peer::start().await;
    let (id, http) = (context(&peer, "a").await, http());
    let put = url(&peer, "Upload", &id, "/tmp/ü x/one.bin").await;
    let body: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    let reply = http.put(&put).body(body.clone()).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let tag = reply.headers()["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.len() == 34, "{tag}");
    assert_eq!(files(&peer, &id, "/tmp/ü x").await, ["one.bin"]);
    assert_eq!(files(&peer, &id, "").await, ["tmp"]);

    let get = url(&peer, "Download", &id, "/tmp/ü x/one.bin").await;
    let reply = http.get(&get).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.content_length()), (200, Some(700_000)));
    assert_eq!(reply.headers()["etag"], tag);
    assert_eq!(reply.bytes().await.unwrap(), body);
    let reply = http.get(&get).header("range", "bytes=300000-300009").send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.content_length()), (206, Some(10)));
    assert_eq!(reply.headers()["content-range"], "bytes 300000-300009/700000");
    assert_eq!(reply.bytes().await.unwrap(), &body[300_000..300_010]);
    let reply = http.get(&get).header("range", "bytes=700000-").send().await.unwrap();
    assert_eq!(reply.status(), 416);
    let reply = http.head(&get).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers()["content-length"].to_str().unwrap()), (200, "700000"));

    let query = format!("contextId={id}&filePath={}", encoded("/tmp/ü x/one.bin"));
    peer.post(&format!("/sdk/DeleteContextFile?{query}"), json!({})).await.data();
    peer.post(&format!("/sdk/DeleteContextFile?{query}"), json!({})).await.failed(400, "InvalidContextFile.NotFound");
    assert_eq!(http.get(&get).send().await.unwrap().status(), 404);
    assert_eq!(files(&peer, &id, "/tmp").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_url_is_good_for_what_it_was_made_for_and_for_an_hour() {
    let peer = Peer::start().await;
    let (id, http) = (context(&peer, "a").await, http());
    let put = url(&peer, "Upload", &id, "/a").await;
    assert_eq!(http.put(&put).header("content-type", "text/plain").body("x").send().await.unwrap().status(), 200);
    let get = url(&peer, "Download", &id, "/a").await;
    for (method, url) in [
        (Method::GET, put.clone()),
        (Method::PUT, get.clone()),
        (Method::GET, get.replace("/a?", "/b?")),
        (Method::GET, get.replace("expires=1", "expires=2")),
        (Method::GET, get.split('?').next().unwrap().to_owned()),
        (Method::GET, get.split("token=").next().unwrap().to_owned() + "token=0"),
    ] {
        let reply = peer.send(method, &url, Vec::new(), &[]).await;
        reply.failed(403, "SignatureDoesNotMatch");
    }
    peer.advance(3_000).await;
    assert_eq!(http.get(&get).send().await.unwrap().status(), 200);
    peer.advance(600).await;
    peer.send(Method::GET, &get, Vec::new(), &[]).await.failed(403, "AccessDenied");
    assert!(peer.emulator.journal().iter().all(|entry| !format!("{entry:?}").contains("token=")));
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_no_object() {
    use tokio::io::AsyncWriteExt;
    let peer = Peer::start().await;
    let id = context(&peer, "a").await;
    let put = url(&peer, "Upload", &id, "/a").await;
    let address = peer.emulator.url().trim_start_matches("http://").to_owned();
    let target = put.trim_start_matches(peer.emulator.url()).to_owned();
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!("PUT {target} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 100\r\n\r\nonly this");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    crate::support::until("the request is over", || {
        peer.emulator.journal().iter().any(|entry| entry.operation == "putObject" && !entry.success)
    })
    .await;
    assert_eq!(files(&peer, &id, "/").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_session_leaves_in_a_mount_is_there_for_the_next_and_for_no_other_context() {
    in_both_modes(async |peer: Peer| {
        let (id, other) = (context(&peer, "a").await, context(&peer, "b").await);
        let path = place("keep");
        let first = session_with(&peer, &[mount(&id, &path, &json!({}))]).await;
        let make = format!(
            "cd {path} && mkdir -p d/empty && echo one > one && echo two > d/two && chmod 755 one && ln -s one link"
        );
        run(&peer, &first, &make).await;
        release(&peer, &first).await;
        assert!(!std::path::Path::new(&path).exists(), "nothing is left on this machine");
        assert_eq!(files(&peer, &id, &path).await, ["d", "link", "one"]);

        let second = session_with(&peer, &[mount(&id, &path, &json!({}))]).await;
        let seen =
            run(&peer, &second, &format!("cd {path} && cat link d/two && ls d && stat -c %a one && rm one link")).await;
        assert_eq!(seen, "one\ntwo\nempty\ntwo\n755\n");
        release(&peer, &second).await;
        assert_eq!(files(&peer, &id, &path).await, ["d"], "what was deleted is gone");

        let third = session_with(&peer, &[mount(&other, &path, &json!({}))]).await;
        assert_eq!(run(&peer, &third, &format!("ls -A {path}")).await, "");
        release(&peer, &third).await;
    })
    .await;
}

#[tokio::test]
async fn a_session_deletes_what_it_saw_and_not_what_another_has_stored_meanwhile() {
    let peer = Peer::start().await;
    if peer.emulator.isolation() == Isolation::Plain {
        return; // There two sessions can't mount at one path.
    }
    let id = context(&peer, "a").await;
    let path = place("both");
    let one = session_with(&peer, &[mount(&id, &path, &json!({}))]).await;
    let other = session_with(&peer, &[mount(&id, &path, &json!({}))]).await;
    run(&peer, &one, &format!("cd {path} && touch from-one gone")).await;
    sync(&peer, &one, "").await;
    run(&peer, &other, &format!("touch {path}/from-other")).await;
    sync(&peer, &other, "").await;
    run(&peer, &one, &format!("rm {path}/gone")).await;
    release(&peer, &one).await;
    release(&peer, &other).await;
    assert_eq!(files(&peer, &id, &path).await, ["from-one", "from-other"]);
}

#[tokio::test]
async fn a_session_stores_only_what_it_has_changed_whatever_another_has_stored_meanwhile() {
    in_both_modes(async |peer: Peer| {
        for mode in ["File", "Archive"] {
            let id = context(&peer, mode).await;
            // With plain isolation two sessions can't mount at one path.
            let (path, elsewhere) = (place("stored"), place("copy"));
            let policy = json!({"uploadPolicy": {"uploadMode": mode}, "mappingPolicy": {"path": path}});
            let first = session_with(&peer, &[mount(&id, &path, &policy)]).await;
            let make =
                "mkdir d && echo old > x && echo old > y && echo old > touched && echo old > gone && ln -s x link";
            run(&peer, &first, &format!("cd {path} && {make}")).await;
            release(&peer, &first).await;

            let one = session_with(&peer, &[mount(&id, &path, &policy)]).await;
            let other = session_with(&peer, &[mount(&id, &elsewhere, &policy)]).await;
            let change =
                "echo new > x && echo newer > y && echo new > touched && rm -r gone d && ln -sfn y link && echo b > b";
            run(&peer, &other, &format!("cd {elsewhere} && {change}")).await;
            release(&peer, &other).await;
            // New facts of the same content are no change.
            run(&peer, &one, &format!("cd {path} && echo mine > y && echo a > a && ln touched z && rm z")).await;
            release(&peer, &one).await;

            let last = session_with(&peer, &[mount(&id, &path, &policy)]).await;
            let seen =
                run(&peer, &last, &format!("cd {path} && head a b touched x y && readlink link && ls | xargs")).await;
            let files = "==> a <==\na\n\n==> b <==\nb\n\n==> touched <==\nnew\n\n==> x <==\nnew\n\n==> y <==\nmine\n";
            assert_eq!(seen, format!("{files}y\na b link touched x y\n"), "{mode}");
            release(&peer, &last).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_brought_before_a_download_failed_is_not_stored_as_the_sessions_own() {
    let peer = Peer::start().await;
    let (id, http) = (context(&peer, "a").await, http());
    let path = place("half");
    let put = async |file: &str, content: &'static str| {
        let url = url(&peer, "Upload", &id, &format!("{path}/{file}")).await;
        http.put(&url).body(content).send().await.unwrap();
    };
    // No directory has a file and other files under the same name.
    for file in ["a", "b", "b/c"] {
        put(file, "old").await;
    }
    let session = session_with(&peer, &[mount(&id, &path, &json!({}))]).await;
    assert_eq!(items(&peer, &session, "").await[0]["status"], "Failed");
    assert_eq!(run(&peer, &session, &format!("cd {path} && cat a && rm b && echo > own")).await, "old");
    put("a", "new").await;
    release(&peer, &session).await;
    let get = url(&peer, "Download", &id, &format!("{path}/a")).await;
    assert_eq!(http.get(&get).send().await.unwrap().text().await.unwrap(), "new");
    assert_eq!(files(&peer, &id, &path).await, ["a", "b", "own"]);
    assert_eq!(files(&peer, &id, &format!("{path}/b")).await, ["c"]);
}

#[tokio::test]
async fn a_deletion_counts_once_and_not_against_what_is_stored_later() {
    let peer = Peer::start().await;
    for mode in ["File", "Archive"] {
        let id = context(&peer, mode).await;
        let (path, elsewhere) = (place("once"), place("again"));
        let policy = json!({"uploadPolicy": {"uploadMode": mode}, "mappingPolicy": {"path": path}});
        let one = session_with(&peer, &[mount(&id, &path, &policy)]).await;
        run(&peer, &one, &format!("cd {path} && echo 1 > x && echo 1 > y")).await;
        sync(&peer, &one, "").await;
        run(&peer, &one, &format!("rm {path}/x")).await;
        sync(&peer, &one, "").await;
        let other = session_with(&peer, &[mount(&id, &elsewhere, &policy)]).await;
        assert_eq!(run(&peer, &other, &format!("ls {elsewhere}")).await, "y\n", "{mode}");
        run(&peer, &other, &format!("echo 2 > {elsewhere}/x")).await;
        release(&peer, &other).await;
        release(&peer, &one).await;
        let last = session_with(&peer, &[mount(&id, &path, &policy)]).await;
        assert_eq!(run(&peer, &last, &format!("cd {path} && cat x y")).await, "2\n1\n", "{mode}");
        release(&peer, &last).await;
    }
}

#[tokio::test]
async fn a_lifecycle_counts_from_when_something_was_last_written_and_not_from_the_last_mount() {
    let peer = Peer::start().await;
    for mode in ["File", "Archive"] {
        let id = context(&peer, mode).await;
        let path = place("life");
        let day = json!({"uploadPolicy": {"uploadMode": mode}, "recyclePolicy": {"lifecycle": "Lifecycle_1Day"}});
        let session = session_with(&peer, &[mount(&id, &path, &day)]).await;
        run(&peer, &session, &format!("cd {path} && mkdir d && touch x d/y && ln -s x link")).await;
        release(&peer, &session).await;
        peer.advance(72_000).await;
        let session = session_with(&peer, &[mount(&id, &path, &day)]).await;
        assert_eq!(run(&peer, &session, &format!("ls {path}")).await, "d\nlink\nx\n");
        if mode == "File" {
            run(&peer, &session, &format!("echo 2 > {path}/d/y")).await;
        }
        release(&peer, &session).await;
        peer.advance(72_000).await;
        let left = if mode == "File" { vec!["d"] } else { vec![] };
        assert_eq!(files(&peer, &id, &path).await, left, "{mode}");
    }
}

#[tokio::test]
async fn an_archive_keeps_what_the_session_was_not_given() {
    in_both_modes(async |peer: Peer| {
        let id = context(&peer, "a").await;
        let path = place("whole");
        let name = path.trim_start_matches("/tmp/").to_owned() + ".tar";
        let policy = |more: Value| {
            let mut policy = json!({"uploadPolicy": {"uploadMode": "Archive"}});
            policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            policy
        };
        let works = async |more: Value, command: &str| {
            let session = session_with(&peer, &[mount(&id, &path, &policy(more))]).await;
            let seen = run(&peer, &session, &format!("cd {path} && {command}")).await;
            let items = sync(&peer, &session, "").await;
            assert!(items.iter().all(|item| item["status"] == "Success"), "{items:?}");
            release(&peer, &session).await;
            seen
        };
        let list = "find . -type f | sort | xargs";
        let long = "n".repeat(120);
        works(json!({}), &format!("mkdir -p a b && echo 1 > a/x && echo 1 > b/y && echo 1 > b/{long}")).await;

        let packed = json!({"extractPolicy": {"extract": false}});
        assert_eq!(works(packed, "ls && echo 2 > c").await, format!("{name}\n"));
        assert_eq!(
            works(json!({"downloadPolicy": {"autoDownload": false}}), &format!("{list} && echo 3 > d")).await,
            "\n"
        );
        let narrow = json!({"bwList": {"whiteLists": [{"path": "/a"}]}});
        assert_eq!(works(narrow, &format!("{list} && echo 4 > a/z && rm a/x && echo 4 > e")).await, "./a/x\n");
        let keeping = json!({"deletePolicy": {"syncLocalFile": false}});
        let all = format!("./a/z ./b/{long} ./b/y ./c ./d\n");
        assert_eq!(works(keeping, &format!("{list} && rm -r b && echo 5 > a/z")).await, all);
        assert_eq!(works(json!({}), &format!("{list} && cat a/z && rm b/{long} && rm a/z")).await, format!("{all}5\n"));
        assert_eq!(works(json!({}), list).await, "./b/y ./c ./d\n");
        assert_eq!(files(&peer, &id, &path).await.join(" "), name);

        // Given as it is, it is a file that can be deleted, but not be changed: the next archive would take its place.
        let session =
            session_with(&peer, &[mount(&id, &path, &policy(json!({"extractPolicy": {"extract": false}})))]).await;
        run(&peer, &session, &format!("cd {path} && echo >> {name}")).await;
        let items = sync(&peer, &session, "").await;
        let upload = items.iter().find(|item| item["taskType"] == "upload").unwrap();
        assert!(upload["errorMessage"].as_str().unwrap().contains("was changed in the session"), "{upload}");
        release(&peer, &session).await;
        works(json!({"extractPolicy": {"extract": false}}), &format!("rm {name} && echo 6 > f")).await;
        assert_eq!(works(json!({}), list).await, "./f\n");
        works(json!({"extractPolicy": {"extract": false}}), &format!("rm {name}")).await;
        assert_eq!(files(&peer, &id, &path).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn an_archive_takes_in_files_that_were_there_and_leaves_those_that_came_meanwhile() {
    in_both_modes(async |peer: Peer| {
        let (id, http) = (context(&peer, "a").await, http());
        let path = place("single");
        let name = path.trim_start_matches("/tmp/").to_owned() + ".tar";
        let put = async |file: &str, content: &'static str| {
            let url = url(&peer, "Upload", &id, &format!("{path}/{file}")).await;
            http.put(&url).body(content).send().await.unwrap();
        };
        let archive = json!({"uploadPolicy": {"uploadMode": "Archive"}});
        put("before", "1").await;
        put("again", "1").await;
        let session = session_with(&peer, &[mount(&id, &path, &archive)]).await;
        run(&peer, &session, &format!("cd {path} && cat before again && echo > own")).await;
        put("again", "2").await;
        put("late", "2").await;
        release(&peer, &session).await;
        assert_eq!(files(&peer, &id, &path).await, [name.as_str(), "late"]);

        let session = session_with(&peer, &[mount(&id, &path, &archive)]).await;
        assert_eq!(run(&peer, &session, &format!("cd {path} && cat again before late && ls own")).await, "212own\n");
        release(&peer, &session).await;

        // A file of that name was not made by the mode, and what it holds was not unpacked.
        let other = context(&peer, "b").await;
        let url = url(&peer, "Upload", &other, &format!("{path}/{name}")).await;
        http.put(&url).body("given").send().await.unwrap();
        let session = session_with(&peer, &[mount(&other, &path, &archive)]).await;
        run(&peer, &session, &format!("echo > {path}/own")).await;
        let items = sync(&peer, &session, "").await;
        let upload = items.iter().find(|item| item["taskType"] == "upload").unwrap();
        assert!(upload["errorMessage"].as_str().unwrap().contains(&name), "{upload}");
        release(&peer, &session).await;
        let url = crate::contexts::url(&peer, "Download", &other, &format!("{path}/{name}")).await;
        assert_eq!(http.get(&url).send().await.unwrap().text().await.unwrap(), "given");
    })
    .await;
}

#[tokio::test]
async fn an_archive_can_be_unpacked_when_a_directory_has_become_a_file_and_the_reverse() {
    let peer = Peer::start().await;
    let id = context(&peer, "a").await;
    let path = place("kinds");
    let archive = json!({"uploadPolicy": {"uploadMode": "Archive"}});
    let keeping = json!({"uploadPolicy": {"uploadMode": "Archive"}, "deletePolicy": {"syncLocalFile": false}});
    let begin = async |policy: &Value| session_with(&peer, &[mount(&id, &path, policy)]).await;
    let end = async |session: &str, command: &str| {
        let items = items(&peer, session, "").await;
        assert!(items.iter().all(|item| item["status"] == "Success"), "{items:?}");
        let seen = run(&peer, session, &format!("cd {path} && {command}")).await;
        release(&peer, session).await;
        seen
    };
    end(&begin(&archive).await, "mkdir d && echo 1 > d/x").await;
    end(&begin(&keeping).await, "rm -r d && echo 2 > d").await;
    assert_eq!(end(&begin(&keeping).await, "cat d && rm d && mkdir d && echo 3 > d/x").await, "2\n");
    assert_eq!(end(&begin(&archive).await, "cat d/x").await, "3\n");
}

#[tokio::test]
async fn a_mode_that_follows_another_loses_nothing() {
    let peer = Peer::start().await;
    let id = context(&peer, "a").await;
    let path = place("modes");
    let works = async |policy: Value, command: &str| {
        let session = session_with(&peer, &[mount(&id, &path, &policy)]).await;
        let seen = run(&peer, &session, &format!("cd {path} && {command}")).await;
        release(&peer, &session).await;
        seen
    };
    let archive = json!({"uploadPolicy": {"uploadMode": "Archive"}});
    let listed = "ls | xargs";
    works(archive.clone(), "touch a b c").await;
    let without_b = json!({"bwList": {"whiteLists": [{"path": "", "excludePaths": ["/b"]}]}});
    assert_eq!(works(without_b, &format!("{listed} && touch d")).await, "a c\n");
    assert_eq!(works(json!({"extractPolicy": {"extract": false}}), "touch e").await, "");
    assert_eq!(works(json!({}), &format!("{listed} && rm a")).await, "a b c d e\n");
    assert_eq!(files(&peer, &id, &path).await, ["b", "c", "d", "e"]);
    assert_eq!(works(archive.clone(), &format!("{listed} && touch f && rm b")).await, "b c d e\n");
    assert_eq!(files(&peer, &id, &path).await.len(), 1);
    assert_eq!(works(archive, listed).await, "c d e f\n");
}

#[tokio::test]
async fn what_was_unpacked_and_changed_stays_changed() {
    let peer = Peer::start().await;
    for mode in ["File", "Archive"] {
        let (id, http) = (context(&peer, mode).await, http());
        let (path, elsewhere) = (place("given"), place("given"));
        let policy = json!({"uploadPolicy": {"uploadMode": mode}, "mappingPolicy": {"path": path}});
        let session = session_with(&peer, &[mount(&id, &elsewhere, &json!({}))]).await;
        let make = "import zipfile as z; f = z.ZipFile('g.zip', 'w'); f.writestr('x', 'zip'); f.writestr('y', 'zip')";
        run(&peer, &session, &format!("cd {elsewhere} && python3 -c \"{make}; f.close()\"")).await;
        release(&peer, &session).await;
        let get = url(&peer, "Download", &id, &format!("{elsewhere}/g.zip")).await;
        let content = http.get(&get).send().await.unwrap().bytes().await.unwrap();
        let put = url(&peer, "Upload", &id, &format!("{path}/g.zip")).await;
        http.put(&put).body(content).send().await.unwrap();

        let one = session_with(&peer, &[mount(&id, &path, &policy)]).await;
        let other = session_with(&peer, &[mount(&id, &elsewhere, &policy)]).await;
        run(&peer, &other, &format!("printf new > {elsewhere}/g/x")).await;
        release(&peer, &other).await;
        release(&peer, &one).await;
        for _ in 0..2 {
            let last = session_with(&peer, &[mount(&id, &path, &policy)]).await;
            assert_eq!(run(&peer, &last, &format!("cd {path} && cat g/x g/y && ls")).await, "newzipg\n", "{mode}");
            release(&peer, &last).await;
        }
    }
}

#[tokio::test]
async fn an_archive_is_one_object_that_can_be_fetched_and_is_unpacked_at_the_next_mount() {
    in_both_modes(async |peer: Peer| {
        let id = context(&peer, "a").await;
        let path = place("pack");
        let name = path.trim_start_matches("/tmp/").to_owned() + ".tar";
        let archive = json!({"uploadPolicy": {"uploadMode": "Archive"}});
        let first = session_with(&peer, &[mount(&id, &path, &archive)]).await;
        run(&peer, &first, &format!("cd {path} && mkdir d && seq 100000 > d/many && ln -s d/many link")).await;
        release(&peer, &first).await;
        assert_eq!(files(&peer, &id, &path).await.join(" "), name);
        let get = url(&peer, "Download", &id, &format!("{path}/{name}")).await;
        assert!(http().get(&get).send().await.unwrap().content_length().unwrap() > 500_000);

        let second = session_with(&peer, &[mount(&id, &path, &archive)]).await;
        assert_eq!(run(&peer, &second, &format!("cd {path} && tail -n 1 link && ls")).await, "100000\nd\nlink\n");
        release(&peer, &second).await;

        let packed = json!({"uploadPolicy": {"autoUpload": false}, "extractPolicy": {"extract": false}});
        let third = session_with(&peer, &[mount(&id, &path, &packed)]).await;
        assert_eq!(
            run(&peer, &third, &format!("cd {path} && ls && tar -tf {name} | sort | head -n 2")).await,
            format!("{name}\nd/\nd/many\n")
        );
        release(&peer, &third).await;
    })
    .await;
}

#[tokio::test]
async fn a_zip_file_that_was_put_there_is_unpacked_and_one_that_a_session_has_stored_is_not() {
    in_both_modes(async |peer: Peer| {
        let id = context(&peer, "a").await;
        let path = place("zip");
        let first = session_with(&peer, &[mount(&id, &path, &json!({}))]).await;
        let make = "import zipfile as z; f = z.ZipFile('own.zip', 'w', z.ZIP_DEFLATED); \
                    f.writestr('d/x', 'x' * 9999); f.writestr('../out', 'y'); f.close()";
        run(&peer, &first, &format!("cd {path} && python3 -c \"{make}\"")).await;
        release(&peer, &first).await;
        let get = url(&peer, "Download", &id, &format!("{path}/own.zip")).await;
        let content = http().get(&get).send().await.unwrap().bytes().await.unwrap();
        let put = url(&peer, "Upload", &id, &format!("{path}/sub/given.ZIP")).await;
        http().put(&put).body(content).send().await.unwrap();

        let listed = async |extract: Value| {
            let session = session_with(&peer, &[mount(&id, &path, &json!({"extractPolicy": extract}))]).await;
            let found = run(&peer, &session, &format!("cd {path} && find . -type f -size -90k | sort")).await;
            // What was unpacked is the session's, and would be stored beside the file.
            run(&peer, &session, &format!("cd {path}/sub && rm -rf given d")).await;
            release(&peer, &session).await;
            assert_eq!(files(&peer, &id, &path).await, ["own.zip", "sub"]);
            found.replace("./", "").trim().replace('\n', " ")
        };
        assert_eq!(listed(json!({})).await, "own.zip sub/given/d/x");
        assert_eq!(files(&peer, &id, &format!("{path}/sub")).await, ["given.ZIP"]);
        assert_eq!(listed(json!({"extractToCurrentFolder": true})).await, "own.zip sub/d/x");
        assert_eq!(listed(json!({"deleteSrcFile": false})).await, "own.zip sub/given.ZIP sub/given/d/x");
        assert_eq!(listed(json!({"extract": false})).await, "own.zip sub/given.ZIP");
        // A session that was given the file and has not changed it has not stored it.
        assert_eq!(listed(json!({})).await, "own.zip sub/given/d/x");
    })
    .await;
}

#[tokio::test]
async fn sync_stores_and_brings_back_while_the_session_lives() {
    let peer = Peer::start().await;
    let id = context(&peer, "a").await;
    let path = place("sync");
    let session = session_with(&peer, &[mount(&id, &path, &json!({"uploadPolicy": {"autoUpload": false}}))]).await;
    run(&peer, &session, &format!("cd {path} && mkdir s && echo 1 > a && echo 1 > s/b")).await;
    let items = sync(&peer, &session, "").await;
    let of = |kind: &str| items.iter().find(|item| item["taskType"] == kind).unwrap();
    assert_eq!((&of("upload")["status"], &of("upload")["path"]), (&json!("Success"), &json!(path)));
    assert!(of("upload")["finishTime"].as_i64() >= of("upload")["startTime"].as_i64());

    run(&peer, &session, &format!("cd {path} && echo 2 > a && echo 2 > s/b")).await;
    let below = encoded(&format!("{path}/s"));
    let items = sync(&peer, &session, &format!("&contextId={id}&path={below}&mode=download")).await;
    assert_eq!((items.len(), &items[0]["status"]), (1, &json!("Success")));
    assert_eq!(run(&peer, &session, &format!("cat {path}/a {path}/s/b")).await, "2\n1\n");
    let items = sync(&peer, &session, "&mode=download").await;
    assert!(items.iter().all(|item| item["status"] == "Success"), "{items:?}");
    assert_eq!(run(&peer, &session, &format!("cat {path}/a")).await, "1\n");

    let bad = |query: String| {
        let peer = &peer;
        let session = &session;
        async move { peer.post(&format!("/sdk/SyncContext?sessionId={session}{query}"), json!({})).await }
    };
    bad(format!("&contextId={id}")).await.failed(400, "InvalidParameter");
    bad(format!("&contextId={id}&path=/elsewhere")).await.failed(400, "InvalidParameter");
    bad("&mode=sideways".to_owned()).await.failed(400, "InvalidParameter");
    bad(format!("&contextId=none&path={}", encoded(&path))).await.failed(400, NO_CONTEXT);

    peer.post(&format!("/sdk/DeleteContext?id={id}"), json!({})).await.data();
    let items = sync(&peer, &session, "").await;
    let upload = items.iter().find(|item| item["taskType"] == "upload").unwrap();
    assert_eq!(upload["status"], "Failed");
    assert!(upload["errorMessage"].as_str().unwrap().contains("Context not found"));
    release(&peer, &session).await;
}

#[tokio::test]
async fn policies_choose_what_is_stored_from_where_and_for_how_long() {
    let peer = Peer::start().await;
    let id = context(&peer, "a").await;
    let (path, elsewhere) = (place("policy"), place("mapped"));
    let lists = json!({"bwList": {"whiteLists": [{"path": "/src", "excludePaths": ["/out"]}]},
        "recyclePolicy": {"lifecycle": "Lifecycle_1Day", "paths": ["/src/logs"]},
        "deletePolicy": {"syncLocalFile": false}});
    let first = session_with(&peer, &[mount(&id, &path, &lists)]).await;
    let make = format!("cd {path} && mkdir -p src/out src/logs && touch src/a src/out/b src/logs/c d");
    run(&peer, &first, &make).await;
    release(&peer, &first).await;
    assert_eq!(files(&peer, &id, &path).await, ["src"]);
    assert_eq!(files(&peer, &id, &format!("{path}/src")).await, ["a", "logs"]);

    let second = session_with(&peer, &[mount(&id, &path, &lists)]).await;
    run(&peer, &second, &format!("rm {path}/src/a")).await;
    release(&peer, &second).await;
    assert_eq!(files(&peer, &id, &format!("{path}/src")).await, ["a", "logs"], "deletions are not carried over");

    let mapped = json!({"mappingPolicy": {"path": path}});
    let third = session_with(&peer, &[mount(&id, &elsewhere, &mapped)]).await;
    assert_eq!(
        run(&peer, &third, &format!("cd {elsewhere} && find . -type f | sort")).await,
        "./src/a\n./src/logs/c\n"
    );
    release(&peer, &third).await;

    peer.advance(86_401).await;
    assert_eq!(files(&peer, &id, &format!("{path}/src/logs")).await, Vec::<String>::new());
    assert_eq!(files(&peer, &id, &format!("{path}/src")).await, ["a"]);
}

#[tokio::test]
async fn a_mount_that_cannot_be_is_refused_and_leaves_no_session() {
    let peer = Peer::with(EmulatorOptions { isolation: Some(Isolation::Plain), ..EmulatorOptions::default() }).await;
    let id = context(&peer, "a").await;
    let create = |mounts: Value| {
        let peer = &peer;
        async move {
            let body = json!({"persistenceDataList": mounts});
            peer.post("/mcp/createSession?imageId=agb-code-space-1", body).await
        }
    };
    let message = create(json!([{"contextId": id, "path": "/home/wuying/x"}])).await;
    assert!(message.failed(400, "InvalidParameter").contains("below /tmp only"), "{message:?}");
    create(json!([{"contextId": "none", "path": "/tmp/x"}])).await.failed(400, NO_CONTEXT);
    create(json!([{"contextId": id, "path": "tmp"}])).await.failed(400, "InvalidParameter");
    create(json!("no list")).await.failed(400, "InvalidParameter");

    // What lies on this machine already is neither taken nor stored nor removed.
    let full = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::write(full.path().join("mine"), "x").unwrap();
    let path = full.path().to_str().unwrap();
    let message = create(json!([{"contextId": id, "path": path}])).await;
    assert!(message.failed(400, "InvalidParameter").contains("not empty"), "{message:?}");
    assert!(full.path().join("mine").exists());
    assert_eq!(files(&peer, &id, path).await, Vec::<String>::new());

    let taken = place("taken");
    let first = session_with(&peer, &[mount(&id, &taken, &json!({}))]).await;
    let message = create(json!([{"contextId": id, "path": taken}])).await;
    assert!(message.failed(400, "InvalidParameter").contains(&first), "{message:?}");
    release(&peer, &first).await;
    assert!(peer.get("/sdk/ListSession").await.data().as_array().unwrap().is_empty());
}

#[tokio::test]
async fn files_go_to_a_session_and_come_from_it_through_its_internal_context() {
    in_both_modes(async |peer: Peer| {
        let session = peer.session(300).await;
        let query = format!("sessionId={session}&contextTypes={}", encoded("[\"file_transfer\"]"));
        let reply = peer.post(&format!("/sdk/GetAndLoadInternalContext?{query}"), json!({})).await;
        let item = reply.data()[0].clone();
        assert_eq!(item["contextType"], "file_transfer");
        let (id, directory) = (item["contextId"].as_str().unwrap(), item["contextPath"].as_str().unwrap());
        let http = http();
        let outside = place("transfer");
        for directory in [directory, outside.as_str()] {
            let file = format!("{directory}/in.bin");
            let put = url(&peer, "Upload", id, &file).await;
            assert_eq!(http.put(&put).body("hello").send().await.unwrap().status(), 200);
            let at = format!("&contextId={id}&path={}", encoded(directory));
            let items = sync(&peer, &session, &format!("{at}&mode=download")).await;
            assert_eq!((&items[0]["status"], &items[0]["path"]), (&json!("Success"), &json!(directory)));
            assert_eq!(run(&peer, &session, &format!("cat {file} && echo changed > {file}")).await, "hello");

            let items = sync(&peer, &session, &format!("{at}&mode=upload")).await;
            assert!(items.iter().all(|item| item["status"] == "Success"), "{items:?}");
            let get = url(&peer, "Download", id, &file).await;
            assert_eq!(http.get(&get).send().await.unwrap().text().await.unwrap(), "changed\n");
        }
        let at = format!("&contextId={id}&path={}", encoded("/tmp/agb-test-none"));
        let items = sync(&peer, &session, &format!("{at}&mode=upload")).await;
        assert_eq!(items[0]["status"], "Failed");
        assert!(items[0]["errorMessage"].as_str().unwrap().contains("not found"), "{items:?}");
        assert_eq!(peer.get("/sdk/ListContexts").await.body["count"], 0, "it is hidden");
        release(&peer, &session).await;
        assert!(!std::path::Path::new(&outside).exists());
        peer.get(&format!("/sdk/GetContext?id={id}&allowCreate=false")).await.failed(400, NO_CONTEXT);
    })
    .await;
}

#[tokio::test]
async fn transfers_of_one_directory_do_not_disturb_each_other() {
    let peer = Peer::start().await;
    let session = peer.session(300).await;
    let reply = peer.post(&format!("/sdk/GetAndLoadInternalContext?sessionId={session}"), json!({})).await;
    let item = reply.data()[0].clone();
    let (id, directory) = (item["contextId"].as_str().unwrap(), item["contextPath"].as_str().unwrap());
    let http = http();
    let at = format!("&contextId={id}&path={}", encoded(directory));
    let offered = async || sync(&peer, &session, &format!("{at}&mode=upload")).await;
    let content = async |url: String| {
        let reply = http.get(&url).send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    run(&peer, &session, &format!("cd {directory} && echo a1 > a && echo b1 > b")).await;

    // One transfer has its address when others begin.
    offered().await;
    let first = url(&peer, "Download", id, &format!("{directory}/a")).await;
    run(&peer, &session, &format!("echo a2 > {directory}/a")).await;
    offered().await;
    assert_eq!(content(first.clone()).await, (200, "a1\n".to_owned()));
    offered().await;
    assert_eq!(content(first).await, (200, "a1\n".to_owned()));
    // A later one gets what is there now.
    let second = url(&peer, "Download", id, &format!("{directory}/a")).await;
    assert_eq!(content(second).await, (200, "a2\n".to_owned()));

    // An upload waits to be fetched when a download begins.
    let put = url(&peer, "Upload", id, &format!("{directory}/b")).await;
    assert_eq!(http.put(&put).body("b2").send().await.unwrap().status(), 200);
    offered().await;
    sync(&peer, &session, &format!("{at}&mode=download")).await;
    assert_eq!(run(&peer, &session, &format!("cat {directory}/b")).await, "b2");
    release(&peer, &session).await;
}

#[tokio::test]
async fn a_context_is_cleared_for_a_moment_and_can_be_used_again() {
    let peer = Peer::start().await;
    let (id, http) = (context(&peer, "a").await, http());
    let put = url(&peer, "Upload", &id, "/a").await;
    http.put(&put).body("x").send().await.unwrap();
    for _ in 0..2 {
        peer.post(&format!("/sdk/ClearContext?id={id}"), json!({})).await.data();
    }
    assert_eq!(files(&peer, &id, "/").await, Vec::<String>::new());
    peer.advance(1).await;
    let reply = peer.get(&format!("/sdk/GetContext?id={id}&allowCreate=false")).await;
    assert_eq!(reply.data()["state"], "available");
    assert_eq!(http.put(&put).body("y").send().await.unwrap().status(), 200);
    assert_eq!(files(&peer, &id, "/").await, ["a"]);
}
