//! Which tools an image offers, what they take, and the check of a call's arguments against that.
//!
//! Names, arguments and servers: docs/protocol.md, section Tools. Descriptions and schemas are this project's own.

use serde_json::{Value, json};

use super::ToolArgs;

/// What an image is for; decides its tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ImageKind {
    /// Code images, and ids of a user's own images, of which nothing is known.
    Code,
    Browser,
    Desktop,
}

impl ImageKind {
    const ALL: &[Self] = &[Self::Code, Self::Browser, Self::Desktop];

    fn of(image_id: &str) -> Self {
        if image_id.contains("browser") {
            return Self::Browser;
        }
        if image_id.contains("computer") {
            return Self::Desktop;
        }
        Self::Code
    }
}

/// A family of tools: served by one server, offered by the same images. A new family is one more row of `FAMILIES`.
struct Family {
    server: &'static str,
    images: &'static [ImageKind],
    tools: &'static [Tool],
}

struct Tool {
    name: &'static str,
    description: &'static str,
    schema: fn() -> Value,
}

const FAMILIES: &[Family] = &[
    Family { server: "wuying_shell", images: ImageKind::ALL, tools: SHELL },
    Family { server: "wuying_codespace", images: &[ImageKind::Code, ImageKind::Desktop], tools: CODE },
    Family { server: "wuying_filesystem", images: ImageKind::ALL, tools: FILES },
    Family { server: "wuying_system", images: ImageKind::ALL, tools: SYSTEM },
    Family { server: "wuying_ui", images: &[ImageKind::Desktop], tools: INPUT },
    Family { server: "wuying_ui", images: &[ImageKind::Desktop], tools: WINDOWS },
    Family { server: "wuying_app", images: &[ImageKind::Desktop], tools: APPS },
    Family { server: "wuying_capture", images: &[ImageKind::Browser, ImageKind::Desktop], tools: CAPTURE },
    Family { server: "mcp-server", images: &[ImageKind::Desktop], tools: STORED_CAPTURE },
    Family { server: "wuying_browseruse", images: &[ImageKind::Browser, ImageKind::Desktop], tools: BROWSER },
];

const SHELL: &[Tool] = &[Tool {
    name: "shell",
    description: "Runs a command line in a fresh shell and answers its output and exit code.",
    schema: || {
        object(
            &["command"],
            json!({
                "command": {"type": "string", "description": "What the shell is to run."},
                "timeout_ms": {"type": "number", "default": 1000, "description": "Milliseconds after which it is killed."},
                "cwd": {"type": "string", "description": "Directory to run in; the home directory if absent."},
                "envs": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "Environment variables to add.",
                },
            }),
        )
    },
}];

const CODE: &[Tool] = &[Tool {
    name: "run_code",
    description: "Runs source text in the session's interpreter of a language; its state lives on between calls.",
    schema: || {
        object(
            &["code", "language"],
            json!({
                "code": {"type": "string", "description": "Source text."},
                "language": {"type": "string", "description": "python, javascript, java or r."},
                "timeout_s": {"type": "number", "default": 60, "description": "Seconds after which it is interrupted."},
            }),
        )
    },
}];

const FILES: &[Tool] = &[
    Tool {
        name: "create_directory",
        description: "Makes a directory and its missing parents; an existing directory is fine.",
        schema: || object(&["path"], json!({"path": path("Directory to make.")})),
    },
    Tool {
        name: "delete_file",
        description: "Removes a file or a symbolic link; refuses directories.",
        schema: || object(&["path"], json!({"path": path("File to remove.")})),
    },
    Tool {
        name: "edit_file",
        description: "Replaces pieces of a UTF-8 text file, in order; if one is missing, the file stays as it was.",
        schema: || {
            let edit = object(
                &["oldText", "newText"],
                json!({
                    "oldText": {"type": "string", "description": "Text whose first occurrence is replaced."},
                    "newText": {"type": "string", "description": "What takes its place."},
                }),
            );
            object(
                &["path", "edits"],
                json!({
                    "path": path("File to edit."),
                    "edits": {"type": "array", "items": edit, "description": "Replacements, applied in order."},
                    "dryRun": {"type": "boolean", "default": false, "description": "Only answer the difference."},
                }),
            )
        },
    },
    Tool {
        name: "get_file_info",
        description: "Answers size, type, times, permissions and owner of a file or directory, one `key: value` a line.",
        schema: || object(&["path"], json!({"path": path("File or directory to look at.")})),
    },
    Tool {
        name: "list_directory",
        description: "Lists a directory, one `[DIR] name` or `[FILE] name` a line.",
        schema: || object(&["path"], json!({"path": path("Directory to list.")})),
    },
    Tool {
        name: "move_file",
        description: "Moves or renames a file or directory; the destination must not exist.",
        schema: || {
            object(
                &["source", "destination"],
                json!({"source": path("What to move."), "destination": path("Its new path.")}),
            )
        },
    },
    Tool {
        name: "read_file",
        description: "Reads a slice of a file as text, or as base64.",
        schema: || {
            object(
                &["path"],
                json!({
                    "path": path("File to read."),
                    "offset": {"type": "integer", "minimum": 0, "default": 0, "description": "First byte."},
                    "length": {"type": "integer", "minimum": 0, "description": "Bytes; to the end if absent."},
                    "format": {"type": "string", "enum": ["text", "binary"], "default": "text"},
                }),
            )
        },
    },
    Tool {
        name: "write_file",
        description: "Writes text to a file as UTF-8; the directory must exist.",
        schema: || {
            object(
                &["path", "content"],
                json!({
                    "path": path("File to write."),
                    "content": {"type": "string", "description": "Text to write."},
                    "mode": {"type": "string", "enum": ["overwrite", "append", "create_new"], "default": "overwrite"},
                }),
            )
        },
    },
    Tool {
        name: "read_multiple_files",
        description: "Reads several text files; answers `path: content` blocks with `---` lines between them.",
        schema: || object(&["paths"], json!({"paths": strings("Files to read.")})),
    },
    Tool {
        name: "search_files",
        description: "Searches a directory tree by name: a pattern with *, ? or [ ] is a glob, any other is looked for \
                      inside the names.",
        schema: || {
            object(
                &["path", "pattern"],
                json!({
                    "path": path("Directory to search."),
                    "pattern": {"type": "string", "description": "Glob, or part of a name."},
                    "excludePatterns": strings("Names to leave out, with everything below them."),
                    "exclude_patterns": strings("Another spelling of excludePatterns."),
                }),
            )
        },
    },
    Tool {
        name: "get_file_change",
        description: "Answers what changed below a path since the previous call for it; the first call answers nothing.",
        schema: || object(&["path"], json!({"path": path("Directory or file to watch.")})),
    },
];

const SYSTEM: &[Tool] = &[Tool {
    name: "get_metrics",
    description: "Measures processor, memory, disk and network use.",
    schema: || object(&[], json!({})),
}];

const INPUT: &[Tool] = &[
    Tool {
        name: "click_mouse",
        description: "Moves the mouse to a place and clicks.",
        schema: || {
            object(
                &["x", "y"],
                json!({
                    "x": pixels("Place, from the left."),
                    "y": pixels("Place, from the top."),
                    "button": {"type": "string", "enum": ["left", "right", "middle", "double_left"], "default": "left"},
                }),
            )
        },
    },
    Tool {
        name: "move_mouse",
        description: "Moves the mouse to a place.",
        schema: || {
            object(&["x", "y"], json!({"x": pixels("Place, from the left."), "y": pixels("Place, from the top.")}))
        },
    },
    Tool {
        name: "drag_mouse",
        description: "Moves the mouse from one place to another while a button is down.",
        schema: || {
            object(
                &["from_x", "from_y", "to_x", "to_y"],
                json!({
                    "from_x": pixels("Where the button goes down, from the left."),
                    "from_y": pixels("Where the button goes down, from the top."),
                    "to_x": pixels("Where it goes up, from the left."),
                    "to_y": pixels("Where it goes up, from the top."),
                    "button": {"type": "string", "enum": ["left", "right", "middle"], "default": "left"},
                }),
            )
        },
    },
    Tool {
        name: "scroll",
        description: "Moves the mouse to a place and turns its wheel.",
        schema: || {
            object(
                &["x", "y"],
                json!({
                    "x": pixels("Place, from the left."),
                    "y": pixels("Place, from the top."),
                    "direction": {"type": "string", "enum": ["up", "down", "left", "right"], "default": "up"},
                    "amount": {"type": "integer", "minimum": 1, "default": 1, "description": "Steps of the wheel."},
                }),
            )
        },
    },
    Tool { name: "get_cursor_position", description: "Answers where the mouse is.", schema: || object(&[], json!({})) },
    Tool {
        name: "input_text",
        description: "Types a text into the active window.",
        schema: || object(&["text"], json!({"text": {"type": "string", "description": "Text to type."}})),
    },
    Tool {
        name: "press_keys",
        description: "Presses keys together, and lets go of them unless they are to be held.",
        schema: || {
            object(
                &["keys"],
                json!({
                    "keys": strings("Keys, for example Ctrl and a."),
                    "hold": {"type": "boolean", "default": false, "description": "Whether they stay down."},
                }),
            )
        },
    },
    Tool {
        name: "release_keys",
        description: "Lets go of keys that are held.",
        schema: || object(&["keys"], json!({"keys": strings("Keys, for example Ctrl and a.")})),
    },
    Tool {
        name: "get_screen_size",
        description: "Answers width and height of the screen, in pixels.",
        schema: || object(&[], json!({})),
    },
];

const WINDOWS: &[Tool] = &[
    Tool {
        name: "list_root_windows",
        description: "Lists the windows that are open.",
        schema: || {
            object(
                &[],
                json!({
                    "timeout_ms": {"type": "number", "default": 3000, "description": "Milliseconds it may take."},
                }),
            )
        },
    },
    Tool {
        name: "get_active_window",
        description: "Answers the window that has the keyboard.",
        schema: || object(&[], json!({})),
    },
    Tool { name: "activate_window", description: "Brings a window to the front.", schema: window },
    Tool { name: "close_window", description: "Closes a window.", schema: window },
    Tool { name: "maximize_window", description: "Makes a window as large as can be.", schema: window },
    Tool { name: "minimize_window", description: "Puts a window away.", schema: window },
    Tool { name: "restore_window", description: "Gives a window its own size and place back.", schema: window },
    Tool { name: "fullscreen_window", description: "Lets a window fill the whole screen.", schema: window },
    Tool {
        name: "resize_window",
        description: "Gives a window another size.",
        schema: || {
            object(
                &["window_id", "width", "height"],
                json!({
                    "window_id": {"type": "integer", "minimum": 0, "description": "Number of the window."},
                    "width": {"type": "integer", "minimum": 1, "description": "Pixels."},
                    "height": {"type": "integer", "minimum": 1, "description": "Pixels."},
                }),
            )
        },
    },
    Tool {
        name: "focus_mode",
        description: "Keeps the active window in front of all others, or no longer.",
        schema: || object(&["on"], json!({"on": {"type": "boolean", "description": "Whether it is kept there."}})),
    },
];

const APPS: &[Tool] = &[
    Tool {
        name: "start_app",
        description: "Starts an application and answers its processes.",
        schema: || {
            object(
                &["start_cmd"],
                json!({
                    "start_cmd": {"type": "string", "description": "Command line that starts it."},
                    "work_directory": {"type": "string", "description": "Directory to start it in."},
                    "activity": {"type": "string", "description": "Part of it to begin with; not used on Linux."},
                }),
            )
        },
    },
    Tool {
        name: "stop_app_by_pname",
        description: "Ends the processes of a name.",
        schema: || object(&["pname"], json!({"pname": {"type": "string", "description": "Name of the process."}})),
    },
    Tool {
        name: "stop_app_by_pid",
        description: "Ends a process.",
        schema: || object(&["pid"], json!({"pid": {"type": "integer", "minimum": 1, "description": "Its number."}})),
    },
    Tool {
        name: "stop_app_by_cmd",
        description: "Runs a command that ends an application.",
        schema: || {
            object(&["stop_cmd"], json!({"stop_cmd": {"type": "string", "description": "For example kill -9 123."}}))
        },
    },
    Tool {
        name: "get_installed_apps",
        description: "Lists the applications that can be started.",
        schema: || {
            let system = json!({"type": "boolean", "default": true, "description": "Leave out those of the system."});
            object(
                &[],
                json!({
                    "start_menu": {"type": "boolean", "default": true, "description": "Those of the start menu."},
                    "desktop": {"type": "boolean", "default": false, "description": "Those on the desktop."},
                    "ignore_system_app": system,
                    "ignore_system_apps": system,
                }),
            )
        },
    },
    Tool {
        name: "list_visible_apps",
        description: "Lists the processes that show a window.",
        schema: || object(&[], json!({})),
    },
];

const CAPTURE: &[Tool] = &[Tool {
    name: "screenshot",
    description: "Takes a picture of the screen and answers it as base64.",
    schema: || object(&[], json!({"format": {"type": "string", "enum": ["png", "jpeg"], "default": "png"}})),
}];

const STORED_CAPTURE: &[Tool] = &[Tool {
    name: "system_screenshot",
    description: "Takes a picture of the screen and answers the URL of a PNG file.",
    schema: || object(&[], json!({})),
}];

fn window() -> Value {
    object(
        &["window_id"],
        json!({"window_id": {"type": "integer", "minimum": 0, "description": "Number of the window."}}),
    )
}

fn pixels(description: &str) -> Value {
    json!({"type": "number", "description": format!("{description} In pixels.")})
}

const BROWSER: &[Tool] = &[
    Tool {
        name: "stopChrome",
        description: "Stops the session's browser, after it has written its data.",
        schema: || object(&[], json!({})),
    },
    Tool {
        name: "page_use_navigate",
        description: "Opens an address in the browser's first page and waits until it has loaded.",
        schema: || object(&["url"], json!({"url": text("Address to open.")})),
    },
    Tool {
        name: "page_use_screenshot",
        description: "Takes a picture of a page: a JPEG file in base64.",
        schema: || {
            let clip = object(
                &["x", "y", "width", "height"],
                json!({
                    "x": {"type": "number"}, "y": {"type": "number"},
                    "width": {"type": "number", "minimum": 1}, "height": {"type": "number", "minimum": 1},
                }),
            );
            let members = with(
                page_members(),
                json!({
                    "full_page": {"type": "boolean", "default": true, "description": "Not only what is in view."},
                    "quality": {"type": "number", "minimum": 0, "default": 80, "description": "Up to 100."},
                    "clip": clip,
                    "timeout": {"type": "number", "description": "Milliseconds it may take."},
                }),
            );
            object(&[], members)
        },
    },
    Tool {
        name: "page_use_close_session",
        description: "Ends the agent's work in the browser.",
        schema: || object(&[], json!({})),
    },
    Tool {
        name: "page_use_act",
        description: "Lets the agent do something on a page, and answers what it did.",
        schema: act,
    },
    Tool { name: "page_use_act_async", description: "The same as a task; answers its id.", schema: act },
    Tool { name: "page_use_get_act_result", description: "How a task of page_use_act_async stands.", schema: task },
    Tool {
        name: "page_use_observe",
        description: "Lets the agent find what can be acted on, on a page: a JSON array.",
        schema: observe,
    },
    Tool { name: "page_use_observe_async", description: "The same as a task; answers its id.", schema: observe },
    Tool {
        name: "page_use_get_observe_result",
        description: "The result of a task of page_use_observe_async; empty while it runs.",
        schema: task,
    },
    Tool {
        name: "page_use_extract",
        description: "Lets the agent read data of a schema from a page, as JSON.",
        schema: extract,
    },
    Tool { name: "page_use_extract_async", description: "The same as a task; answers its id.", schema: extract },
    Tool {
        name: "page_use_get_extract_result",
        description: "The result of a task of page_use_extract_async; empty while it runs.",
        schema: task,
    },
];

fn act() -> Value {
    let members = json!({
        "action": text("What to do, in words, or an observed method with its arguments as JSON."),
        "variables": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Values for placeholders in the action.",
        },
        "timeout": {"type": "number", "description": "How long it may take."},
        "timeout_ms": {"type": "number", "description": "The same in milliseconds."},
        "iframes": flag("Also inside frames."),
    });
    object(&["action"], with(agent_members(), members))
}

fn observe() -> Value {
    let members = json!({
        "instruction": text("What to look for, in words."),
        "selector": text("Only inside this element."),
        "iframes": flag("Also inside frames."),
    });
    object(&["instruction"], with(agent_members(), members))
}

fn extract() -> Value {
    let members = json!({
        "instruction": text("What to read, in words."),
        "field_schema": text("`schema: ` and the JSON schema of the data."),
        "use_text_extract": flag("Read the page's text only."),
        "selector": text("Only inside this element."),
        "iframe": flag("Also inside frames."),
        "max_page": {"type": "number", "minimum": 1, "description": "How many pages to read."},
    });
    object(&["instruction", "field_schema"], with(agent_members(), members))
}

fn task() -> Value {
    object(&["task_id"], json!({"task_id": text("Id of the task.")}))
}

fn page_members() -> Value {
    json!({
        "context_id": {"type": "integer", "minimum": 0, "default": 0, "description": "The browser context; only 0."},
        "page_id": text("The page, by its target id; the first one if absent."),
    })
}

fn agent_members() -> Value {
    let members = json!({
        "use_vision": flag("Let the agent see the page."),
        "dom_settle_timeout_ms": {"type": "number", "description": "How long to wait for a quiet page."},
    });
    with(page_members(), members)
}

/// The members of both objects.
fn with(mut members: Value, more: Value) -> Value {
    if let (Some(members), Value::Object(more)) = (members.as_object_mut(), more) {
        members.extend(more);
    }
    members
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

fn path(description: &str) -> Value {
    json!({"type": "string", "description": format!("{description} Relative paths start at the home directory.")})
}

fn strings(description: &str) -> Value {
    json!({"type": "array", "items": {"type": "string"}, "description": description})
}

/// The tools of an image as they stand in `toolList` and in the answer of `listTools`: objects with `name`,
/// `description`, `inputSchema`, `server` and `tool`.
///
/// An id that names neither a browser nor a desktop image gets the tools of a code image.
pub fn tools_of_image(image_id: &str) -> Vec<Value> {
    let kind = ImageKind::of(image_id);
    let families = FAMILIES.iter().filter(|family| family.images.contains(&kind));
    families.flat_map(|family| family.tools.iter().map(|tool| entry(family, tool))).collect()
}

fn entry(family: &Family, tool: &Tool) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "inputSchema": (tool.schema)(),
        "server": family.server,
        "tool": tool.name,
    })
}

/// Whether an image offers a tool of this name.
pub fn knows(image_id: &str, tool: &str) -> bool {
    let kind = ImageKind::of(image_id);
    let mut families = FAMILIES.iter().filter(|family| family.images.contains(&kind));
    families.any(|family| family.tools.iter().any(|known| known.name == tool))
}

/// Whether an image has a desktop.
pub(crate) fn has_desktop(image_id: &str) -> bool {
    ImageKind::of(image_id) == ImageKind::Desktop
}

/// Checks the arguments of a call against the tool's schema: required members, types, allowed words, minimum.
///
/// `null` counts as absent; members that the schema doesn't name are let through.
///
/// # Errors
/// A sentence that names the member and what it should be; also for a tool that no image offers.
pub fn check_args(tool: &str, args: &ToolArgs) -> Result<(), String> {
    let mut tools = FAMILIES.iter().flat_map(|family| family.tools);
    let Some(known) = tools.find(|known| known.name == tool) else {
        return Err(format!("Unknown tool: {tool}"));
    };
    let schema = (known.schema)();
    check_members("", args, &schema).map_err(|reason| format!("Invalid arguments of {tool}: {reason}"))
}

fn check_members(place: &str, members: &ToolArgs, schema: &Value) -> Result<(), String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if members.get(name).is_none_or(Value::is_null) {
            let wanted = properties.and_then(|all| all.get(name)).map(wanted).unwrap_or_default();
            return Err(format!("{place}{name} is required and must be {wanted}"));
        }
    }
    let others = schema.get("additionalProperties");
    for (name, value) in members {
        let Some(schema) = properties.and_then(|all| all.get(name)).or(others) else { continue };
        if !(value.is_null() && others.is_none()) {
            check_value(&format!("{place}{name}"), value, schema)?;
        }
    }
    Ok(())
}

fn check_value(place: &str, value: &Value, schema: &Value) -> Result<(), String> {
    if !fits(value, schema) {
        return Err(format!("{place} must be {}, not {}", wanted(schema), kind_of(value)));
    }
    if let Value::Object(members) = value {
        return check_members(&format!("{place}."), members, schema);
    }
    let (Value::Array(items), Some(item_schema)) = (value, schema.get("items")) else { return Ok(()) };
    let mut items = items.iter().enumerate();
    items.try_for_each(|(index, item)| check_value(&format!("{place}[{index}]"), item, item_schema))
}

fn fits(value: &Value, schema: &Value) -> bool {
    let kind_fits = match schema.get("type").and_then(Value::as_str) {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    let word_fits = schema.get("enum").and_then(Value::as_array).is_none_or(|words| words.contains(value));
    let minimum = schema.get("minimum").and_then(Value::as_f64);
    let size_fits = minimum.is_none_or(|minimum| value.as_f64().is_some_and(|number| number >= minimum));
    kind_fits && word_fits && size_fits
}

/// What a schema asks for, in words.
fn wanted(schema: &Value) -> String {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words.iter().map(Value::to_string).collect();
        return format!("one of {}", words.join(", "));
    }
    let kind = match schema.get("type").and_then(Value::as_str) {
        Some("integer") => "an integer".to_owned(),
        Some("array") => match schema.pointer("/items/type").and_then(Value::as_str) {
            Some(item) => format!("an array of {item}s"),
            None => "an array".to_owned(),
        },
        Some("object") => "an object".to_owned(),
        Some(kind) => format!("a {kind}"),
        None => "present".to_owned(),
    };
    match schema.get("minimum") {
        Some(minimum) => format!("{kind} of at least {minimum}"),
        None => kind,
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.len() <= 40 => format!("{text:?}"),
        Value::String(_) => "a long string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(value: Value) -> ToolArgs {
        value.as_object().cloned().expect("an object")
    }

    fn complaint(tool: &str, value: Value) -> String {
        check_args(tool, &args(value)).expect_err("a complaint")
    }

    #[test]
    fn a_code_image_lists_what_the_clients_look_for() {
        let tools = tools_of_image("agb-code-space-1");
        let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
        for name in ["shell", "run_code", "write_file", "read_file", "get_metrics", "get_file_change"] {
            assert!(names.contains(&name), "{name} is missing in {names:?}");
        }
        assert_eq!(names.len(), 14);
    }

    #[test]
    fn only_desktop_images_have_a_desktop() {
        for (image, count) in [("agb-computer-use-1", 54), ("agb-computer-use-ubuntu-2204", 54)] {
            let tools = tools_of_image(image);
            assert_eq!(tools.len(), count);
            for tool in &tools {
                assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
            }
        }
        assert!(!knows("agb-code-space-1", "click_mouse") && !knows("agb-code-space-1", "screenshot"));
        assert!(knows("agb-browser-use-1", "screenshot") && !knows("agb-browser-use-1", "system_screenshot"));
        assert!(complaint("click_mouse", json!({"x": 1, "y": 1, "button": "thumb"})).contains("button must be one of"));
        assert!(complaint("close_window", json!({"window_id": 1.5})).contains("window_id must be an integer"));
        assert!(complaint("press_keys", json!({"keys": "a"})).contains("keys must be an array of strings"));
    }

    #[test]
    fn entries_carry_all_five_members_and_a_server() {
        for tool in tools_of_image("agb-code-space-1") {
            let members: Vec<&String> = tool.as_object().expect("an object").keys().collect();
            assert_eq!(members, ["name", "description", "inputSchema", "server", "tool"]);
            assert!(!tool["description"].as_str().expect("a text").is_empty());
            assert!(tool["server"].as_str().expect("a text").starts_with("wuying_"));
            assert_eq!(tool["inputSchema"]["type"], "object");
            assert_eq!(tool["name"], tool["tool"]);
        }
    }

    #[test]
    fn every_required_member_has_a_schema() {
        for tool in tools_of_image("agb-code-space-1") {
            for name in tool["inputSchema"]["required"].as_array().expect("an array") {
                let name = name.as_str().expect("a name");
                assert!(tool["inputSchema"]["properties"].get(name).is_some(), "{} lacks {name}", tool["name"]);
            }
        }
    }

    #[test]
    fn run_code_is_absent_from_browser_images_only() {
        assert!(knows("agb-code-space-2", "run_code"));
        assert!(knows("agb-computer-use-ubuntu-2204", "run_code"));
        assert!(knows("my-own-image", "run_code"));
        assert!(!knows("agb-browser-use-1", "run_code"));
        assert!(knows("agb-browser-use-1", "shell"));
        assert!(!knows("agb-code-space-1", "non_existent_tool_12345"));
    }

    #[test]
    fn browser_tools_belong_to_browser_and_desktop_images() {
        for name in ["stopChrome", "page_use_navigate", "page_use_get_extract_result"] {
            assert!(knows("agb-browser-use-1", name) && knows("agb-computer-use-1", name), "{name}");
            assert!(!knows("agb-code-space-1", name), "{name}");
        }
        for tool in tools_of_image("agb-browser-use-1") {
            for name in tool["inputSchema"]["required"].as_array().expect("an array") {
                let name = name.as_str().expect("a name");
                assert!(tool["inputSchema"]["properties"].get(name).is_some(), "{} lacks {name}", tool["name"]);
            }
        }
    }

    #[test]
    fn good_arguments_pass() {
        let good = [
            ("shell", json!({"command": "ls"})),
            ("shell", json!({"command": "ls", "timeout_ms": 1500, "envs": {"A": "b"}, "cwd": null})),
            ("run_code", json!({"code": "", "language": "python"})),
            ("read_file", json!({"path": "a", "offset": 0, "length": 50.0, "format": "binary", "unknown": []})),
            ("edit_file", json!({"path": "a", "edits": [{"oldText": "a", "newText": ""}], "dryRun": true})),
            ("search_files", json!({"path": "a", "pattern": "b", "exclude_patterns": ["c"]})),
            ("get_metrics", json!({})),
            ("page_use_act", json!({"context_id": 0, "action": "a", "timeout_ms": 5, "variables": {"a": "b"}})),
            ("page_use_screenshot", json!({"full_page": true, "clip": {"x": 1.5, "y": 0, "width": 1, "height": 2}})),
        ];
        for (tool, value) in good {
            assert_eq!(check_args(tool, &args(value.clone())), Ok(()), "{tool} {value}");
        }
    }

    #[test]
    fn a_complaint_names_the_member_and_what_it_should_be() {
        let bad = [
            ("shell", json!({}), "command is required and must be a string"),
            ("shell", json!({"command": null}), "command is required and must be a string"),
            ("shell", json!({"command": 5}), "command must be a string, not 5"),
            ("shell", json!({"command": "a", "envs": {"A": 1}}), "envs.A must be a string, not 1"),
            ("shell", json!({"command": "a", "envs": {"A": null}}), "envs.A must be a string, not null"),
            ("read_file", json!({"path": "a", "offset": -1}), "offset must be an integer of at least 0, not -1"),
            ("read_file", json!({"path": "a", "length": 1.5}), "length must be an integer of at least 0, not 1.5"),
            (
                "read_file",
                json!({"path": "a", "format": "hex"}),
                r#"format must be one of "text", "binary", not "hex""#,
            ),
            ("edit_file", json!({"path": "a", "edits": [{"oldText": "a"}]}), "edits[0].newText is required"),
            ("edit_file", json!({"path": "a", "edits": ["b"]}), r#"edits[0] must be an object, not "b""#),
            ("read_multiple_files", json!({"paths": "a"}), r#"paths must be an array of strings, not "a""#),
        ];
        for (tool, value, wanted) in bad {
            let text = complaint(tool, value.clone());
            assert!(text.contains(wanted) && text.contains(tool), "{value}: {text}");
        }
    }

    #[test]
    fn an_unknown_tool_is_named() {
        assert_eq!(complaint("no_such", json!({})), "Unknown tool: no_such");
    }
}
