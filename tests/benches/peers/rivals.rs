//! Other programs: how they are built, started and timed.

use std::cell::OnceCell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::lab::tc_cli;

use crate::measure::Meter;

/// The programs that are here, and files for them; gone with this value.
pub(crate) struct Rivals {
    folder: PathBuf,
    libnl: Result<PathBuf, String>,
    nothing: Result<PathBuf, String>,
    tc: OnceCell<Option<PathBuf>>,
    static_tc_cli: OnceCell<Option<PathBuf>>,
}

impl Rivals {
    /// Builds the programs from source, where needed.
    pub(crate) fn new() -> Self {
        let folder = env::temp_dir().join(format!("tc-peers-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let libnl = build_libnl(&folder);
        let nothing = build_nothing(&folder);
        Self { folder, libnl, nothing, tc: OnceCell::new(), static_tc_cli: OnceCell::new() }
    }

    /// The missing peers, with reasons.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut missing: Vec<_> =
            [&self.libnl, &self.nothing].into_iter().filter_map(|built| built.clone().err()).collect();
        if self.tc().is_none() {
            missing.push("tc: not installed".into());
        }
        missing
    }

    /// iproute2's tc.
    pub(crate) fn tc(&self) -> Option<&Path> {
        let find = || {
            let folders = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&folders).map(|folder| folder.join("tc")).find(|path| path.is_file())
        };
        self.tc.get_or_init(find).as_deref()
    }

    /// Both programs that take tc's words.
    pub(crate) fn tcs(&self) -> Vec<(&'static str, &Path)> {
        [Some(("tc-cli", tc_cli())), self.tc().map(|path| ("tc", path))].into_iter().flatten().collect()
    }

    /// A program that ends at once, linked statically.
    pub(crate) fn nothing(&self) -> Option<&Path> {
        self.nothing.as_deref().ok()
    }

    /// tc-cli without shared libraries, where a C program can be built so.
    pub(crate) fn static_tc_cli(&self) -> Option<&Path> {
        let build = || {
            // TARGET/PROFILE/deps/peers-0123456789abcdef
            let target = env::current_exe().ok()?.ancestors().nth(3)?.to_owned();
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build-static", "--quiet", "--target-dir"]).arg(&target).env_remove("RUSTFLAGS");
            let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
            built.ok().filter(|status| status.success())?;
            let host = Command::new("rustc").args(["--print", "host-tuple"]).output().ok()?.stdout;
            Some(target.join(String::from_utf8(host).ok()?.trim()).join("release/tc-cli"))
        };
        self.nothing()?;
        self.static_tc_cli.get_or_init(build).as_deref()
    }

    /// The program that works with libnl.
    pub(crate) fn libnl(&self) -> Option<&Path> {
        self.libnl.as_deref().ok()
    }

    /// Writes commands for `-batch`, and returns the file's path.
    pub(crate) fn batch(&self, name: &str, lines: impl Iterator<Item = String>) -> String {
        let path = self.folder.join(name);
        let text: String = lines.map(|line| line + "\n").collect();
        fs::write(&path, text).expect("the temporary folder can be written");
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Rivals {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a program with these words; its output is discarded.
pub(crate) fn run(program: &Path, words: &str) {
    let status = Command::new(program)
        .args(words.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("the program was found");
    assert!(status.success(), "{} {words}", program.display());
}

/// Runs the libnl program, which times itself.
pub(crate) fn run_libnl(program: &Path, words: &str, count: usize, meter: &mut Meter) {
    let output = Command::new(program).args(words.split_whitespace()).output().expect("it was built");
    assert!(output.status.success(), "libnl {words}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let (used, times): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("used "));
    // A list is one operation on many objects.
    let share = count as f64 / times.len() as f64;
    let number = |text: &str| text.parse::<f64>().expect("the program prints numbers");
    let mut used = used.iter().flat_map(|line| line[5..].split(' ')).map(number);
    let used = [(); 2].map(|()| used.next().expect("user and system time"));
    meter.reported(times.into_iter().map(|time| number(time) / share), used, count as u64);
}

fn build_libnl(folder: &Path) -> Result<PathBuf, String> {
    let flags = Command::new("pkg-config").args(["--cflags", "--libs", "libnl-route-3.0"]).output();
    let flags = flags.ok().filter(|output| output.status.success());
    let flags = flags.ok_or("libnl: no development package (libnl-route-3-dev) or no pkg-config")?;
    let flags = String::from_utf8_lossy(&flags.stdout).into_owned();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/libnl.c");
    compile("libnl", &["-O2", source], flags.split_whitespace(), folder)
}

fn build_nothing(folder: &Path) -> Result<PathBuf, String> {
    let source = folder.join("nothing.c");
    fs::write(&source, "int main(void) { return 0; }\n").expect("the temporary folder can be written");
    compile("nothing", &["-O2", "-static", &source.to_string_lossy()], [].into_iter(), folder)
}

fn compile<'a>(
    name: &str,
    arguments: &[&str],
    flags: impl Iterator<Item = &'a str>,
    folder: &Path,
) -> Result<PathBuf, String> {
    let path = folder.join(name);
    let built = Command::new("cc").args(arguments).args(flags).arg("-o").arg(&path).output();
    match built {
        Ok(output) if output.status.success() => Ok(path),
        Ok(output) => Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{name}: no C compiler (cc): {error}")),
    }
}
