//! Mouse and keyboard.

use std::sync::Arc;
use std::time::Duration;

use super::desktop::{Desktop, HEIGHT, USUAL_LIMIT, WIDTH};

/// Milliseconds between two typed keys.
const KEY_DELAY_MS: u64 = 1;
/// What is typed by one program.
const TYPED_AT_ONCE: usize = 2000;
/// The keys that no keyboard of today has: they stand for the characters that ours lacks.
const SPARE_KEYS: std::ops::RangeInclusive<u8> = 230..=254;
/// Applications read the keys they were sent before the keys get another meaning.
const BEFORE_NEW_MEANINGS: Duration = Duration::from_millis(250);

/// Keys by the names that people give them; X has names of its own.
const KEY_NAMES: &[(&str, &str)] = &[
    ("alt", "Alt_L"),
    ("altgr", "ISO_Level3_Shift"),
    ("arrowdown", "Down"),
    ("arrowleft", "Left"),
    ("arrowright", "Right"),
    ("arrowup", "Up"),
    ("backspace", "BackSpace"),
    ("capslock", "Caps_Lock"),
    ("cmd", "Super_L"),
    ("command", "Super_L"),
    ("control", "Control_L"),
    ("ctrl", "Control_L"),
    ("del", "Delete"),
    ("delete", "Delete"),
    ("down", "Down"),
    ("end", "End"),
    ("enter", "Return"),
    ("esc", "Escape"),
    ("escape", "Escape"),
    ("home", "Home"),
    ("insert", "Insert"),
    ("left", "Left"),
    ("menu", "Menu"),
    ("meta", "Super_L"),
    ("option", "Alt_L"),
    ("pagedown", "Next"),
    ("pageup", "Prior"),
    ("pause", "Pause"),
    ("printscreen", "Print"),
    ("return", "Return"),
    ("right", "Right"),
    ("shift", "Shift_L"),
    ("space", "space"),
    ("super", "Super_L"),
    ("tab", "Tab"),
    ("up", "Up"),
    ("win", "Super_L"),
    ("windows", "Super_L"),
];

/// What the spare keys stand for.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The keyboard as it was, without the spare keys.
    original: Option<String>,
    characters: Vec<char>,
}

/// A place on the screen, whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    x: u32,
    y: u32,
}

impl Place {
    /// # Errors
    /// When it is not on the screen.
    pub(super) fn on_screen(x: f64, y: f64) -> Result<Place, String> {
        let within = |name: &str, value: f64, size: u32| {
            let value = value.round();
            if value < 0.0 || value >= f64::from(size) {
                return Err(format!("{name} is {value}, outside of the screen: it must be from 0 to {}", size - 1));
            }
            // Within the bounds just checked, so the conversion is exact.
            Ok(value as u32)
        };
        Ok(Place { x: within("x", x, WIDTH)?, y: within("y", y, HEIGHT)? })
    }

    fn steps(self) -> Vec<String> {
        vec!["mousemove".to_owned(), self.x.to_string(), self.y.to_string()]
    }
}

pub(super) async fn click(desktop: &Desktop, at: Place, button: &str) -> Result<(), String> {
    let mut steps = at.steps();
    let click: &[&str] = match button {
        "double_left" => &["click", "--repeat", "2", "--delay", "40", "1"],
        other => &["click", button_number(other)],
    };
    steps.extend(click.iter().map(ToString::to_string));
    act(desktop, &steps).await
}

pub(super) async fn move_to(desktop: &Desktop, at: Place) -> Result<(), String> {
    act(desktop, &at.steps()).await
}

/// In several steps: applications take a drag for one only when the mouse was seen on its way.
pub(super) async fn drag(desktop: &Desktop, from: Place, to: Place, button: &str) -> Result<(), String> {
    let number = button_number(button).to_owned();
    let mut steps = from.steps();
    steps.extend(["mousedown".to_owned(), number.clone()]);
    let between = |a: u32, b: u32, part: u32| (a * (4 - part) + b * part) / 4;
    for part in 1..=4 {
        steps.extend(["sleep".to_owned(), "0.02".to_owned()]);
        steps.extend(Place { x: between(from.x, to.x, part), y: between(from.y, to.y, part) }.steps());
    }
    steps.extend(["sleep".to_owned(), "0.02".to_owned(), "mouseup".to_owned(), number]);
    act(desktop, &steps).await
}

pub(super) async fn scroll(desktop: &Desktop, at: Place, direction: &str, amount: u32) -> Result<(), String> {
    let button = match direction {
        "up" => "4",
        "down" => "5",
        "left" => "6",
        _ => "7",
    };
    let mut steps = at.steps();
    steps.extend(["click", "--repeat", &amount.to_string(), "--delay", "5", button].map(str::to_owned));
    act(desktop, &steps).await
}

fn button_number(button: &str) -> &'static str {
    match button {
        "middle" => "2",
        "right" => "3",
        _ => "1",
    }
}

/// Where the mouse is.
pub(super) async fn position(desktop: &Desktop) -> Result<(i64, i64), String> {
    let text = desktop.run(&["xdotool", "getmouselocation", "--shell"], USUAL_LIMIT).await?;
    let text = String::from_utf8_lossy(&text);
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).and_then(|value| value.parse().ok());
    match (value("X="), value("Y=")) {
        (Some(x), Some(y)) => Ok((x, y)),
        _ => Err(format!("xdotool says no place: {text:?}")),
    }
}

/// Types a text. Characters that the keyboard lacks get spare keys first.
pub(super) async fn type_text(desktop: &Arc<Desktop>, text: &str) -> Result<(), String> {
    let mut layout = desktop.input.lock().await;
    let characters: Vec<char> = text.replace("\r\n", "\n").replace('\r', "\n").chars().collect();
    let mut rest = characters.as_slice();
    while !rest.is_empty() {
        let piece = next_piece(rest);
        let (now, later) = rest.split_at(piece);
        layout.make_room_for(desktop, now).await?;
        let typed: String = now.iter().collect();
        let delay = KEY_DELAY_MS.to_string();
        let words = ["xdotool", "type", "--delay", &delay, "--", &typed];
        desktop.run(&words, USUAL_LIMIT + Duration::from_millis(20 * piece as u64)).await?;
        rest = later;
    }
    Ok(())
}

/// How many characters one program can type: no more unusual ones than there are spare keys.
fn next_piece(characters: &[char]) -> usize {
    let mut unusual: Vec<char> = Vec::new();
    for (index, character) in characters.iter().enumerate().take(TYPED_AT_ONCE) {
        if is_unusual(*character) && !unusual.contains(character) {
            if unusual.len() == SPARE_KEYS.len() {
                return index;
            }
            unusual.push(*character);
        }
    }
    characters.len().min(TYPED_AT_ONCE)
}

fn is_unusual(character: char) -> bool {
    !character.is_ascii()
}

impl Layout {
    /// Gives every unusual character a key.
    async fn make_room_for(&mut self, desktop: &Desktop, characters: &[char]) -> Result<(), String> {
        let mut lacking: Vec<char> = Vec::new();
        for character in characters.iter().copied().filter(|character| is_unusual(*character)) {
            if !self.characters.contains(&character) && !lacking.contains(&character) {
                lacking.push(character);
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        let mut bound = self.characters.clone();
        if bound.len() + lacking.len() > SPARE_KEYS.len() {
            tokio::time::sleep(BEFORE_NEW_MEANINGS).await;
            // All those of this piece, as it is typed at once.
            bound = characters.iter().copied().filter(|character| is_unusual(*character)).collect();
            bound.sort_unstable();
            bound.dedup();
        } else {
            bound.extend(lacking);
        }
        if self.original.is_none() {
            let keyboard = desktop.run(&["xkbcomp", "-xkb", desktop.display(), "-"], USUAL_LIMIT).await?;
            self.original = Some(without_spare_keys(&String::from_utf8_lossy(&keyboard)));
        }
        let keyboard = with_keys(self.original.as_deref().unwrap_or_default(), &bound);
        desktop.script("printf %s \"$1\" | xkbcomp -w 0 - \"$DISPLAY\" 2>/dev/null", &[&keyboard]).await?;
        self.characters = bound;
        Ok(())
    }
}

fn without_spare_keys(keyboard: &str) -> String {
    let is_spare = |line: &str| SPARE_KEYS.clone().any(|key| line.trim_start().starts_with(&format!("key <I{key}>")));
    keyboard.lines().filter(|line| !is_spare(line)).map(|line| format!("{line}\n")).collect()
}

fn with_keys(keyboard: &str, characters: &[char]) -> String {
    let keys: String = SPARE_KEYS
        .zip(characters)
        .map(|(key, character)| format!("key <I{key}> {{ [ U{:04X} ] }};\n", u32::from(*character)))
        .collect();
    keyboard
        .lines()
        .map(|line| if line.starts_with("xkb_symbols ") { format!("{line}\n{keys}") } else { format!("{line}\n") })
        .collect()
}

/// Presses keys in their order; unless they are held, lets go of them in the reverse order.
pub(super) async fn press(desktop: &Desktop, keys: &[String], hold: bool) -> Result<(), String> {
    let names = key_names(keys);
    let mut steps = steps_of("keydown", names.iter());
    if !hold {
        steps.extend(steps_of("keyup", names.iter().rev()));
    }
    if let Err(problem) = act(desktop, &steps).await {
        // None of them stays down then.
        let _ = act(desktop, &steps_of("keyup", names.iter().rev())).await;
        return Err(problem);
    }
    Ok(())
}

/// Lets go of keys; one that isn't down stays as it is.
pub(super) async fn release(desktop: &Desktop, keys: &[String]) -> Result<(), String> {
    act(desktop, &steps_of("keyup", key_names(keys).iter())).await
}

fn steps_of<'a>(action: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.flat_map(|name| [action.to_owned(), name.clone()]).collect()
}

/// X's names of keys; `"Ctrl+a"` is two of them.
fn key_names(keys: &[String]) -> Vec<String> {
    let parts = keys.iter().flat_map(|key| {
        let is_combination = key.chars().count() > 1 && key.split('+').all(|part| !part.is_empty());
        if is_combination { key.split('+').collect() } else { vec![key.as_str()] }
    });
    parts.map(key_name).collect()
}

fn key_name(key: &str) -> String {
    let mut characters = key.chars();
    if let (Some(character), None) = (characters.next(), characters.next()) {
        return match character {
            '\n' => "Return".to_owned(),
            '\t' => "Tab".to_owned(),
            letter if letter.is_ascii_alphanumeric() => key.to_owned(),
            other => format!("U{:04X}", u32::from(other)),
        };
    }
    let lower = key.to_lowercase();
    if let Some((_, name)) = KEY_NAMES.iter().find(|(known, _)| *known == lower) {
        return (*name).to_owned();
    }
    let is_function_key = lower.strip_prefix('f').is_some_and(|number| number.parse::<u8>().is_ok());
    if is_function_key { lower.to_uppercase() } else { key.to_owned() }
}

async fn act(desktop: &Desktop, steps: &[String]) -> Result<(), String> {
    let _input = desktop.input.lock().await;
    let words: Vec<&str> = std::iter::once("xdotool").chain(steps.iter().map(String::as_str)).collect();
    let output = desktop.output_of(&words, USUAL_LIMIT + Duration::from_millis(20 * steps.len() as u64)).await?;
    // An unknown key is only worth a remark to it.
    let remark = output.stderr.lines().find(|line| line.contains("No such key name"));
    if let Some(remark) = remark {
        let name = remark.split('\'').nth(1).unwrap_or_default();
        return Err(format!("there is no key named {name}"));
    }
    if output.success { Ok(()) } else { Err(format!("xdotool failed: {}", output.stderr.trim())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_on_the_screen() {
        assert_eq!(Place::on_screen(0.0, 1079.0), Ok(Place { x: 0, y: 1079 }));
        assert_eq!(Place::on_screen(10.4, 10.5), Ok(Place { x: 10, y: 11 }));
        for (x, y) in [(-1.0, 0.0), (1920.0, 0.0), (0.0, 1080.0), (1e300, 0.0)] {
            assert!(Place::on_screen(x, y).unwrap_err().contains("outside of the screen"), "{x} {y}");
        }
    }

    #[test]
    fn keys_go_by_peoples_names_and_by_those_of_x() {
        let names = |keys: &[&str]| key_names(&keys.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names(&["Ctrl", "a"]), ["Control_L", "a"]);
        assert_eq!(names(&["ctrl+Shift+T"]), ["Control_L", "Shift_L", "T"]);
        assert_eq!(names(&["ENTER", "f5", "F12", "+", " ", "ä"]), ["Return", "F5", "F12", "U002B", "U0020", "U00E4"]);
        assert_eq!(names(&["XF86AudioMute", "fast"]), ["XF86AudioMute", "fast"]);
    }

    #[test]
    fn a_piece_has_no_more_unusual_characters_than_there_are_keys() {
        let text: Vec<char> = ('а'..='я').collect();
        assert_eq!(next_piece(&text), 25);
        assert_eq!(next_piece(&text[25..]), 7);
        assert_eq!(next_piece(&"ä".repeat(3000).chars().collect::<Vec<_>>()), TYPED_AT_ONCE);
    }

    #[test]
    fn spare_keys_get_their_characters() {
        let keyboard = "xkb_symbols \"pc\" {\n    key <I230> { [ Cancel ] };\n    key <AD01> { [ q ] };\n};\n";
        let original = without_spare_keys(keyboard);
        assert!(!original.contains("I230") && original.contains("AD01"));
        let bound = with_keys(&original, &['ä', '😀']);
        assert!(bound.contains("{\nkey <I230> { [ U00E4 ] };\nkey <I231> { [ U1F600 ] };\n"), "{bound}");
    }
}
