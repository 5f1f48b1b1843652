"""Steps that take minutes under emulation: only with --long."""

import contextlib
import os
import subprocess

from lab import BOOT_SECONDS, LAB, XENVNC, Lab, Terminal
from suite import Skip, check, check_equal, step

# A PVH guest's shell came after 162 s; the machine may be busy as well.
PVH_SECONDS = 900


@step("PVH: boot messages and shell", long=True)
def pvh(lab):
    if not lab.cpu.startswith("max"):
        raise Skip("hardware virtualization needs an emulated CPU with SVM: --cpu max,-smap,-rdtscp")
    lab.write("/root/pvh.cfg", lab.run("sed 's/\"pv\"/\"pvh\"/' " + lab.configure("pvh")))
    lab.run("xl create -q /root/pvh.cfg", timeout=300)
    check(lab.console(lab.domid("pvh"), "vnc-port"), "no vnc-port")
    lab.until(f"{XENVNC} history pvh | grep -aq 'tiny guest up after'", "the shell of pvh", PVH_SECONDS)
    viewer = lab.view(int(lab.console(lab.domid("pvh"), "vnc-port")))
    viewer.learn()
    viewer.close()
    lab.destroy("pvh")


@step("a guest with a framebuffer of its own: its QEMU's port is left alone", long=True)
def framebuffer(lab):
    path = lab.configure("framed", "vfb = ['vnc=1,vnclisten=127.0.0.1,vncdisplay=7']")
    lab.run(f"xl create -q {path}", timeout=180)
    domid = lab.domid("framed")
    lab.until_shell("framed")
    check_equal(lab.console(domid, "vnc-port"), "5907", "vnc-port that xl wrote")
    address = lab.listed("name", "framed")["address"]
    check(address and not address.endswith(":5907"), f"our own endpoint beside QEMU's: {address!r}")
    lab.destroy("framed")


@step("libvirt: virsh start, domdisplay and console tty", long=True)
def libvirt(lab):
    # The emulated CPU is none that libvirt knows, and only its Xen driver is of use here.
    lab.run(
        "cd /usr/share/libvirt/cpu_map && printf '%s' \"<cpus><model name='lab'><decode host='on' guest='on'/>"
        "<feature name='lm'/><feature name='fpu'/><feature name='tsc'/><feature name='msr'/></model></cpus>\" >x86_lab.xml && "
        "grep -q x86_lab index.xml || sed -i \"0,/<include filename=.x86_486.xml/s##<include filename='x86_lab.xml'/>\\n    &#\" index.xml; "
        "d=/usr/lib/x86_64-linux-gnu/libvirt/connection-driver; mkdir -p /root/drivers; "
        "for f in $d/*.so; do case $f in *_libxl.so) ;; *) mv $f /root/drivers/ ;; esac; done; "
        "(setsid libvirtd -d >/tmp/libvirtd.log 2>&1 </dev/null); "
        "n=0; until virsh -c xen:///system list >/dev/null 2>&1 || [ $n -gt 60 ]; do sleep 0.5; n=$((n+1)); done; "
        "virsh -c xen:///system list", timeout=180)
    lab.write("/root/lv.xml", """<domain type='xen'><name>lv</name><memory unit='MiB'>160</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='xenpv'>linux</type><kernel>/lab/vmlinux</kernel><initrd>/lab/initramfs</initrd>
<cmdline>console=hvc0 lab=tiny mitigations=off</cmdline></os><devices><console type='pty'/></devices></domain>""")
    lab.run("virsh -c xen:///system create /root/lv.xml", timeout=180)
    lab.until_shell("lv")
    lab.report.note("virsh ttyconsole: " + lab.run("virsh -c xen:///system ttyconsole lv").strip())
    lab.run(f"echo 'echo virsh-$((1+1))' | {XENVNC} type lv")
    lab.until_history("lv", "virsh-2", BOOT_SECONDS)
    lab.run("virsh -c xen:///system destroy lv", timeout=120)
    lab.wait_for(lambda: lab.listed("name", "lv") is None, "the end of its entry in the list")


@contextlib.contextmanager
def another_lab(lab, *options):
    """A second instance beside the first, for as long as the block lasts."""
    name = os.environ["XEN_LAB_NAME"]
    os.environ["XEN_LAB_NAME"] = name + "-second"
    try:
        done = subprocess.run([LAB / "up", *options], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(done.returncode == 0, f"it did not boot: {done.stdout.decode(errors='replace')[-600:]}")
        yield Lab(lab.report, lab.artifacts)
    finally:
        subprocess.run([LAB / "down", "--remove"], check=False)
        os.environ["XEN_LAB_NAME"] = name


@step("the systemd service: sandboxed, notifies, comes back, and xl console sees its terminals", long=True)
def systemd_service(lab):
    with another_lab(lab, "--dom0-args", "labinit=systemd") as second:
        second.until("systemctl is-active lab.target", "systemd's basic services", 300, 1)
        second.install(lab.binary)
        # Nothing of the sort is started here: the target has no other services.
        second.run("systemctl daemon-reload; systemctl start xenvnc", timeout=120)
        check_equal(second.run("systemctl is-active xenvnc").strip(), "active", "state of the service")
        second.run(f"xl create -q {second.configure('served')}")
        second.until_shell("served")
        terminal_path = second.console(second.domid("served"), "tty")
        target = second.run(f"readlink -f {terminal_path}").strip()
        check(target.startswith("/run/xenvnc/pts/"), f"the terminal is not of the private instance: {terminal_path!r} is {target!r}")
        with Terminal("xl console served") as terminal:
            terminal.type("\recho under-$((1+1))-systemd\r")
            terminal.until("under-2-systemd")
        capabilities = second.run("sed -n 's/^Cap[PEB]..:\t//p' /proc/$(systemctl show -P MainPID xenvnc)/status").split()
        check_equal(set(capabilities), {"0" * 16}, "capabilities of the daemon")
        second.run("kill -9 $(systemctl show -P MainPID xenvnc)")
        second.until(f"systemctl is-active xenvnc && {XENVNC} status", "the service again after kill -9", pause=1)
        second.xenvnc("type served --enter 'echo again-$((2+1))'")
        second.until_history("served", "again-3")
        log = second.run("journalctl --no-pager -o cat -u xenvnc")
        check("WARN" not in log and "denied" not in log, f"the journal: {log[-800:]}")
        lab.report.note(second.run("systemd-analyze --no-pager security xenvnc 2>/dev/null | tail -n 1").strip())
        second.destroy("served")
        second.run("systemctl stop xenvnc")
        check_equal(second.run("systemctl show -P Result xenvnc").strip(), "success", "result of the service")
