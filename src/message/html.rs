/// Octets of the name of a tag or an entity beyond which it is none that we know.
const NAME_BYTES: usize = 12;

/// Entities that stand in the beginnings of mails.
const ENTITIES: [(&str, char); 22] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("eacute", 'é'),
    ("egrave", 'è'),
    ("agrave", 'à'),
    ("ccedil", 'ç'),
    ("copy", '©'),
    ("euro", '€'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("hellip", '…'),
];

/// Elements that do not end a word.
const INLINE: [&str; 14] =
    ["a", "abbr", "b", "big", "em", "font", "i", "small", "span", "strong", "sub", "sup", "tt", "u"];

/// Elements whose content nobody reads.
const HIDDEN: [&str; 3] = ["style", "script", "title"];

/// Takes the tags out of HTML as it streams by: enough for a preview, no parser.
#[derive(Debug, Default)]
pub(super) struct HtmlStripper {
    place: Place,
    /// The name of the tag or entity as far as it has come.
    name: String,
    /// The element whose content is passed over.
    hidden: Option<&'static str>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// Behind `<`, in the name.
    Name,
    /// In a tag, behind its name; in quotes, up to the same again.
    Tag(Option<char>),
    /// In a comment, behind so many hyphens.
    Comment(u8),
    /// Behind `&`.
    Entity,
}

impl HtmlStripper {
    /// Calls `each` for the characters of the text.
    pub fn push(&mut self, html: &str, mut each: impl FnMut(char)) {
        for c in html.chars() {
            self.take(c, &mut each);
        }
    }

    fn take(&mut self, c: char, each: &mut impl FnMut(char)) {
        match (self.place, c) {
            (Place::Text, '<') => self.begin(Place::Name),
            (Place::Text, _) if self.hidden.is_some() => {}
            (Place::Text, '&') => self.begin(Place::Entity),
            (Place::Text, _) => each(c),
            (Place::Name, '-') if self.name == "!-" => self.place = Place::Comment(0),
            (Place::Name, c) if c.is_ascii_alphanumeric() || matches!(c, '/' | '!' | '-') => self.lengthen(c),
            (Place::Name, '>') => self.end_tag(each),
            // `a < b` is no tag.
            (Place::Name, c) if self.name.is_empty() => {
                self.place = Place::Text;
                if self.hidden.is_none() {
                    each('<');
                    each(c);
                }
            }
            (Place::Name, _) => self.place = Place::Tag(None),
            (Place::Tag(None), '>') => self.end_tag(each),
            (Place::Tag(None), '"' | '\'') => self.place = Place::Tag(Some(c)),
            (Place::Tag(Some(quote)), c) if c == quote => self.place = Place::Tag(None),
            (Place::Tag(_), _) => {}
            (Place::Comment(2..), '>') => self.place = Place::Text,
            (Place::Comment(hyphens), '-') => self.place = Place::Comment(hyphens.saturating_add(1)),
            (Place::Comment(_), _) => self.place = Place::Comment(0),
            (Place::Entity, c) if c.is_ascii_alphanumeric() || c == '#' => self.lengthen(c),
            (Place::Entity, _) => {
                self.end_entity(c == ';', each);
                if c != ';' {
                    self.take(c, each);
                }
            }
        }
    }

    fn begin(&mut self, place: Place) {
        self.place = place;
        self.name.clear();
    }

    fn lengthen(&mut self, c: char) {
        if self.name.len() < NAME_BYTES {
            self.name.push(c);
        }
        let closes = |hidden: &str| {
            "/".chars().chain(hidden.chars()).zip(self.name.chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b))
        };
        // Scripts hold what looks like tags.
        if self.hidden.is_some_and(|hidden| !closes(hidden)) {
            self.place = Place::Text;
        }
    }

    fn end_tag(&mut self, each: &mut impl FnMut(char)) {
        self.place = Place::Text;
        self.name.make_ascii_lowercase();
        let (is_closing, name) = match self.name.strip_prefix('/') {
            Some(name) => (true, name),
            None => (false, self.name.trim_end_matches('/')),
        };
        match self.hidden {
            Some(hidden) if is_closing && name == hidden => self.hidden = None,
            Some(_) => {}
            None if !is_closing && HIDDEN.contains(&name) => self.hidden = HIDDEN.into_iter().find(|h| *h == name),
            None if INLINE.contains(&name) => {}
            None => each(' '),
        }
    }

    fn end_entity(&mut self, is_closed: bool, each: &mut impl FnMut(char)) {
        self.place = Place::Text;
        let number = match self.name.strip_prefix('#') {
            Some(hex) if hex.starts_with(['x', 'X']) => u32::from_str_radix(hex.get(1..).unwrap_or_default(), 16).ok(),
            Some(digits) => digits.parse().ok(),
            None => None,
        };
        let known = ENTITIES.iter().find(|(name, _)| *name == self.name).map(|(_, c)| *c);
        if let Some(c) = number.and_then(char::from_u32).or(known) {
            each(c);
        } else if !is_closed {
            // No entity: an ampersand as in `AT&T`.
            each('&');
            self.name.chars().for_each(each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, expected: &str) {
        for cut in (0..=html.len()).filter(|cut| html.is_char_boundary(*cut)) {
            let (mut stripper, mut text) = (HtmlStripper::default(), String::new());
            stripper.push(&html[..cut], |c| text.push(c));
            stripper.push(&html[cut..], |c| text.push(c));
            assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{html} cut at {cut}");
        }
    }

    #[test]
    fn tags_are_taken_out() {
        check("<html><body><p>Hello <b>wor</b>ld</p><br/>next</body>", "Hello world next");
        check("<td>a</td><td>b</td>", "a b");
        check("<!DOCTYPE html><!-- a > b -- c --->x", "x");
        check("<style type='a>b'>p { x }</style>a<SCRIPT>if (a<b) c('</p>')</SCRIPT>b<title>t</title>", "ab");
        check("<img alt=\"a > b\" src=x>y", "y");
        check("a < b and c<d", "a < b and c");
        check("open <a href", "open");
    }

    #[test]
    fn entities_are_read() {
        check("a&amp;b &lt;c&gt; &#65;&#x42; &nbsp;&uuml;", "a&b <c> AB ü");
        check("AT&T &; &unknown; &#1114112; a&b<br>c", "AT&T a&b c");
    }
}
