//! The formats of renditions. To add a format, name it in `formats!` and add its row to [`Format::spec`].
//!
//! A [`Format`] is a file that is made from the turns of a meeting, and that the manifest names. The setting RENDITIONS
//! names more: see [`Rendition`].

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

/// Something that the setting RENDITIONS names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rendition {
    File(Format),
    /// The line of [`meeting_line`](crate::meeting_line). It needs no turns: a meeting that cannot be rendered has one,
    /// too. Without this rendition, there is still a short line.
    Meetings,
    /// The document of [`knowledge_renderer`](crate::knowledge_renderer) and its sidecar. No manifest names them, and
    /// an empty meeting has none.
    Knowledge,
}

impl Rendition {
    /// In the order of the documentation.
    pub const ALL: [Self; Format::ALL.len() + 2] = [
        Self::File(Format::Jsonl),
        Self::Meetings,
        Self::File(Format::Txt),
        Self::File(Format::Md),
        Self::File(Format::Vtt),
        Self::File(Format::Srt),
        Self::File(Format::Html),
        Self::Knowledge,
    ];

    /// The name in the setting RENDITIONS.
    pub fn name(self) -> &'static str {
        match self {
            Self::File(format) => format.spec().name,
            Self::Meetings => "meetings",
            Self::Knowledge => "knowledge",
        }
    }

    /// Finds a rendition by its name in the setting RENDITIONS.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rendition| rendition.name() == name)
    }

    /// Returns whether the rendition is made unless the setting says otherwise.
    pub fn is_default(self) -> bool {
        self != Self::Knowledge
    }
}

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_a_rendition_with_its_own_name() {
        let files: Vec<_> = Rendition::ALL
            .into_iter()
            .filter_map(|rendition| match rendition {
                Rendition::File(format) => Some(format),
                Rendition::Meetings | Rendition::Knowledge => None,
            })
            .collect();
        assert_eq!(files, Format::ALL);
        assert_eq!(
            Rendition::ALL.map(Rendition::name),
            ["jsonl", "meetings", "txt", "md", "vtt", "srt", "html", "knowledge"]
        );
        assert!(Rendition::ALL.iter().all(|rendition| Rendition::parse(rendition.name()) == Some(*rendition)));
        assert_eq!(Rendition::parse("pdf"), None);
    }
}
