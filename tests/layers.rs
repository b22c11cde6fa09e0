//! The rules of this codebase as tests: who may import whom, and what a file must look like. Sources are read as
//! tokens, so comments and strings do not count, and paths inside macros do.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// The modules, low to high. A module imports only from lower lines; modules of one line do not see each other.
/// `store` and `align` have their place and come with the review loop.
const LAYERS: &[&[&str]] = &[
    &["message", "verdict"],
    &["policy", "nn", "store", "telemetry"],
    &["detect", "upstream", "dialect", "align"],
    &["guard"],
    &["gateway"],
    &["http", "eval"],
    &["config"],
    &["app"],
    &["cli"],
];

/// What the table does not allow and is right all the same.
const EXCEPTIONS: &[(&str, &str)] = &[
    // A verdict says which way the judged text travels.
    ("verdict", "message"),
];

/// Nobody else reads the environment: a setting that is read elsewhere is in no help text and no file.
const READERS_OF_THE_ENVIRONMENT: &[&str] = &["config", "cli"];

/// Nobody else knows which library computes.
const USERS_OF_CANDLE: &[&str] = &["nn", "align"];

/// A longer file is about more than one thing.
const MOST_LINES: usize = 450;

#[test]
fn modules_import_only_from_lower_layers() {
    assert_clean(imports);
}

#[test]
fn every_module_has_its_layer() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let layers: Vec<usize> = (lib.lines())
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(|module| layer(module).unwrap_or_else(|| panic!("`{module}` is in no layer of tests/layers.rs")))
        .collect();
    assert!(layers.len() > 10, "src/lib.rs lists its modules");
    assert!(layers.is_sorted(), "src/lib.rs lists its modules from low to high: {layers:?}");
}

#[test]
fn the_environment_and_the_networks_stay_where_they_belong() {
    assert_clean(confined);
}

#[test]
fn no_unsafe_and_no_unwrap() {
    assert_clean(forbidden);
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for file in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            wrong.extend(shape(&name(&file), &text));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The rules must see what they are for, or they hold nothing.
#[test]
fn violations_are_found() {
    let upward = imports("src/detect/pii.rs", "use crate::{guard::Guard, verdict::{Hit, Span}};");
    assert_eq!(upward, ["src/detect/pii.rs: `detect` must not import `guard`"]);
    let sideways = imports("src/nn.rs", "fn f() { crate::policy::load(super::telemetry::x) }");
    assert_eq!(sideways.len(), 2, "{sideways:?}");
    let through_super = imports("src/detect/pii/card.rs", "use super::{super::super::http::State, Card};");
    assert_eq!(through_super, ["src/detect/pii/card.rs: `detect` must not import `http`"]);
    let in_a_macro = imports("src/message.rs", "m! { $crate::cli::run() }");
    assert_eq!(in_a_macro.len(), 1, "{in_a_macro:?}");
    let inline = imports("src/detect.rs", "mod inner { use super::super::app::App; use super::view; }");
    assert_eq!(inline.len(), 1, "{inline:?}");
    let unknown = imports("src/guard.rs", "use crate::misc::helper;");
    assert_eq!(unknown, ["src/guard.rs: `misc` is in no layer of tests/layers.rs"]);

    assert_eq!(confined("src/guard.rs", "use std::{env, fs}; use candle_core::Tensor;").len(), 2);
    assert_eq!(confined("src/config/file.rs", "fn f() { std::env::var(\"X\"); }").len(), 0);
    assert_eq!(forbidden("src/guard.rs", "fn f() { unsafe { g().unwrap() } }").len(), 2);
    assert_eq!(shape("src/x.rs", "// no header\n").len(), 1);
    assert_eq!(shape("src/x.rs", &format!("//! X.\n{}", "\n".repeat(MOST_LINES))).len(), 1);
}

#[test]
fn what_is_allowed_is_not_reported() {
    let text = "
        //! In a comment: crate::cli::run and unsafe.
        use crate::verdict::Verdict;
        use super::{view::View, crate_name};
        const TEXT: &str = \"crate::http unsafe\";
        fn f(x: Option<u8>) -> u8 { x.unwrap_or(crate::message::DEFAULT) }
        #[cfg(test)] mod tests { use crate::cli::Cli; fn t() { Some(1).unwrap(); } }
        #[cfg(test)] mod more;
    ";
    assert_eq!(imports("src/detect/pii.rs", text), [] as [String; 0]);
    assert_eq!(forbidden("src/detect/pii.rs", text), [] as [String; 0]);
    assert_eq!(forbidden("src/detect/tests.rs", "fn t() { Some(1).unwrap(); }"), [] as [String; 0]);
}

fn imports(file: &str, text: &str) -> Vec<String> {
    let own = module_path(file);
    let Some(module) = own.first().cloned() else { return Vec::new() };
    let mut wrong = Vec::new();
    for path in paths(text, &own) {
        let [root, target, ..] = &path[..] else { continue };
        if root != "crate" || *target == module {
            continue;
        }
        wrong.extend(match (layer(&module), layer(target)) {
            (_, None) => Some(format!("{file}: `{target}` is in no layer of tests/layers.rs")),
            (from, to) if from > to || EXCEPTIONS.contains(&(&*module, &**target)) => None,
            _ => Some(format!("{file}: `{module}` must not import `{target}`")),
        });
    }
    wrong
}

fn confined(file: &str, text: &str) -> Vec<String> {
    let own = module_path(file);
    let module = own.first().map_or("", String::as_str);
    let mut wrong = Vec::new();
    for path in paths(text, &own) {
        if path.starts_with(&["std".to_owned(), "env".to_owned()])
            && !READERS_OF_THE_ENVIRONMENT.contains(&module)
        {
            wrong.push(format!("{file}: only {READERS_OF_THE_ENVIRONMENT:?} read the environment"));
        }
        if path[0].starts_with("candle_") && !USERS_OF_CANDLE.contains(&module) {
            wrong.push(format!("{file}: only {USERS_OF_CANDLE:?} use candle"));
        }
    }
    wrong
}

fn forbidden(file: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_test = file.ends_with("/tests.rs") || file.contains("/tests/");
    each_token(without_tests(tokens(text)), &mut |before, token| {
        let TokenTree::Ident(ident) = token else { return };
        if ident == "unsafe" {
            wrong.push(format!("{file}: no `unsafe`"));
        }
        let is_call = matches!(before, Some(TokenTree::Punct(punct)) if punct.as_char() == '.');
        if ident == "unwrap" && is_call && !is_test {
            wrong.push(format!("{file}: no `unwrap`; use `expect` with the invariant, or an error"));
        }
    });
    wrong
}

fn shape(file: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !text.starts_with("//! ") {
        wrong.push(format!("{file}: begin with a `//!` line that says what the file is"));
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        wrong.push(format!("{file}: {lines} lines; at most {MOST_LINES}"));
    }
    wrong
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// `src/guard/reply.rs` is `guard::reply`; the roots have no path.
fn module_path(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').filter(|part| !matches!(*part, "lib" | "main" | "mod")).map(str::to_owned).collect()
}

/// Every path in a source, tests aside, groups unfolded, `self` and `super` resolved to `crate`.
fn paths(text: &str, own: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    read_paths(without_tests(tokens(text)), own, &mut found);
    found
}

fn read_paths(stream: TokenStream, own: &[String], found: &mut Vec<Vec<String>>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while let Some(tree) = trees.get(at) {
        match tree {
            TokenTree::Ident(ident) if ident == "mod" => {
                // An inline module: `super` in it is this module.
                if let [TokenTree::Ident(name), TokenTree::Group(body), ..] = &trees[at + 1..] {
                    let inner: Vec<String> = own.iter().cloned().chain([name.to_string()]).collect();
                    read_paths(body.stream(), &inner, found);
                    at += 3;
                } else {
                    at += 1;
                }
            }
            TokenTree::Ident(_) => at = read_path(&trees, at, &[], own, found),
            TokenTree::Group(group) => {
                read_paths(group.stream(), own, found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Reads the path that begins at an identifier, below a prefix; gives the place after it.
fn read_path(
    trees: &[TokenTree],
    mut at: usize,
    prefix: &[String],
    own: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match trees.get(at) {
            Some(TokenTree::Ident(ident)) => path.push(ident.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                read_group(group, &path, own, found);
                return at + 1;
            }
            // `::<` of a turbofish, or `::*`.
            _ => break,
        }
        at += 1;
        if !is_path_separator(&trees[at..]) {
            break;
        }
        at += 2;
    }
    found.push(resolve(&path, own));
    at
}

fn read_group(group: &Group, prefix: &[String], own: &[String], found: &mut Vec<Vec<String>>) {
    let trees: Vec<TokenTree> = group.stream().into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        at = match &trees[at] {
            TokenTree::Ident(_) | TokenTree::Group(_) => read_path(&trees, at, prefix, own, found),
            _ => at + 1,
        };
    }
}

fn is_path_separator(trees: &[TokenTree]) -> bool {
    matches!(trees, [TokenTree::Punct(first), TokenTree::Punct(second), ..]
        if first.as_char() == ':' && first.spacing() == Spacing::Joint && second.as_char() == ':')
}

fn resolve(path: &[String], own: &[String]) -> Vec<String> {
    if !matches!(&*path[0], "self" | "super") {
        return path.to_vec();
    }
    let mut base = own.to_vec();
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        match &**first {
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        rest = tail;
    }
    std::iter::once("crate".to_owned()).chain(base).chain(rest.iter().cloned()).collect()
}

fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap_or_else(|error| panic!("no Rust source: {error}"))
}

/// A source without the items that stand under `#[cfg(test)]`.
fn without_tests(stream: TokenStream) -> TokenStream {
    let mut kept = Vec::new();
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let attribute = match (&tree, trees.peek()) {
            (TokenTree::Punct(punct), Some(TokenTree::Group(group))) if punct.as_char() == '#' => {
                is_cfg_test(group)
            }
            _ => false,
        };
        if attribute {
            let ends = |tree: &TokenTree| match tree {
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                TokenTree::Punct(punct) => punct.as_char() == ';',
                _ => false,
            };
            let _item = trees.by_ref().find(ends);
            continue;
        }
        kept.push(match tree {
            TokenTree::Group(group) => Group::new(group.delimiter(), without_tests(group.stream())).into(),
            tree => tree,
        });
    }
    kept.into_iter().collect()
}

fn is_cfg_test(group: &Group) -> bool {
    let text: String = group.stream().to_string().split_whitespace().collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

fn each_token(stream: TokenStream, look: &mut impl FnMut(Option<&TokenTree>, &TokenTree)) {
    let mut before = None;
    for tree in stream {
        look(before.as_ref(), &tree);
        if let TokenTree::Group(group) = &tree {
            each_token(group.stream(), look);
        }
        before = Some(tree);
    }
}

fn assert_clean(rule: impl Fn(&str, &str) -> Vec<String>) {
    let files = rust_files(&root().join("src"));
    assert!(files.len() > 30, "the sources are read: {}", files.len());
    let read = |file: &PathBuf| (name(file), fs::read_to_string(file).unwrap());
    let wrong: Vec<String> = files.iter().map(read).flat_map(|(file, text)| rule(&file, &text)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn name(file: &Path) -> String {
    file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| match path.is_dir() {
        true => rust_files(&path),
        false => Vec::from_iter((path.extension() == Some("rs".as_ref())).then_some(path)),
    });
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files
}
