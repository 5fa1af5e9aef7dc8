//! Pictures of the screen, and where clients get those that are answered as URLs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::desktop::{Desktop, HEIGHT, WIDTH};

/// ImageMagick's start alone takes a while on a small machine.
const PICTURE_LIMIT: Duration = Duration::from_secs(60);
/// Older pictures are forgotten.
const KEPT_PICTURES: usize = 100;

/// Takes a picture as `png` or `jpeg`.
pub(super) async fn picture(desktop: &Desktop, format: &str) -> Result<Vec<u8>, String> {
    let to = format!("{format}:-");
    desktop.run(&["import", "-silent", "-window", "root", &to], PICTURE_LIMIT).await
}

/// The answer of `screenshot`.
pub(super) async fn screenshot(desktop: &Desktop, format: &str) -> Result<String, String> {
    let data = picture(desktop, format).await?;
    Ok(described(format, u64::from(WIDTH), u64::from(HEIGHT), &BASE64_STANDARD.encode(data)))
}

/// A picture in base64, with what it is.
pub(crate) fn described(format: &str, width: u64, height: u64, data: &str) -> String {
    let mime_type = format!("image/{format}");
    json!({ "type": "screenshot", "mime_type": mime_type, "width": width, "height": height, "data": data }).to_string()
}

/// The pictures that were answered as URLs; who has the URL may look, as with the service's storage.
#[derive(Debug, Default)]
pub(crate) struct Screenshots {
    base_url: String,
    kept: Mutex<VecDeque<(String, Arc<Vec<u8>>)>>,
}

impl Screenshots {
    pub(crate) fn new(base_url: &str) -> Screenshots {
        Screenshots { base_url: base_url.to_owned(), kept: Mutex::default() }
    }

    /// Keeps a PNG file; its URL.
    pub(super) fn add(&self, png: Vec<u8>) -> String {
        let name = format!("{:016x}{:016x}.png", fastrand::u64(..), fastrand::u64(..));
        let url = format!("{}/screenshot/{name}", self.base_url);
        let mut kept = self.kept();
        if kept.len() == KEPT_PICTURES {
            kept.pop_front();
        }
        kept.push_back((name, Arc::new(png)));
        url
    }

    /// The PNG file of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Vec<u8>>> {
        self.kept().iter().find(|(known, _)| known == name).map(|(_, png)| Arc::clone(png))
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(String, Arc<Vec<u8>>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_by_their_url_until_there_are_too_many() {
        let screenshots = Screenshots::new("http://127.0.0.1:1");
        let first = screenshots.add(vec![1]);
        let name = first.strip_prefix("http://127.0.0.1:1/screenshot/").unwrap().to_owned();
        assert_eq!(screenshots.find(&name).unwrap().as_slice(), [1]);
        assert!(screenshots.find("other.png").is_none());
        for _ in 0..KEPT_PICTURES {
            assert_ne!(screenshots.add(vec![2]), first);
        }
        assert!(screenshots.find(&name).is_none());
    }
}
