//! XML, as much of it as S3, RDS and STS need: a writer, and a reader for request bodies.
//!
//! The reader knows elements, text, entities and comments. It has no attributes, no DTD and
//! no entities of one's own, so nothing in a body can grow or reach outside.

/// How deep a request body may nest.
const DEPTH_LIMIT: usize = 16;

/// Writes elements.
#[derive(Debug, Default)]
pub(super) struct Xml(String);

impl Xml {
    /// A document with one root.
    pub(super) fn document(root: &str, namespace: &str, fill: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned());
        if namespace.is_empty() {
            xml.put(&["<", root, ">"]);
        } else {
            xml.put(&["<", root, " xmlns=\"", namespace, "\">"]);
        }
        fill(&mut xml);
        xml.put(&["</", root, ">"]);
        xml.0
    }

    fn put(&mut self, pieces: &[&str]) {
        self.0.extend(pieces.iter().copied());
    }

    /// An element with children.
    pub(super) fn element(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.put(&["<", name, ">"]);
        fill(self);
        self.put(&["</", name, ">"]);
    }

    /// An element with text.
    pub(super) fn text(&mut self, name: &str, value: impl AsRef<str>) {
        self.put(&["<", name, ">"]);
        escape_into(&mut self.0, value.as_ref());
        self.put(&["</", name, ">"]);
    }

    /// An element with text, when there is any.
    pub(super) fn maybe(&mut self, name: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }
}

fn escape_into(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A bare carriage return would be read back as a line feed.
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
}

/// An element that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Without its namespace prefix.
    pub(super) name: String,
    /// All its own text.
    pub(super) text: String,
    /// In the order of writing.
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of that name, without the space around it.
    pub(super) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

/// Reads a document; `None` when it is not well-formed.
pub(super) fn parse(text: &str) -> Option<Element> {
    let mut rest = text.trim_start_matches('\u{feff}').trim();
    let mut open = vec![Element::default()];
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("<!--") {
            rest = after.split_once("-->")?.1;
        } else if let Some(after) = rest.strip_prefix("<?") {
            rest = after.split_once("?>")?.1;
        } else if let Some(after) = rest.strip_prefix("</") {
            let (name, after) = after.split_once('>')?;
            close(&mut open, local_name(name.trim_end()))?;
            rest = after;
        } else if let Some(after) = rest.strip_prefix('<') {
            let (tag, after) = after.split_once('>')?;
            start(&mut open, tag)?;
            rest = after;
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            open.last_mut()?.text.push_str(&unescape(&rest[..end])?);
            rest = &rest[end..];
        }
    }
    let mut document = open.pop().filter(|_| open.is_empty())?;
    (document.children.len() == 1).then(|| document.children.pop()).flatten()
}

fn start(open: &mut Vec<Element>, tag: &str) -> Option<()> {
    let (tag, is_whole) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
    let name = local_name(tag.split_whitespace().next()?).to_owned();
    (!name.starts_with('!') && open.len() <= DEPTH_LIMIT).then_some(())?;
    open.push(Element { name: name.clone(), ..Element::default() });
    if is_whole { close(open, &name) } else { Some(()) }
}

fn close(open: &mut Vec<Element>, name: &str) -> Option<()> {
    let done = open.pop().filter(|element| element.name == name)?;
    open.last_mut()?.children.push(done);
    Some(())
}

fn local_name(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';')?;
        out.push_str(before);
        out.push(character(entity)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        number => {
            let digits = number.strip_prefix('#')?;
            let code = match digits.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let text = Xml::document("Root", "http://example.com/", |xml| {
            xml.element("Part", |xml| xml.text("ETag", "\"a&b\"<\r>"));
            xml.maybe("Absent", None::<&str>);
        });
        let root = parse(&text).unwrap();
        assert_eq!(root.name, "Root");
        assert_eq!(root.children[0].child_text("ETag"), Some("\"a&b\"<\r>"));
        assert_eq!(root.child("Absent"), None);
    }

    #[test]
    fn broken_documents_are_refused() {
        for text in
            ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a>&unknown;</a>", "<!DOCTYPE a><a/>"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        let deep = "<a>".repeat(50) + &"</a>".repeat(50);
        assert_eq!(parse(&deep), None);
    }
}
