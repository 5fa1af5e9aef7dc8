//! What a process has written, and how much of it an answer may carry.

/// What was written to a pipe, as text.
#[derive(Debug, PartialEq)]
pub(crate) struct Written {
    pub(crate) text: String,
    /// What did not get into the text.
    pub(super) dropped_bytes: usize,
    /// The limit that it was dropped for.
    pub(super) limit_bytes: usize,
}

impl Written {
    /// The text, with a note where it was cut.
    pub(crate) fn into_text(self) -> String {
        let Self { text, dropped_bytes, limit_bytes } = self;
        if dropped_bytes == 0 {
            return text;
        }
        text + &format!("\n[output cut at the limit of {limit_bytes} bytes; {dropped_bytes} bytes were dropped]\n")
    }

    fn cut_to(mut self, json_bytes: usize) -> Self {
        let length = cut(&self.text, json_bytes).len();
        self.dropped_bytes += self.text.len() - length;
        self.text.truncate(length);
        self
    }
}

/// The texts of two outputs that share a room of so many bytes of JSON, beside their notes. Each has half of it for sure,
/// and what the other leaves.
pub(crate) fn share(stdout: Written, stderr: Written, json_bytes: usize) -> (String, String) {
    let half = json_bytes / 2;
    let for_stdout = half.max(json_bytes.saturating_sub(json_len(&stderr.text)));
    let for_stderr = half.max(json_bytes.saturating_sub(json_len(&stdout.text)));
    (stdout.cut_to(for_stdout).into_text(), stderr.cut_to(for_stderr).into_text())
}

/// As much of a text, from its beginning, as takes at most so many bytes in a JSON string.
pub(crate) fn cut(text: &str, json_bytes: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find_map(|(at, character)| {
        used += json_len_of(character);
        (used > json_bytes).then_some(at)
    });
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The length of a text in a JSON string, in bytes, without the quotes around it.
pub(crate) fn json_len(text: &str) -> usize {
    text.chars().map(json_len_of).sum()
}

fn json_len_of(character: char) -> usize {
    match character {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..'\u{20}' => 6,
        _ => character.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Written {
        Written { text: text.to_owned(), dropped_bytes: 0, limit_bytes: 100 }
    }

    #[test]
    fn the_length_is_that_of_json() {
        let text: String = (0..300).filter_map(char::from_u32).chain("\u{2028}漢🙂\"".chars()).collect();
        assert_eq!(json_len(&text) + 2, serde_json::Value::from(text.as_str()).to_string().len());
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!((cut("aä\0b", 3), cut("aä\0b", 8), cut("aä\0b", 9)), ("aä", "aä", "aä\0"));
        assert_eq!((cut("aä\0b", 10), cut("", 0), cut("ä", 1)), ("aä\0b", "", ""));
    }

    #[test]
    fn each_output_has_half_of_the_room_and_what_the_other_leaves() {
        let long = "x".repeat(20);
        let note = |dropped| format!("\n[output cut at the limit of 100 bytes; {dropped} bytes were dropped]\n");
        assert_eq!(share(written(&long), written("no"), 22), (long.clone(), "no".to_owned()));
        assert_eq!(share(written(&long), written("no"), 12), ("x".repeat(10) + &note(10), "no".to_owned()));
        assert_eq!(share(written("no"), written(&long), 12), ("no".to_owned(), "x".repeat(10) + &note(10)));
        let half = "x".repeat(5) + &note(15);
        assert_eq!(share(written(&long), written(&long), 10), (half.clone(), half));
    }
}
