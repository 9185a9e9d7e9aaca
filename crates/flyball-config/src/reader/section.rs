//! The one declaration of a section's keys: name, documentation, type, default, conditions, and who
//! may set them. It makes the table for reference and hints, the reader, and, where a type is
//! nothing but its keys, the type.

use std::path::Path;

use super::field::Reports;
use super::key::Section;
use super::syntax::Syntax;
use super::table::{Surroundings, TableReader};
use super::value::Table;
use crate::Env;

/// The keys of one section as they were read, right or wrong.
pub(crate) trait Keys: Sized {
    const SECTION: &'static Section;

    fn read(reader: &mut TableReader<'_>) -> Self;
}

/// What `done` makes of the keys of a table that says nothing, for a section with defaults alone.
#[expect(clippy::expect_used, reason = "a default is a value of its key's kind, as a test shows")]
pub(crate) fn of_nothing<K: Keys, T>(done: impl FnOnce(K, &mut Reports) -> Option<T>) -> T {
    let (mut reports, env) = (Reports::default(), Env::default());
    let around = Surroundings { syntax: Syntax::File, base: Path::new(""), env: &env };
    let keys = TableReader::read_all(String::new(), 0..0, Table::new(), around, &mut reports);
    done(keys, &mut reports).expect("every key has a default")
}

/// `NAME "path" { /// meaning \n key: TYPE = KIND, MODE "fallback", label WHO, only [..]; }`
///
/// A field that is called otherwise than its key is `field("key")`. MODE is a method of
/// [`TableReader`]: `default` (the fallback is the value, as it would be written), `required` (an
/// example), or `optional`, `empty`, `implied`, `group` and `state_dir` (words for the reference).
/// `=> pub TYPE` makes a public type with the same fields, and `with { field: TYPE = VALUE; }` adds
/// fields to it that are no keys.
macro_rules! section {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    (@label) => { None };
    (@label $label:ident) => { Some($crate::reader::ByLabel::$label) };
    (@key [$($name:literal)?] $field:ident, $kind:expr, $mode:ident $text:literal,
        [$($meaning:literal)*] [$($label:ident)?] $($only:expr),*
    ) => {
        $crate::reader::Key {
            name: section!(@name $field $($name)?),
            form: $kind.form,
            fallback: section!(@fallback $mode $text),
            meaning: concat!("", $($meaning),*),
            only: &[$($only),*],
            by_label: section!(@label $($label)?),
        }
    };
    (@fallback default $text:literal) => { $crate::reader::Fallback::Is($text) };
    (@fallback required $text:literal) => { $crate::reader::Fallback::Required($text) };
    (@fallback $mode:ident $text:literal) => { $crate::reader::Fallback::Otherwise($text) };
    (
        $(#[doc = $doc:literal])* $keys:ident $path:literal => pub $public:ident { $(
            $(#[doc = $meaning:literal])*
            $field:ident $(($name:literal))?: $type:ty = $kind:expr, $mode:ident $text:literal
            $(, label $label:ident)?;
        )* } $(with { $( $(#[doc = $about:literal])* $more:ident: $kept:ty = $value:expr; )* })?
    ) => {
        section! { $(#[doc = $doc])* $keys $path { $(
            $(#[doc = $meaning])* $field $(($name))?: $type = $kind, $mode $text $(, label $label)?;
        )* } }

        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $public {
            $( $(#[doc = $meaning])* pub $field: $type, )*
            $($( $(#[doc = $about])* pub $more: $kept, )*)?
        }

        impl $keys {
            /// What was read; `None` if any of it was refused.
            pub(crate) fn all(self) -> Option<$public> {
                Some($public { $( $field: self.$field.value?, )* $($( $more: $value, )*)? })
            }
        }
    };
    ($(#[doc = $doc:literal])* $keys:ident $path:literal { $(
        $(#[doc = $meaning:literal])*
        $field:ident $(($name:literal))?: $type:ty = $kind:expr, $mode:ident $text:literal
        $(, label $label:ident)? $(, only [$($only:expr),*])?;
    )* }) => {
        #[derive(Clone)]
        pub(crate) struct $keys { $( pub(crate) $field: $crate::reader::Field<$type>, )* }

        impl $crate::reader::Keys for $keys {
            const SECTION: &'static $crate::reader::Section = &$crate::reader::Section {
                path: $path,
                meaning: concat!("", $($doc),*),
                declared: &[ $( section!(@key
                    [$($name)?] $field, $kind, $mode $text, [$($meaning)*] [$($label)?] $($($only),*)?
                ), )* ],
            };

            fn read(reader: &mut $crate::reader::TableReader<'_>) -> Self {
                Self { $( $field: reader.$mode(const { &section!(@key
                    [$($name)?] $field, $kind, $mode $text, [$($meaning)*] [$($label)?] $($($only),*)?
                ) }, $kind), )* }
            }
        }
    };
}
pub(crate) use section;
