//! What runs inside a guest: it connects the guest's X display to the host's VNC endpoint of this guest.
//!
//! The display is any RFB server of this guest: an Xvnc that runs or that is started, or for example x11vnc. The host takes
//! it by vchan, where the hypervisor vouches for who we are, or is called by TCP with a token that it has left in this
//! guest's xenstore. Whatever ends is started again, for ever; whatever the host says is passed on and not looked at.

mod agent;
mod backoff;
mod config;
mod display;
mod home;
mod reverse;
mod splice;
mod xvnc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub use agent::{Agent, Listen};
pub use backoff::{Backoff, FIRST, LAST};
pub use config::{
    DEFAULT_FILE, Geometry, GuestConfig, GuestConfigError, HostAddress, Layer, ServerAddress, Via, Xvnc,
    XvncLayer, parse_number,
};
pub use reverse::{PREAMBLE_BYTES, ReverseError, Target};
pub use splice::{Ended, INPUT_BYTES, PICTURE_BYTES, Pump, poll_splice};
pub use xvnc::XvncError;

use crate::xen::store::Address;
use crate::xen::vchan::VchanServer;

/// Serves this guest's display until SIGTERM or SIGINT.
///
/// # Errors
/// When the process cannot be set up; once it runs, nothing ends it but a signal.
pub fn run(config: GuestConfig) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = CancellationToken::new();
        let agent = Agent::new(config, Address::Find, Box::new(VchanServer::listen), stop.clone());
        let ends = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stop.cancel();
        };
        tokio::join!(agent.run(), ends);
        Ok(())
    });
    runtime.shutdown_background();
    result
}
