use std::fs;
use std::path::PathBuf;

/// One line of an INDEX file and the octets that it is about.
pub struct Case {
    pub id: String,
    pub octets: Vec<u8>,
    fields: Vec<(String, String)>,
}

impl Case {
    /// Returns a column of the line, `""` if it is empty.
    pub fn column(&self, name: &str) -> &str {
        self.fields.iter().find(|(column, _)| column == name).map_or("", |(_, value)| value)
    }
}

/// Returns the cases of a corpus in order, templates expanded.
pub fn cases(corpus: &str) -> Vec<Case> {
    let folder = folder(corpus);
    let index = fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let mut lines = index.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            let values = line.split('\t').chain(std::iter::repeat(""));
            let fields: Vec<_> = columns
                .iter()
                .zip(values)
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect();
            let mut case = Case { id: String::new(), octets: Vec::new(), fields };
            case.id = case.column("id").to_string();
            case.octets = expanded(fs::read(folder.join(case.column("file"))).unwrap());
            case
        })
        .collect()
}

/// Returns one file of a corpus.
pub fn file(corpus: &str, name: &str) -> Vec<u8> {
    fs::read(folder(corpus).join(name)).unwrap()
}

/// Returns the names of the files in a folder of a corpus.
pub fn names(corpus: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder(corpus))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn folder(corpus: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance/corpus").join(corpus)
}

/// Expands `{{SIP-HEADER name length}}` and `{{SIP-BODY length}}` in a template's first line.
fn expanded(octets: Vec<u8>) -> Vec<u8> {
    let Some(inside) = octets.strip_prefix(b"{{") else { return octets };
    let end = inside.windows(2).position(|two| two == b"}}").unwrap();
    let order = String::from_utf8(inside[..end].to_vec()).unwrap();
    let rest = String::from_utf8(inside[end + 2..].to_vec()).unwrap();
    let rest = rest.trim_start();
    match order.split(' ').collect::<Vec<_>>()[..] {
        ["SIP-HEADER", name, length] => {
            let (first, others) = rest.split_once("\r\n").unwrap();
            format!("{first}\r\n{name}: {}\r\n{others}", "a".repeat(length.parse().unwrap())).into_bytes()
        }
        ["SIP-BODY", length] => {
            let length: usize = length.parse().unwrap();
            let (headers, _) = rest.split_once("\r\n\r\n").unwrap();
            let headers = headers.replace("Content-Length: 5", &format!("Content-Length: {length}"));
            format!("{headers}\r\n\r\n{}", "a".repeat(length)).into_bytes()
        }
        _ => octets,
    }
}
