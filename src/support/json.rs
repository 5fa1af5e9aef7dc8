//! Values of any shape cross as JSON text: keys keep their order, and the facade's realm makes the objects.

use agb_client::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::{Map, Value};

/// Reads a JSON object that the facade made.
pub(crate) fn json_object(text: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::new(ErrorKind::InvalidArgument, "expected an object")),
        Err(error) => {
            Err(Error::new(ErrorKind::InvalidArgument, format!("not valid JSON: {error}")).with_source(error))
        }
    }
}

/// Writes a value for the facade.
pub(crate) fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
