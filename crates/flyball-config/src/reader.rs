//! How a table of the file, or the labels of a container, becomes values: each key is declared once
//! with [`section!`], and every mistake is recorded with its place instead of ending the reading.

mod address;
mod error;
mod field;
mod key;
mod kinds;
mod numbers;
mod problem;
mod section;
mod source;
mod syntax;
mod table;
mod tables;
mod texts;
mod value;
mod words;

pub(crate) use address::*;
pub use error::{ConfigError, MINIMAL};
pub(crate) use field::{Field, Reports};
pub(crate) use key::{ByLabel, Fallback, Form, Key, Only, Section};
pub(crate) use kinds::*;
pub(crate) use numbers::*;
pub use problem::{ConfigErrors, Excerpt, PROBLEMS_MAX, Place, Problem};
pub(crate) use section::{Keys, of_nothing, section};
pub use source::TEXT_MAX;
pub(crate) use source::{Source, read};
pub(crate) use syntax::{LABELS_PATH, Syntax, join};
pub(crate) use table::{Surroundings, TableReader};
pub(crate) use tables::{VARIABLES, table};
pub(crate) use texts::*;
pub(crate) use value::{Entry, Node, Span, Table, Value, shorten, show_path, table_from, value_in};
pub(crate) use words::{choice, not_valid, unknown_word};
