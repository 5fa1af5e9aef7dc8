//! Log lines of the native layers, on standard error, laid out as the facade's own.

use std::fmt;
use std::sync::OnceLock;

use napi_derive::napi;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, time::FormatTime};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::{Layer, Registry};

/// Our own crates; what their dependencies log would tell more than is safe.
const OURS: &str = "agb";

static LEVEL: OnceLock<Option<Handle<Targets, Registry>>> = OnceLock::new();

/// Sets what is logged: 0 debug, 1 info, 2 warnings, 3 errors, 4 nothing.
#[napi]
pub fn set_log_level(level: u32) {
    let filter = match level {
        0 => LevelFilter::DEBUG,
        1 => LevelFilter::INFO,
        2 => LevelFilter::WARN,
        3 => LevelFilter::ERROR,
        _ => LevelFilter::OFF,
    };
    let filter = Targets::new().with_target(OURS, filter);
    if let Some(handle) = LEVEL.get_or_init(|| install(filter.clone())) {
        // Fails only when the subscriber is gone, and nothing can be logged then.
        let _ = handle.modify(|current| *current = filter);
    }
}

/// Installs the subscriber of this process; `None` when something else has installed one.
fn install(filter: Targets) -> Option<Handle<Targets, Registry>> {
    let (filter, handle) = reload::Layer::new(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).event_format(Line).with_filter(filter);
    tracing::subscriber::set_global_default(Registry::default().with(lines)).ok()?;
    Some(handle)
}

/// Where `2026-01-02T03:04:05.678901Z` has the digits that the facade's lines have too.
const MILLISECONDS_END: usize = 23;

/// `<ISO time> | AGB | <LEVEL> | <message> <fields>`
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        tracing_subscriber::fmt::time::SystemTime.format_time(&mut Writer::new(&mut time))?;
        let to_milliseconds = time.get(..MILLISECONDS_END).unwrap_or(&time);
        write!(writer, "{to_milliseconds}Z | AGB | {:<5} | ", event.metadata().level())?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
