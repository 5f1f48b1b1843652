//! What a simulated kernel and init print.

/// The lines of a boot, without line ends. `safe`: the commands that end a life surely mean the domain's.
pub(super) fn boot(name: &str, life: u32, safe: bool) -> Vec<String> {
    let kernel = |time: &str, text: &str| format!("\x1b[32m[{time:>12}]\x1b[m {text}");
    let ok = |text: &str| format!("[\x1b[1;32m  OK  \x1b[m] {text}");
    vec![
        kernel("0.000000", "Linux version 6.1.0-demo (simulated, no Xen was harmed)"),
        kernel("0.000000", "Command line: console=hvc0 root=/dev/xvda1 ro"),
        kernel("0.000000", "Hypervisor detected: Xen PV (simulated)"),
        kernel("0.041207", "Memory: 160160K/163840K available"),
        kernel("0.118322", "printk: console [\x1b[1mhvc0\x1b[m] enabled"),
        kernel("0.271828", "xen:events: Using FIFO-based ABI"),
        kernel("0.314159", "Run /sbin/init as init process"),
        ok("Mounted \x1b[1mRoot File System\x1b[m."),
        ok("Reached target \x1b[1mNetwork\x1b[m."),
        format!("[\x1b[1;33m WARN \x1b[m] This is boot number \x1b[1m{life}\x1b[m of a simulated domain."),
        ok("Started \x1b[1mShell on hvc0\x1b[m."),
        String::new(),
        format!("\x1b[1;36m{name}\x1b[m hvc0. This is a shell on your own machine, as yourself."),
        if safe {
            "\x1b[1mreboot\x1b[m and \x1b[1mpoweroff\x1b[m, typed just so, act on this domain only."
                .to_owned()
        } else {
            "\x1b[1mexit\x1b[m reboots this domain. \x1b[1mreboot\x1b[m and \x1b[1mpoweroff\x1b[m may be your machine's own."
                .to_owned()
        },
        String::new(),
    ]
}

/// The last lines of a life.
pub(super) fn goodbye(reboot: bool) -> &'static str {
    if reboot {
        "\r\n\x1b[32m[   99.999999]\x1b[m reboot: Restarting system\r\n"
    } else {
        "\r\n\x1b[32m[   99.999999]\x1b[m reboot: Power down\r\n"
    }
}
