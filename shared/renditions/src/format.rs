//! The formats of renditions. To add a format, name it in `formats!` and add its row to [`Format::spec`].

use super::{Meeting, Turn, html, jsonl, md, srt, txt, vtt};

/// Defines [`Format`] and [`Format::ALL`] from one list, so that neither can miss a format.
macro_rules! formats {
    ($($format:ident),*) => {
        /// A format of renditions, in the order in which the files are written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Format { $($format),* }

        impl Format {
            pub const ALL: [Self; [$(stringify!($format)),*].len()] = [$(Self::$format),*];
        }
    };
}

formats!(Jsonl, Txt, Md, Vtt, Srt, Html);

/// Everything in which one format differs from another.
#[derive(Clone, Copy, Debug)]
pub struct FormatSpec {
    /// The name of the format in the setting `RENDITIONS`.
    pub name: &'static str,
    /// The name of the file in the manifest.
    pub file_name: &'static str,
    pub content_type: &'static str,
    /// Whether a file of 0 bytes is valid in this format. If it is not, converters reject such a file as damaged.
    pub may_be_empty: bool,
    /// Makes a renderer for one meeting.
    pub renderer: fn() -> Box<dyn Renderer>,
}

/// Writes one rendition. A renderer appends to `out`, which the caller may empty after each call.
pub trait Renderer: Send {
    fn begin(&mut self, _meeting: &Meeting, _out: &mut String) {}
    fn turn(&mut self, meeting: &Meeting, turn: &Turn, out: &mut String);
    fn end(&mut self, _meeting: &Meeting, _out: &mut String) {}
}

impl Format {
    pub fn spec(self) -> FormatSpec {
        match self {
            Self::Jsonl => FormatSpec {
                name: "jsonl",
                file_name: "turns.jsonl",
                content_type: "application/x-ndjson",
                may_be_empty: true,
                renderer: || Box::new(jsonl::Jsonl),
            },
            Self::Txt => FormatSpec {
                name: "txt",
                file_name: "transcript.txt",
                content_type: "text/plain; charset=utf-8",
                may_be_empty: true,
                renderer: || Box::new(txt::Txt),
            },
            Self::Md => FormatSpec {
                name: "md",
                file_name: "transcript.md",
                content_type: "text/markdown; charset=utf-8",
                may_be_empty: true,
                renderer: || Box::new(md::Md),
            },
            Self::Vtt => FormatSpec {
                name: "vtt",
                file_name: "transcript.vtt",
                content_type: "text/vtt",
                may_be_empty: true,
                renderer: || Box::new(vtt::Vtt::default()),
            },
            Self::Srt => FormatSpec {
                name: "srt",
                file_name: "transcript.srt",
                content_type: "application/x-subrip",
                may_be_empty: false,
                renderer: || Box::new(srt::Srt::default()),
            },
            Self::Html => FormatSpec {
                name: "html",
                file_name: "transcript.html",
                content_type: "text/html; charset=utf-8",
                may_be_empty: true,
                renderer: || Box::new(html::Html::default()),
            },
        }
    }

    /// Finds a format by its name in the setting `RENDITIONS`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.spec().name == name)
    }
}
