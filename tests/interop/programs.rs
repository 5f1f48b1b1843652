//! The viewers, and how each is started.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;
use xenvnc::rfb::encoding::Encoding;

use crate::display::directory;
use crate::host::{cache, installed};
use crate::program::{free_port, output};
use crate::screen::read_picture;
use crate::table::Stop;
use crate::text_picture::Picture;
use crate::viewer::{Driven, Opening, Viewer, build_c_driver, python};
use crate::vnc_rs::VncRs;
use crate::x_viewer::XViewer;

pub(crate) struct ViewerProgram {
    pub(crate) name: &'static str,
    pub(crate) version: fn() -> String,
    /// Starts it, and waits until it is connected.
    pub(crate) open: fn(&Opening) -> Result<Box<dyn Viewer>, Stop>,
    /// What it offers and is never given.
    pub(crate) without: &'static [Encoding],
}

/// The version of a Debian package that is installed; without what Debian adds.
pub(crate) fn debian_version(package: &str) -> String {
    let query = output(Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]));
    let text = String::from_utf8_lossy(&query).into_owned();
    let upstream = text.split_once(':').map_or(&*text, |(_, rest)| rest);
    upstream.split(['-', '+']).next().unwrap_or_default().to_owned()
}

fn python_version(package: &str) -> String {
    let script = format!("import importlib.metadata as m; print(m.version('{package}'))");
    let mut command = Command::new(installed(&cache().join("python-interop/bin/python")));
    String::from_utf8_lossy(&output(command.arg("-c").arg(script))).trim().to_owned()
}

/// Where `scripts/setup` puts noVNC.
fn novnc() -> std::path::PathBuf {
    let directory = cache().join("novnc/package");
    installed(&directory.join("core/rfb.js"));
    directory
}

pub(crate) const VIEWERS: &[ViewerProgram] = &[
    ViewerProgram {
        name: "TigerVNC",
        version: || debian_version("tigervnc-viewer"),
        open: tiger_vnc,
        without: &[],
    },
    // It paints a cursor of more than two colours into its picture.
    ViewerProgram {
        name: "TightVNC",
        version: || debian_version("xtightvncviewer"),
        open: tight_vnc,
        without: &[Encoding::CURSOR],
    },
    ViewerProgram {
        name: "gvncviewer",
        version: || debian_version("gvncviewer"),
        open: gvncviewer,
        without: &[],
    },
    ViewerProgram {
        name: "libvncclient",
        version: || debian_version("libvncclient1"),
        open: libvncclient,
        without: &[],
    },
    ViewerProgram {
        name: "vncsnapshot",
        version: || debian_version("vncsnapshot"),
        open: vncsnapshot,
        without: &[],
    },
    ViewerProgram { name: "noVNC", version: novnc_version, open: novnc_in_chromium, without: &[] },
    ViewerProgram {
        name: "vncdotool",
        version: || python_version("vncdotool"),
        open: vncdotool,
        without: &[],
    },
    ViewerProgram { name: "asyncvnc", version: || python_version("asyncvnc"), open: asyncvnc, without: &[] },
    ViewerProgram { name: "vnc-rs", version: || String::from("0.6"), open: vnc_rs, without: &[] },
];

/// For those that know nothing of VeNCrypt, or of its subtypes with certificates.
fn no_tls(opening: &Opening) -> Result<(), Stop> {
    if opening.security.is_tls() { Err(Stop::Cannot) } else { Ok(()) }
}

fn tiger_vnc(opening: &Opening) -> Result<Box<dyn Viewer>, Stop> {
    // It has 8 bits a pixel, or all.
    let colours = match opening.bits {
        8 => ["-FullColor=0", "-LowColorLevel=2"],
        32 => ["-FullColor=1", "-LowColorLevel=2"],
        _ => return Err(Stop::Cannot),
    };
    let viewer = XViewer::start("xtigervncviewer", "TigerVNC", opening, 24, |_| {
        let mut words = vec![
            format!("-SecurityTypes={}", opening.security.name()),
            format!("-X509CA={}", opening.certificate.display()),
            "-AutoSelect=0".to_owned(),
            "-Shared".to_owned(),
            "-PreferredEncoding=Tight".to_owned(),
            "-ReconnectOnError=0".to_owned(),
            "-AlertOnFatalError=0".to_owned(),
            "-RemoteResize=1".to_owned(),
            // Or a hint about its menu covers a part of the picture.
            "-MenuKey=".to_owned(),
        ];
        words.extend(colours.map(str::to_owned));
        words.push(format!("127.0.0.1::{}", opening.port));
        words
    })?;
    Ok(Box::new(viewer))
}

fn tight_vnc(opening: &Opening) -> Result<Box<dyn Viewer>, Stop> {
    no_tls(opening)?;
    // It takes the format of its display, or 8 bits a pixel.
    let depth = if opening.bits == 16 { 16 } else { 24 };
    let mut viewer = XViewer::start("xtightvncviewer", "TightVNC:", opening, depth, |password| {
        let mut words = vec!["-passwd".to_owned(), password.to_owned(), "-shared".to_owned()];
        // Else it paints the cursor into the picture.
        words.extend(["-quality", "8", "-x11cursor"].map(str::to_owned));
        if opening.bits == 8 {
            words.push("-bgr233".to_owned());
        }
        words.push(format!("127.0.0.1::{}", opening.port));
        words
    })?;
    viewer.cut_buffer = true;
    Ok(Box::new(viewer))
}

fn gvncviewer(opening: &Opening) -> Result<Box<dyn Viewer>, Stop> {
    // It trusts those whom the machine trusts, or the home that its user has in /etc/passwd.
    if opening.security.is_tls() {
        return Err(Stop::Unseen);
    }
    if opening.bits != 32 {
        return Err(Stop::Cannot);
    }
    let viewer = XViewer::start("gvncviewer", "GVncViewer", opening, 24, |_| {
        vec![format!("127.0.0.1:{}", opening.port - 5900)]
    })?;
    Ok(Box::new(viewer))
}

fn libvncclient(opening: &Opening) -> Result<Box<dyn Viewer>, Stop> {
    static DRIVER: LazyLock<(TempDir, std::path::PathBuf)> = LazyLock::new(|| {
        let directory = directory();
        let program = build_c_driver(directory.path());
        (directory, program)
    });
    Ok(Box::new(Driven::start(&mut Command::new(&DRIVER.1), opening)?))
}

fn novnc_version() -> String {
    let package = std::fs::read_to_string(novnc().join("package.json")).expect("a package");
    let package: serde_json::Value = serde_json::from_str(&package).expect("an object");
    package["version"].as_str().unwrap_or_default().to_owned()
}

fn novnc_in_chromium(opening: &Opening) -> Result<Box<dyn Viewer>, Stop> {
    no_tls(opening)?;
    if opening.bits != 32 {
        return Err(Stop::Cannot);
    }
    for program in ["chromedriver", "chromium", "websockify"] {
        installed(Path::new(program));
    }
    let mut command = python("novnc_driver.py");
    command.env("NOVNC", novnc()).env("WEB_PORT", free_port().to_string());
    Ok(Box::new(Driven::start(&mut command, opening)?))
}

fn vncdotool(opening: &Opening) -> Result<Box<dyn Viewer>, Stop> {
    no_tls(opening)?;
    if opening.bits != 32 {
        return Err(Stop::Cannot);
    }
    Ok(Box::new(Driven::start(&mut python("vncdotool_driver.py"), opening)?))
}

fn asyncvnc(opening: &Opening) -> Result<Box<dyn Viewer>, Stop> {
    no_tls(opening)?;
    if opening.bits != 32 {
        return Err(Stop::Cannot);
    }
    Ok(Box::new(Driven::start(&mut python("asyncvnc_driver.py"), opening)?))
}

fn vnc_rs(opening: &Opening) -> Result<Box<dyn Viewer>, Stop> {
    no_tls(opening)?;
    Ok(Box::new(VncRs::connect(opening)?))
}

/// vncsnapshot connects for each picture, which it saves as JPEG, and does nothing else.
struct Snapshots {
    port: u16,
    directory: TempDir,
}

fn vncsnapshot(opening: &Opening) -> Result<Box<dyn Viewer>, Stop> {
    no_tls(opening)?;
    if opening.bits != 32 {
        return Err(Stop::Cannot);
    }
    let directory = directory();
    let password = directory.path().join("password");
    output(
        Command::new(installed(Path::new("x11vnc")))
            .args(["-quiet", "-storepasswd", opening.security.password().unwrap_or("none")])
            .arg(password),
    );
    let mut snapshots = Snapshots { port: opening.port, directory };
    snapshots.picture().map(|_| Box::new(snapshots) as Box<dyn Viewer>)
}

impl Viewer for Snapshots {
    fn command(&mut self, _: &str) -> Result<String, Stop> {
        Err(Stop::Cannot)
    }

    fn picture(&mut self) -> Result<Picture, Stop> {
        let file = self.directory.path().join("picture.jpg");
        let _ = std::fs::remove_file(&file);
        let mut command = Command::new("timeout");
        command.arg("20").arg(installed(Path::new("vncsnapshot"))).args([
            "-quiet",
            "-nocursor",
            "-quality",
            "100",
            "-vncQuality",
            "8",
            "-passwd",
        ]);
        command.arg(self.directory.path().join("password"));
        command.arg(format!("127.0.0.1:{}", self.port - 5900)).arg(&file).stdin(Stdio::null());
        let output = command.output().expect("vncsnapshot");
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        read_picture(&file).ok_or(Stop::No(format!("no picture: {complaint}")))
    }

    fn is_lossy(&self) -> bool {
        true
    }
}
