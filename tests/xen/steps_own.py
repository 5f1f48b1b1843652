"""Own mode: no xenconsoled, the daemon reads the console ring itself. And what comes after: xenconsoled back, xenstored dead."""

import re

from lab import XENVNC, Terminal
from steps_harm import stream_through_kills
from suite import Skip, check, check_equal, step

START_XENCONSOLED = (". /etc/profile; xenconsoled --log=guest --log-dir=/var/log/xen/console "
                     "--pid-file=/run/xen/xenconsoled.pid")


@step("own mode: xl create succeeds with ours alone, and the boot messages are all there")
def own_create(lab):
    lab.destroy_all()
    lab.stop_daemon()
    lab.run("kill $(cat /run/xen/xenconsoled.pid); rm /run/xen/xenconsoled.pid")
    lab.until("! pidof xenconsoled", "the end of xenconsoled")
    lab.start_daemon()
    path = lab.configure("owned", loglevel=7)
    lab.run(f"xl create -q {path}")
    check_equal(lab.listed("name", "owned")["console"], "own", "how the console is reached")
    lab.until_shell("owned")
    history = lab.history("owned")
    check("Linux version" in history[:400], f"the history begins with {history[:200]!r}")


@step("own mode: xl console works, beside a viewer; both see all, both type", needs=[own_create])
def own_console(lab):
    viewer = lab.view(int(lab.console(lab.domid("owned"), "vnc-port")))
    viewer.learn()
    with Terminal("xl console owned") as terminal:
        terminal.type("\recho own-$((1+1))-console\r")
        terminal.until("own-2-console")
        viewer.until_line("own-2-console")
        viewer.type("echo own-$((2+1))-viewer\n")
        terminal.until("own-3-viewer")
        terminal.type("dmesg -n 1; seq 200000 203000; echo done-$((3+1))\r")
        terminal.until("done-4")
        viewer.until_line("done-4")
        numbers = re.findall(rb"^(20[0-3]\d\d\d)\r?$", terminal.seen, re.MULTILINE)
        check_equal([int(n) for n in numbers], list(range(200000, 203001)), "what xl console saw of seq")
    viewer.close()


@step("own mode: reboot keeps the port; destroy leaves no zombie", needs=[own_create])
def own_reboot_destroy(lab):
    before = lab.listed("name", "owned")
    lab.run("xl reboot owned")
    lab.until_shell("owned", times=2)
    after = lab.listed("name", "owned")
    check(after["domid"] != before["domid"], "the domid is the same")
    check_equal(after["address"], before["address"], "address")
    # A ring that stays mapped keeps the dead domain as "(null)".
    lab.until(f"! xl list | awk '$2 == {before['domid']}' | grep -q .", "the end of the first life", 20)
    lab.run("xl destroy owned")
    lab.until("[ $(xl list | wc -l) = 2 ]", "the end of the domain: a zombie is left", 20)


@step("own mode: kill -9 in mid-stream loses nothing and doubles nothing", needs=[own_create])
def own_kill(lab):
    lab.create("loud-owned")
    stream_through_kills(lab, "loud-owned")
    with Terminal("xl console loud-owned") as terminal:
        terminal.type("\recho after-$((5+1))-kills\r")
        terminal.until("after-6-kills")


@step("own mode: xenconsoled takes over what we leave, and we take it back", needs=[own_kill])
def hand_over(lab):
    lab.stop_daemon()
    lab.run(START_XENCONSOLED)
    domid = lab.domid("loud-owned")
    lab.until(f"xenstore-read /local/domain/{domid}/console/tty | grep -q '^/dev/pts/'", "a terminal of xenconsoled's")
    with Terminal("xl console loud-owned") as terminal:
        terminal.type("\recho left-$((6+1))\r")
        terminal.until("left-7")
    lab.start_daemon()
    check_equal(lab.listed("name", "loud-owned")["console"], "interpose", "how the console is reached")
    lab.run(f"echo 'echo back-$((7+1))' | {XENVNC} type loud-owned")
    lab.until_history("loud-owned", "back-8")
    lab.destroy("loud-owned")


@step("live update of xenstored: nobody notices")
def xenstored_live_update(lab):
    lab.create("steady")
    before = lab.listed("name", "steady")
    status, said = lab.status(". /etc/profile; xenstore-control live-update -s $(command -v xenstored)")
    if status != 0:
        raise Skip(f"this xenstored cannot: {said.strip()}")
    check_equal(lab.listed("name", "steady"), before, "the domain in xenvnc list")
    lab.run("xl rename steady steadier")
    lab.wait_for(lambda: lab.listed("name", "steadier"), "the new name in xenvnc list: watches are gone")
    lab.destroy("steadier")
    lab.wait_for(lambda: lab.list() == [], "an empty list")


@step("xenstored dies and is started again: the daemon serves what comes then")
def xenstored_restart(lab):
    lab.destroy_all()
    lab.until("[ $(xl list | wc -l) = 2 ]", "no domain is left")
    lab.run("kill -9 $(cat /run/xen/xenstored.pid)")
    lab.until("! pidof xenstored", "the end of xenstored")
    # The daemon may end and be started again, or wait; it must not spin.
    lab.run("sleep 3")
    restarts = int(lab.run("grep -c '^supervise:' /var/log/xenvnc.log || true"))
    check(restarts < 30, f"started again {restarts} times")
    # A new one knows nothing: dom0 has to introduce itself. xenconsoled lives on and hears nothing any more (4.17), so it
    # has to be started anew as well.
    lab.run(". /etc/profile; rm -f /run/xenstored/socket; xenstored --pid-file /run/xen/xenstored.pid; "
            "n=0; until xenstore-read / >/dev/null 2>&1 || [ $n -gt 50 ]; do sleep 0.1; n=$((n+1)); done; xen-init-dom0; "
            "kill -9 $(cat /run/xen/xenconsoled.pid)")
    lab.run(START_XENCONSOLED)
    lab.until(f"{XENVNC} status | grep -qi 'xenstore'", "an answer of the daemon")
    lab.run(f"xl create -q {lab.configure('reborn')}", timeout=120)
    check(lab.listed("name", "reborn"), "xenvnc list does not have it")
    lab.until_shell("reborn")
    viewer = lab.view(int(lab.console(lab.domid("reborn"), "vnc-port")))
    viewer.learn()
    viewer.close()
    lab.destroy("reborn")
