//! Embeds the folder `web-admin/`: path, MIME type and bytes of each file, plain and compressed, so that a build needs no
//! node.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

/// What lies in the folder for those who work on it.
const NOT_SERVED: [&str; 6] = [
    "vendor/make",
    "vendor/entry.js",
    "vendor/package.json",
    "vendor/package-lock.json",
    "vendor/preact.d.ts",
    "vendor/SHA256SUMS",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("web-admin");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut code = String::from("static FILES: &[File] = &[\n");
    let mut whole = FNV_START;
    for (number, file) in files.iter().enumerate() {
        let path = file.strip_prefix(&root).unwrap_or(file).to_string_lossy().replace('\\', "/");
        if NOT_SERVED.contains(&path.as_str()) {
            continue;
        }
        let bytes = fs::read(file)?;
        whole = fnv1a(fnv1a(whole, path.as_bytes()), &bytes);
        let compressed = out.join(format!("web_admin_{number}.gz"));
        fs::write(&compressed, gzip(&bytes)?)?;
        let _ = writeln!(
            code,
            "    File {{ path: {path:?}, mime: {:?}, bytes: include_bytes!({:?}), gzip: include_bytes!({:?}) }},",
            mime(file),
            file.display().to_string(),
            compressed.display().to_string(),
        );
    }
    let _ = writeln!(code, "];\n/// Named by all files together.\nconst FOLDER: &str = \"{whole:016x}\";");
    fs::write(out.join("web_admin.rs"), code)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// A file type that is not listed stops the build: served with a wrong type it would not work in a browser.
fn mime(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => panic!("{}: add its MIME type to build.rs", file.display()),
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// FNV-1a, 64 bits: tells versions of a file apart, no more.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
