//! libxenctrl, for the cargo feature `xenctrl` only: the crate that binds it is under the GPL-3.0-only, and the library
//! belongs to one Xen release.

use std::fs::OpenOptions;
use std::io;
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, PoisonError};

use xenctrl_sys as xc;

/// What libxenctrl opens first (Xen's `tools/libs/call/linux.c`).
const DEVICE: &str = "/dev/xen/privcmd";

/// An open connection to the hypervisor.
#[derive(Debug)]
pub struct Xenctrl(Mutex<Handle>);

#[derive(Debug)]
struct Handle(NonNull<xc::xc_interface>);

// SAFETY: the library keeps no state of the thread that opened a handle; it asks only that no two threads use one at the
// same time, and the mutex around it sees to that.
unsafe impl Send for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it is open, and nobody uses it after this.
        unsafe { xc::xc_interface_close(self.0.as_ptr()) };
    }
}

impl Xenctrl {
    /// Connects.
    ///
    /// # Errors
    /// When `/dev/xen/privcmd` cannot be opened: this is not Xen's control domain, or we may not.
    pub fn open() -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{DEVICE}: {error}"));
        // The library would write the reason to standard error, several lines of it.
        OpenOptions::new().read(true).write(true).open(DEVICE).map_err(named)?;
        // SAFETY: null loggers are allowed and mean standard error; the flags are as in the header.
        let handle = unsafe { xc::xc_interface_open(null_mut(), null_mut(), 0) };
        let handle = NonNull::new(handle).ok_or_else(|| named(io::Error::last_os_error()))?;
        Ok(Self(Mutex::new(Handle(handle))))
    }

    /// Number and flags of the domains from `first` on, at most so many (`xc_domain_getinfolist`).
    ///
    /// # Errors
    /// What the hypercall said.
    pub fn domain_flags(&self, first: u16, at_most: usize) -> io::Result<Vec<(u16, u32)>> {
        let mut found = vec![xc::xc_domaininfo_t::default(); at_most];
        let room = u32::try_from(found.len()).map_err(io::Error::other)?;
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the handle is open and locked. The library writes at most `room` elements, which are there, and does
        // not keep the pointer.
        let count =
            unsafe { xc::xc_domain_getinfolist(handle.0.as_ptr(), first.into(), room, found.as_mut_ptr()) };
        // It is negative when the call failed.
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok(found.iter().take(count).map(|info| (info.domain, info.flags)).collect())
    }
}
