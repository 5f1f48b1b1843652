"""Steps that take minutes under emulation: only with --long."""

from lab import BOOT_SECONDS, XENVNC
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
