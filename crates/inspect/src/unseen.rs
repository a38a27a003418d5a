//! Characters that nobody sees, or that move or turn what is beside them: the one list of them (DerivedCoreProperties.txt of
//! Unicode 16, `Default_Ignorable_Code_Point`; what annotates between lines; letters and patterns that are blank).

/// What such a character is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// Of the alphabet of tags: it spells what nobody reads.
    Tag,
    /// It chooses the look of the symbol before it.
    Selector,
    /// Without width, and of no use where letters are.
    Widthless,
    /// It joins emoji and letters of scripts that join, is a vowel of Khmer or a selector of Mongolian, or puts hieroglyphs
    /// together.
    Joiner,
    /// It turns the direction of what follows.
    Override,
    /// An embedding, an isolate or a mark of direction.
    Mark,
    /// A letter or a pattern by name, and blank to see.
    Blank,
    /// For private use: each font draws its own, or nothing.
    Private,
}

impl Unseen {
    /// What it is; `None` of what people see, and of control characters and white space.
    pub(crate) fn of(c: char) -> Option<Self> {
        if c < '\u{ad}' {
            return None;
        }
        Some(match c {
            '\u{e0000}'..='\u{e007f}' => Self::Tag,
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => Self::Selector,
            '\u{ad}'
            | '\u{34f}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{2060}'..='\u{2065}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0080}'..='\u{e00ff}'
            | '\u{e01f0}'..='\u{e0fff}'
            // no characters at all
            | '\u{fdd0}'..='\u{fdef}' => Self::Widthless,
            _ if u32::from(c) & 0xfffe == 0xfffe => Self::Widthless,
            '\u{200c}'
            | '\u{200d}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2d7f}'
            | '\u{1107f}'
            | '\u{13430}'..='\u{1345f}'
            | '\u{16fe4}' => Self::Joiner,
            '\u{202d}' | '\u{202e}' => Self::Override,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202c}' | '\u{2066}'..='\u{206f}' => {
                Self::Mark
            }
            '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' => Self::Blank,
            '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => Self::Private,
            _ => return None,
        })
    }

    /// Whether it takes no room at all.
    pub(crate) fn is_widthless(self) -> bool {
        !matches!(self, Self::Blank | Self::Private)
    }
}
