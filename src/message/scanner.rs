use memchr::{memchr, memchr_iter, memmem};

use super::boundary::{Boundaries, Found};
use super::envelope::{self, envelope};
use super::heading::{Heading, heading};
use super::preview::Previewer;
use super::summary::{Part, PartKind, Structure};
use crate::base::limits;

/// Finds a message's parts while its body streams by (RFC 2045, RFC 2046): memory does not grow with the message.
///
/// What is deeper or more than the limits is part of the content of the last part that is within them.
pub struct StructureScanner {
    /// What the message's own header block says, until its content begins.
    heading: Option<Heading>,
    parts: Vec<Part>,
    /// The parts that are open, from the message to the innermost.
    open: Vec<Open>,
    boundaries: Boundaries,
    state: State,
    /// Octets of the body that were taken, line ends among them, and the last two.
    at: u64,
    lines: u64,
    last: [u8; 2],
    /// The header block of a part, as far as it has come and is looked at.
    header: Vec<u8>,
    /// The beginning of the current line, where it is needed to tell what line it is.
    line: Vec<u8>,
    /// What values may still cost.
    room_bytes: usize,
    previewer: Previewer,
    hyphens: memmem::Finder<'static>,
}

/// A part whose end has not come.
#[derive(Debug, Clone, Copy)]
struct Open {
    place: usize,
    /// Line ends before its content.
    lines: u64,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The blank line behind the message's header block.
    BlankLine,
    /// The header block of a part of the innermost open one.
    Header(HeaderPlace),
    /// A line of content, of which [`StructureScanner::line`] is taken already: it may be a boundary.
    Line,
    /// The rest of a line of content.
    Content,
    /// The rest of a boundary line; behind it a part, or content.
    BoundaryLine { opens: bool },
}

/// Where in a part's header block we are. Only its whole lines are counted in [`StructureScanner::at`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HeaderPlace {
    /// Where it began.
    at: u64,
    /// Octets of the current line so far.
    line_bytes: u64,
    /// Octets of the line end before that line, unless it is the first.
    newline_bytes: u64,
}

/// What the scanner has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The parts.
    pub structure: Structure,
    /// The beginning of the text, decoded.
    pub preview: String,
}

impl StructureScanner {
    /// Of a message with that header block.
    pub fn new(header_block: &[u8]) -> Self {
        let mut room_bytes = limits::SHOWN_STRUCTURE_BYTES;
        Self {
            heading: Some(heading(header_block, false, &mut room_bytes)),
            parts: Vec::new(),
            open: Vec::new(),
            boundaries: Boundaries::default(),
            state: State::BlankLine,
            at: 0,
            lines: 0,
            last: [0; 2],
            header: Vec::new(),
            line: Vec::new(),
            room_bytes,
            previewer: Previewer::default(),
            hyphens: memmem::Finder::new(b"\n--"),
        }
    }

    /// Takes the next octets of the body, whose first are the blank line behind the header block.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.state {
                State::BlankLine => self.take_blank_line(rest),
                State::Header(place) => self.take_header_line(rest, place),
                State::Line => self.take_line(rest),
                State::Content => self.take_content(rest),
                State::BoundaryLine { opens } => self.take_boundary_line(rest, opens),
            };
        }
    }

    /// The message has ended.
    pub fn finish(mut self) -> Scanned {
        match self.state {
            State::BlankLine => self.begin_message(),
            State::Line if !self.line.is_empty() => self.end_line(),
            State::Header(place) => self.end_last_header_line(place),
            _ => {}
        }
        if self.state == (State::BoundaryLine { opens: true }) {
            self.begin_part();
        }
        self.end_headers(self.at);
        self.close_down_to(0, self.at, self.lines);
        Scanned { structure: Structure { parts: self.parts }, preview: self.previewer.finish() }
    }

    fn take_blank_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let len = match (self.at, bytes) {
            (0, [b'\r', b'\n', ..]) => 2,
            (0, [b'\r']) => {
                self.advance(bytes);
                return &[];
            }
            (0, [b'\r', ..]) | (_, [b'\n', ..]) => 1,
            _ => 0,
        };
        let (blank, rest) = bytes.split_at_checked(len).unwrap_or_default();
        self.advance(blank);
        self.begin_message();
        rest
    }

    fn begin_message(&mut self) {
        if let Some(heading) = self.heading.take() {
            self.add(heading, 0, self.at);
        }
        // The message's own header block lies elsewhere.
        if let Some(message) = self.parts.first_mut() {
            (message.header_at, message.header_bytes) = (0, 0);
        }
    }

    /// A line of a part's header block, or what there is of it.
    fn take_header_line<'a>(&mut self, bytes: &'a [u8], mut place: HeaderPlace) -> &'a [u8] {
        let end = memchr(b'\n', bytes).map(|end| end.saturating_add(1));
        let (line, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or_default();
        let looked_at = self.boundaries.deciding_bytes().saturating_sub(self.line.len());
        self.line.extend_from_slice(line.get(..looked_at).unwrap_or(line));
        let room = limits::PART_HEADER_BYTES.saturating_sub(self.header.len());
        self.header.extend_from_slice(line.get(..room).unwrap_or(line));
        self.remember(line);
        place.line_bytes = place.line_bytes.saturating_add(line.len() as u64);
        if end.is_none() {
            self.state = State::Header(place);
            return rest;
        }
        if let Some(found) = self.boundaries.find(&self.line) {
            self.end_header_at_boundary(place, found);
            self.at = self.at.saturating_add(place.line_bytes);
            self.lines += 1;
            self.begin_behind(!found.is_last);
            return rest;
        }
        self.at = self.at.saturating_add(place.line_bytes);
        self.lines += 1;
        if matches!(self.line.as_slice(), b"\r\n" | b"\n") {
            self.line.clear();
            self.end_header(place.at, self.at);
        } else {
            self.line.clear();
            self.state = State::Header(HeaderPlace { line_bytes: 0, newline_bytes: self.newline_bytes(), ..place });
        }
        rest
    }

    /// A part ends before its content has begun. The line end before the boundary belongs to that.
    fn end_header_at_boundary(&mut self, place: HeaderPlace, found: Found) {
        let end = self.at.saturating_sub(place.newline_bytes);
        self.end_headers(end);
        let lines = self.lines.saturating_sub(u64::from(place.newline_bytes > 0));
        self.close_down_to(found.depth.saturating_add(1), end, lines);
        self.boundaries.close(found);
    }

    fn end_last_header_line(&mut self, place: HeaderPlace) {
        let found = self.boundaries.find(&self.line);
        if let Some(found) = found {
            self.end_header_at_boundary(place, found);
            self.state = State::BoundaryLine { opens: !found.is_last };
        }
        self.at = self.at.saturating_add(place.line_bytes);
    }

    /// Ends the header block that is open, and those of the messages inside, which have nothing then.
    fn end_headers(&mut self, content_at: u64) {
        while let State::Header(place) = self.state {
            self.end_header(place.at, content_at);
        }
    }

    // RFC 2046 §5.1, §5.2.1
    fn end_header(&mut self, header_at: u64, content_at: u64) {
        let parent = self.open.last().and_then(|open| self.parts.get_mut(open.place));
        let mut is_digested = false;
        if let Some(parent) = parent {
            is_digested = parent.kind == PartKind::Multipart && parent.subtype == b"digest";
            if let PartKind::Message { envelope: known } = &mut parent.kind {
                *known = envelope(&self.header);
                match self.room_bytes.checked_sub(known.len()) {
                    Some(left) => self.room_bytes = left,
                    None => *known = envelope::EMPTY.to_vec(),
                }
            }
        }
        let heading = heading(&self.header, is_digested, &mut self.room_bytes);
        self.header.clear();
        self.add(heading, header_at, content_at);
    }

    /// A part whose content begins.
    fn add(&mut self, heading: Heading, header_at: u64, content_at: u64) {
        let Heading { mut part, boundary } = heading;
        let (depth, place) = (self.open.len(), self.parts.len());
        let is_last = place.saturating_add(1) >= limits::PARTS;
        if (is_last || depth >= limits::PART_DEPTH) && !matches!(part.kind, PartKind::Text | PartKind::Other(_)) {
            // What has parts that are not told of is nothing but octets.
            (part.kind, part.subtype) = (PartKind::Other(b"application".to_vec()), b"octet-stream".to_vec());
        }
        if is_last {
            self.boundaries.clear();
        }
        part.parent = self.open.last().and_then(|open| u16::try_from(open.place).ok());
        (part.header_at, part.header_bytes) = (header_at, content_at.saturating_sub(header_at));
        part.content_at = content_at;
        self.open.push(Open { place, lines: self.lines });
        self.state = match part.kind {
            PartKind::Message { .. } => header_from(content_at),
            _ => State::Line,
        };
        match boundary {
            Some(boundary) if part.kind == PartKind::Multipart => self.boundaries.open(boundary, depth),
            _ => self.previewer.begin(&part),
        }
        self.parts.push(part);
    }

    /// A line of content, of which nothing or only the beginning of a boundary has come.
    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.boundaries.is_empty() || (self.line.is_empty() && bytes.first() != Some(&b'-')) {
            self.state = State::Content;
            return bytes;
        }
        let deciding = self.boundaries.deciding_bytes();
        let window = bytes.get(..deciding.saturating_sub(self.line.len())).unwrap_or(bytes);
        let end = memchr(b'\n', window).map(|end| end.saturating_add(1));
        let (line, rest) = bytes.split_at_checked(end.unwrap_or(window.len())).unwrap_or_default();
        self.line.extend_from_slice(line);
        let is_hyphen = |at: usize| self.line.get(at).is_none_or(|byte| *byte == b'-');
        if end.is_some() || self.line.len() >= deciding || !is_hyphen(1) {
            self.end_line();
        }
        rest
    }

    /// Enough of a line of content is there to tell what it is.
    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        let is_whole = line.last() == Some(&b'\n');
        if let Some(found) = self.boundaries.find(&line) {
            // RFC 2046 §5.1.1: the line end before a boundary belongs to it.
            let newline_bytes = self.newline_bytes();
            let lines = self.lines.saturating_sub(u64::from(newline_bytes > 0));
            self.close_down_to(found.depth.saturating_add(1), self.at.saturating_sub(newline_bytes), lines);
            self.boundaries.close(found);
            self.advance(&line);
            self.state = State::BoundaryLine { opens: !found.is_last };
            if is_whole {
                self.begin_behind(!found.is_last);
            }
        } else {
            self.advance(&line);
            self.previewer.push(&line);
            self.state = if is_whole { State::Line } else { State::Content };
        }
        line.clear();
        self.line = line;
    }

    /// Content up to the next line that may be a boundary: found at memory speed.
    fn take_content<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = if self.boundaries.is_empty() {
            bytes.len()
        } else {
            match (self.hyphens.find(bytes), bytes) {
                (Some(at), _) => at.saturating_add(1),
                (None, [.., b'\n', b'-']) => bytes.len().saturating_sub(1),
                (None, _) => bytes.len(),
            }
        };
        let (content, rest) = bytes.split_at_checked(end).unwrap_or_default();
        self.advance(content);
        self.previewer.push(content);
        if self.last.last() == Some(&b'\n') {
            self.state = State::Line;
        }
        rest
    }

    fn take_boundary_line<'a>(&mut self, bytes: &'a [u8], opens: bool) -> &'a [u8] {
        let end = memchr(b'\n', bytes).map(|end| end.saturating_add(1));
        let (line, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or_default();
        self.advance(line);
        if end.is_some() {
            self.begin_behind(opens);
        }
        rest
    }

    /// What stands behind a boundary line begins.
    fn begin_behind(&mut self, opens: bool) {
        self.line.clear();
        if opens {
            self.begin_part();
        } else {
            self.state = State::Line;
        }
    }

    fn begin_part(&mut self) {
        self.header.clear();
        self.state = header_from(self.at);
    }

    /// Closes the parts from that depth on; their content ends at `end`, before which there are so many line ends.
    fn close_down_to(&mut self, depth: usize, end: u64, lines: u64) {
        // RFC 2046 §5.1.1: the line end before a boundary belongs to it, also when it is the blank line behind a header
        // block.
        if self.open.len() > depth
            && let Some(part) = self.open.last().and_then(|open| self.parts.get_mut(open.place))
            && part.content_at > end
        {
            (part.header_bytes, part.content_at) = (end.saturating_sub(part.header_at), end);
        }
        while self.open.len() > depth {
            let Some(open) = self.open.pop() else { return };
            self.previewer.end();
            if let Some(part) = self.parts.get_mut(open.place) {
                part.content_bytes = end.saturating_sub(part.content_at);
                part.lines = lines.saturating_sub(open.lines);
            }
        }
    }

    /// Octets are behind us.
    fn advance(&mut self, bytes: &[u8]) {
        self.at = self.at.saturating_add(bytes.len() as u64);
        self.lines = self.lines.saturating_add(memchr_iter(b'\n', bytes).count() as u64);
        self.remember(bytes);
    }

    fn remember(&mut self, bytes: &[u8]) {
        match bytes {
            [.., a, b] => self.last = [*a, *b],
            [b] => self.last = [self.last[1], *b],
            [] => {}
        }
    }

    /// Octets of the line end that we stand behind.
    fn newline_bytes(&self) -> u64 {
        match self.last {
            [b'\r', b'\n'] => 2,
            [_, b'\n'] => 1,
            _ => 0,
        }
    }
}

fn header_from(at: u64) -> State {
    State::Header(HeaderPlace { at, line_bytes: 0, newline_bytes: 0 })
}
