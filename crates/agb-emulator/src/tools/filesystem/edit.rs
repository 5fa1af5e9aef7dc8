//! `edit_file`.

use std::path::Path;

use rustix::fs::{OFlags, SeekFrom, ftruncate, seek};
use serde_json::Value;

use super::Context;
use super::error::{FileError, shown};
use super::read::whole;
use super::write::write_all;
use crate::tools::ToolArgs;
use crate::tools::filesystem::{DONE, text};

/// Unchanged lines shown around a difference.
const CONTEXT_LINES: usize = 3;

/// Applies replacements in order; nothing is written unless all of them apply.
pub(super) fn edit_file(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    let path = context.view.path(text(args, "path"))?;
    let dry_run = args.get("dryRun").and_then(Value::as_bool).unwrap_or(false);
    let edits = args.get("edits").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // Two edits of one session at the same time would lose one of them.
    let _alone = context.memory.lock_edits();
    let access = if dry_run { OFlags::RDONLY } else { OFlags::RDWR };
    let file = context.view.open_file(&path, access)?;
    let before = String::from_utf8(whole(context, &path, &file)?)
        .map_err(|_| FileError::new(format!("Not UTF-8 text: {}", shown(&path))))?;
    let after = edited(&before, edits).map_err(|reason| FileError::new(format!("{}: {reason}", shown(&path))))?;
    if dry_run {
        return context.fitting(difference(&path, &before, &after));
    }
    if after != before {
        let failed = |errno| FileError::at(errno, &path);
        seek(&file, SeekFrom::Start(0)).map_err(failed)?;
        write_all(&file, after.as_bytes(), context.deadline, &path)?;
        ftruncate(&file, u64::try_from(after.len()).unwrap_or(u64::MAX)).map_err(failed)?;
    }
    Ok(DONE.to_owned())
}

/// The text after all edits: each replaces the first occurrence in what the ones before it left.
fn edited(before: &str, edits: &[Value]) -> Result<String, String> {
    let mut after = before.to_owned();
    for (index, edit) in edits.iter().enumerate() {
        let member = |name| edit.get(name).and_then(Value::as_str).unwrap_or_default();
        let (old, new) = (member("oldText"), member("newText"));
        if old.is_empty() {
            return Err(format!("edits[{index}].oldText must not be empty"));
        }
        let Some(at) = after.find(old) else {
            return Err(format!("edits[{index}].oldText was not found in the file, which is unchanged"));
        };
        after.replace_range(at..at + old.len(), new);
    }
    Ok(after)
}

/// A unified difference of one hunk; empty if there is none.
fn difference(path: &Path, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(one, other)| one == other).count();
    let head = same(&mut old.iter().zip(&new));
    let tail = same(&mut old.iter().skip(head).rev().zip(new.iter().skip(head).rev()));
    let first = head.saturating_sub(CONTEXT_LINES);
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let last = (old_end + CONTEXT_LINES).min(old.len());
    let path = path.display();
    let mut text = format!(
        "--- {path}\n+++ {path}\n@@ -{} +{} @@\n",
        hunk_range(first, last - first),
        hunk_range(first, new_end + (last - old_end) - first)
    );
    add_lines(&mut text, ' ', old.get(first..head));
    add_lines(&mut text, '-', old.get(head..old_end));
    add_lines(&mut text, '+', new.get(head..new_end));
    add_lines(&mut text, ' ', old.get(old_end..last));
    text
}

fn hunk_range(first: usize, count: usize) -> String {
    // An empty range is named by the line before it.
    format!("{},{count}", if count == 0 { first } else { first + 1 })
}

fn add_lines(text: &mut String, mark: char, lines: Option<&[&str]>) {
    for line in lines.unwrap_or_default() {
        text.push(mark);
        text.push_str(line);
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn edit(old: &str, new: &str) -> Value {
        json!({"oldText": old, "newText": new})
    }

    #[test]
    fn edits_apply_in_order_to_the_first_occurrence() {
        let edits = [edit("a", "b"), edit("b", "c"), edit("a", "d")];
        assert_eq!(edited("aab", &edits).expect("a text"), "cdb");
    }

    #[test]
    fn a_missing_or_empty_text_is_named() {
        let error = edited("abc", &[edit("a", "x"), edit("z", "y")]).expect_err("an error");
        assert!(error.contains("edits[1].oldText was not found"), "{error}");
        assert!(edited("abc", &[edit("", "y")]).expect_err("an error").contains("edits[0].oldText must not be empty"));
    }

    #[test]
    fn the_difference_is_a_unified_hunk_with_context() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
        let wanted = "--- /f\n+++ /f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n";
        assert_eq!(difference(Path::new("/f"), before, after), wanted);
        assert_eq!(difference(Path::new("/f"), before, before), "");
        let grown = difference(Path::new("/f"), "", "new");
        assert_eq!(grown, "--- /f\n+++ /f\n@@ -0,0 +1,1 @@\n+new\n\\ No newline at end of file\n");
    }

    proptest! {
        #[test]
        fn an_edit_replaces_exactly_the_first_occurrence(
            head in "[a-cä😀\n]{0,8}", old in "[a-cä😀\n]{1,3}", tail in "[a-cä😀\n]{0,8}", new in "[a-cx\n]{0,4}",
        ) {
            let before = format!("{head}{old}{tail}");
            let after = edited(&before, &[edit(&old, &new)]).expect("the text is there");
            let at = before.find(&old).expect("the text is there");
            prop_assert_eq!(&after[..at], &before[..at]);
            prop_assert_eq!(&after[at..at + new.len()], new.as_str());
            prop_assert_eq!(&after[at + new.len()..], &before[at + old.len()..]);
        }

        #[test]
        fn a_difference_holds_all_lines_of_both_texts_around_the_change(
            before in "[ab\n]{0,24}", after in "[ab\n]{0,24}",
        ) {
            let text = difference(Path::new("/f"), &before, &after);
            let lines = text.lines().skip(3).filter(|line| !line.starts_with('\\'));
            let (mut old, mut new) = (Vec::new(), Vec::new());
            for line in lines {
                if !line.starts_with('+') { old.push(&line[1..]); }
                if !line.starts_with('-') { new.push(&line[1..]); }
            }
            let has = |whole: &str, part: &[&str]| {
                let whole: Vec<&str> = whole.lines().collect();
                part.is_empty() || whole.windows(part.len()).any(|window| window == part)
            };
            prop_assert!(has(&before, &old) && has(&after, &new), "{}", text);
            prop_assert_eq!(text.is_empty(), before == after);
        }
    }
}
