"""What happens to a domain: reboot, rename, pause, save, crash, shutdown, destroy."""

import re

from lab import XENVNC, Terminal
from steps_xl import published_before_create_returns, viewer_types
from suite import NotInThisBuild, check, check_equal, step


@step("reboot: new domid, same UUID, same port, and the viewer stays", needs=[viewer_types])
def reboot(lab):
    before = lab.listed("name", "plain")
    viewer = lab.view(lab.plain_port)
    lab.run("xl reboot plain")
    lab.until(f"d=$(xl domid plain) && [ $d != {before['domid']} ] && "
              f"[ \"$(xenstore-read /local/domain/$d/console/vnc-port)\" = {lab.plain_port} ]", "the same port for a new domid", pause=0.7)
    lab.until_shell("plain", times=2)
    after = lab.listed("name", "plain")
    check(after["domid"] != before["domid"], "the domid is the same")
    check_equal((after["uuid"], after["address"]), (before["uuid"], before["address"]), "UUID and address")
    viewer.learn()
    viewer.type("echo after-$((7+1))-reboot\n")
    viewer.until_line("after-8-reboot")
    lab.plain_viewer = viewer


@step("rename: the list shows the new name at the same port", needs=[published_before_create_returns])
def rename(lab):
    port = lab.listed("name", "plain")["address"]
    lab.run("xl rename plain renamed")
    lab.wait_for(lambda: lab.listed("name", "renamed"), "the new name in xenvnc list")
    check_equal(lab.listed("name", "renamed")["address"], port, "address after the renaming")
    check_equal(lab.listed("name", "plain"), None, "the old name")
    check("tiny guest up" in lab.history("renamed"), "the history is not there under the new name")
    lab.run("xl rename renamed plain")
    lab.wait_for(lambda: lab.listed("name", "plain"), "the first name again")


@step("pause: the last screen stays", needs=[reboot])
def pause(lab):
    viewer = lab.plain_viewer
    viewer.type("echo before-$((8+1))-pause\n")
    viewer.until_line("before-9-pause")
    lab.run("xl pause plain")
    try:
        late = lab.view(lab.plain_port)
        late.glyphs = viewer.glyphs
        late.refresh()
        check("before-9-pause" in late.text(), "a viewer that came later does not see the last screen")
        lab.paused_list = lab.run(f"{XENVNC} list --json; {XENVNC} list")
        lab.paused_name = late.name
    finally:
        lab.run("xl unpause plain")
    viewer.type("echo after-$((9+1))-pause\n")
    viewer.until_line("after-10-pause")


@step("a paused guest says so", needs=[pause])
def pause_says_so(lab):
    if "paused" not in lab.paused_list.lower() and "paused" not in lab.paused_name.lower():
        raise NotInThisBuild("xenstore does not tell a domain's run state and this build has no other source")


@step("save and restore: same UUID and port, the screen goes on", needs=[published_before_create_returns])
def save_restore(lab):
    before = lab.listed("name", "plain")
    lab.run("xl save plain /root/plain.save", timeout=180)
    lab.until(f"! nc -z 127.0.0.1 {lab.plain_port} || ! {XENVNC} list | grep -q '^plain'", "the end of a saved domain's endpoint")
    lab.run("xl restore /root/plain.save; rm /root/plain.save", timeout=180)
    after = lab.wait_for(lambda: lab.listed("name", "plain"), "the restored domain in xenvnc list")
    check_equal((after["uuid"], after["address"]), (before["uuid"], before["address"]), "UUID and address")
    lab.run(f"echo 'echo restored-$((10+1))' | {XENVNC} type plain")
    lab.until_history("plain", "restored-11")
    lab.plain_port = int(lab.console(after["domid"], "vnc-port"))


@step("migration to this very host: whatever becomes of it, the endpoint serves the one that lives",
      needs=[published_before_create_returns])
def migrate(lab):
    before = lab.listed("name", "plain")
    status, said = lab.status("xl migrate plain localhost", timeout=240)
    # Xen's log-dirty mode is not there in every emulation; xl then goes on with the domain where it was.
    lab.report.note("migrated" if status == 0 else f"xl could not: {said.strip().splitlines()[-1]}")
    after = lab.wait_for(lambda: lab.listed("name", "plain"), "the domain in xenvnc list")
    check_equal(after["uuid"], before["uuid"], "UUID")
    check_equal(after["domid"] != before["domid"], status == 0, "whether the domid is another one")
    lab.plain_port = int(lab.console(after["domid"], "vnc-port"))
    check_equal(after["address"], f"127.0.0.1:{lab.plain_port}", "address in xenvnc list and port in xenstore")
    viewer = lab.view(lab.plain_port)
    viewer.learn()
    viewer.type("echo migrated-$((11+1))\n")
    viewer.until_line("migrated-12")
    check_equal([d["name"] for d in lab.list()], ["plain"], "domains that are served")


@step("on_crash = preserve: the panic is on the screen and in the history", needs=[published_before_create_returns])
def crash(lab):
    viewer = lab.view(lab.plain_port)
    viewer.learn()
    # Only a real crash reaches Xen: panic=0 on the command line keeps the kernel from rebooting.
    viewer.type("echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger\n")
    lab.until("xl list | awk '$1 ~ /plain/ { print $5 }' | grep -q c", "a crashed domain in xl list")
    domain = lab.wait_for(lambda: next((d for d in lab.list() if d["name"].startswith("plain")), None),
                          "the crashed domain in xenvnc list")
    name = domain["name"]
    lab.until_history(name, "Kernel panic")
    late = lab.view(int(domain["address"].rpartition(":")[2]))
    late.glyphs = viewer.glyphs
    late.refresh()
    late.png(lab.artifacts / "panic.png")
    last = lab.history(name).replace("\r", "").rstrip().rpartition("\n")[2]
    check(last.startswith("[") and last[:80] in late.text(), f"{last!r} is not on the screen:\n" + "\n".join(late.text()))
    lab.plain_port = int(domain["address"].rpartition(":")[2])
    lab.crashed = name


@step("destroy: our nodes and the domain are gone", needs=[published_before_create_returns])
def destroy(lab):
    name = getattr(lab, "crashed", "plain")
    domid = lab.domid(name)
    lab.run(f"xl destroy {name}")
    lab.until(f"[ \"$({XENVNC} list --json)\" = '[]' ]", "an empty list")
    lab.ended_ports.append(lab.plain_port)
    lab.until(f"! xenstore-exists /tool/xenvnc/{domid}", "the end of our record")
    check_equal(lab.states(), [], "domains in xl list")
    lab.close_viewers()


@step("shutdown: a guest that powers off takes its endpoint with it")
def shutdown(lab):
    lab.create("brief")
    port = int(lab.console(lab.domid("brief"), "vnc-port"))
    viewer = lab.view(port)
    lab.run("xl shutdown -w brief", timeout=120)
    lab.until(f"! {XENVNC} list | grep -q brief", "the end of its entry in the list")
    lab.ended_ports.append(port)
    viewer.close()
    check_equal(lab.states(), [], "domains in xl list")


@step("xenconsoled restarted under us: the console goes on for xl and for viewers")
def xenconsoled_restart(lab):
    lab.create("loud-restart")
    lab.run("kill -9 $(cat /run/xen/xenconsoled.pid); sleep 0.5; . /etc/profile; "
            "xenconsoled --log=guest --log-dir=/var/log/xen/console --pid-file=/run/xen/xenconsoled.pid")
    with Terminal("xl console loud-restart") as terminal:
        # It takes over within moments; what is typed before reaches nobody.
        def answered():
            terminal.type("\recho still-$((12+1))\r")
            terminal.pump(2)
            return b"still-13" in terminal.seen
        lab.wait_for(answered, "an answer in xl console")
    lab.run(f"echo 'echo again-$((13+1))' | {XENVNC} type loud-restart")
    lab.until_history("loud-restart", "again-14")
    tty = lab.console(lab.domid("loud-restart"), "tty")
    check(not re.fullmatch(r"/dev/pts/\d+", tty), f"console/tty is not ours: {tty!r}")
    lab.destroy("loud-restart")
