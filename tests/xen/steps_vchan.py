"""Shared memory between a Debian guest and dom0: our ends with Xen's own (vchan-socket-proxy) and with each other, and what is
left when the guest goes. The `vchan` example of the source tree is our end where no display is meant; with --long it takes the
daemon's place before a real Xvnc as well."""

import re

from lab import LOG
from steps_display import AGENT, X, await_display, until_size
from suite import Skip, check, check_equal, step

END = "/usr/local/bin/vchan-example"
PROXY = "/usr/bin/vchan-socket-proxy"
HOME = "/local/domain"
# What goes on in the background holds no terminal of the lab's.
QUIET = "</dev/null >/dev/null 2>&1"
# No daemon runs where the example takes a display: it would be the client.
NUMBER = 4
DISPLAY = f"data/xenvnc/display/{NUMBER}"


def random_file(lab, size):
    lab.run(f"head -c {size} /dev/urandom >/tmp/in")


def echoes(lab, client, size, what):
    """Sends /tmp/in through a client in dom0 to a server that sends everything back."""
    # The client ends with its standard input; that stays open until all is back, or for a minute.
    lab.run(f"rm -f /tmp/out; {{ cat /tmp/in; for i in $(seq 300); do [ \"$(stat -c %s /tmp/out 2>/dev/null)\" = {size} ] && break; "
            f"sleep 0.2; done; }} | timeout 90 {client} >/tmp/out 2>/tmp/err; true", timeout=180)
    said = lab.run("cmp /tmp/in /tmp/out && echo same; tail -n 3 /tmp/err", check_status=False).strip()
    check(said.startswith("same"), f"{what}: {said}")


def until_published(lab, path):
    """Waits until a server is published, and gives its ring-ref."""
    node = f"{HOME}/{lab.x}/{path}/ring-ref"
    lab.until(f'[ -n "$(xenstore-read {node})" ]', f"{path} of the guest", pause=0.2)
    return lab.read(node)


def until_offered(lab, times):
    """Waits until the last `xenvnc guest` has offered its display so often: the same numbers may come again in xenstore."""
    lab.guest(f"until [ $(grep -c 'offered the display' /tmp/said) -ge {times} ]; do sleep 0.2; done")


def until_withdrawn(lab, path):
    lab.until(f"! xenstore-exists {HOME}/{lab.x}/{path}", f"the server of {path} to take its nodes away")


def client_stays(lab, path, out="/dev/null"):
    """Starts a client in dom0 that holds the connection, and waits until it has it."""
    lab.run(f"(sleep 600 | {END} client {lab.x} {path} pipe >{out}) {QUIET} & true")
    lab.until("grep -q xen/gntdev /proc/$(pgrep -x vchan-example)/maps", "a client that is connected")
    lab.run("sleep 1")


def client_killed(lab, path):
    client_stays(lab, path)
    lab.run("pkill -9 vchan-example")


def no_zombie(lab):
    lab.until("! xl list | grep -q null && [ $(xl list | wc -l) -eq 2 ]", "the domain to go", pause=0.5)


@step("a Debian guest for shared memory is there")
def vchan_guest(lab):
    if lab.status(f"[ -x {END} ]")[0] != 0:
        raise Skip("the vchan example is not there (cargo build --release --example vchan)")
    lab.start_daemon()
    lab.want_x()
    check_equal(lab.guest("ls /dev/xen/gntalloc").strip(), "/dev/xen/gntalloc", "the guest's device")


@step("our vchan client and Xen's server understand each other, also after a kill", needs=[vchan_guest])
def our_client(lab):
    size = 200_000
    random_file(lab, size)
    lab.guest("rm -f /tmp/echo.sock; setsid socat UNIX-LISTEN:/tmp/echo.sock,fork EXEC:cat >/dev/null 2>&1 </dev/null &"
              " until [ -S /tmp/echo.sock ]; do sleep 0.1; done")
    lab.guest_starts(f"{PROXY} -m server 0 data/foreign /tmp/echo.sock")
    until_published(lab, "data/foreign")
    for what in ("the first client", "the second client"):
        echoes(lab, f"{END} client {lab.x} data/foreign pipe", size, what)
    client_killed(lab, "data/foreign")
    echoes(lab, f"{END} client {lab.x} data/foreign pipe", size, "a client after one that was killed")
    lab.guest("kill $(cat /tmp/pid)")


@step("our vchan server and Xen's client understand each other", needs=[vchan_guest])
def our_server(lab):
    size = 200_000
    random_file(lab, size)
    for rings in ("", "4096 4096", "1048576 1048576"):
        lab.guest_starts(f"{END} server data/ours echo {rings}")
        until_published(lab, "data/ours")
        echoes(lab, f"{PROXY} -m client {lab.x} {HOME}/{lab.x}/data/ours -", size, f"rings {rings or 'of a display'}")
        until_withdrawn(lab, "data/ours")


@step("vchan: 2 MB come back as they were sent; either end sees the kill of the other", needs=[vchan_guest])
def both_ends(lab):
    size = 2_000_000
    random_file(lab, size)
    lab.guest_starts(f"{END} server data/ours echo")
    first = until_published(lab, "data/ours")
    echoes(lab, f"{END} client {lab.x} data/ours pipe", size, "2 MB")
    until_withdrawn(lab, "data/ours")
    # dom0's end is killed: the server ends in order, and its nodes go.
    lab.guest_starts(f"{END} server data/ours echo")
    until_published(lab, "data/ours")
    client_killed(lab, "data/ours")
    until_withdrawn(lab, "data/ours")
    # The guest's end is killed: the client ends, and what is left in xenstore is no server any more.
    lab.guest_starts(f"{END} server data/ours echo")
    until_published(lab, "data/ours")
    client_stays(lab, "data/ours")
    lab.guest("kill -9 $(cat /tmp/pid)")
    lab.until("! pgrep vchan-example", "the client to see that its server was killed")
    status, said = lab.status(f"{END} client {lab.x} data/ours pipe </dev/null")
    reason = next((line for line in said.splitlines() if re.search("EventChannel|NoServer|map", line)), None)
    check(status != 0 and reason, f"a client of a dead server: {status} {said[-300:]}")
    lab.report.note(f"ring-ref {first}; a client of a dead server's nodes: {reason}")


@step("xl destroy with the display in a viewer and a vchan client attached leaves no zombie", needs=[vchan_guest])
def destroyed(lab):
    viewer = lab.view(int(lab.console(lab.x, "vnc-port")))
    lab.guest_starts(AGENT.format("vchan"))
    until_size(viewer, X, "X by vchan")
    await_display(lab, 0, "vchan", "connected")
    lab.guest_starts(f"{END} server data/held echo")
    until_published(lab, "data/held")
    client_stays(lab, "data/held", "/tmp/out")
    lab.run("xl destroy x")
    no_zombie(lab)
    lab.until("! pgrep vchan-example", "the client's end")
    check(f"domain {lab.x} is gone" in lab.run("cat /tmp/out"), "the client did not see it")
    check("panicked" not in lab.run(f"cat {LOG}"), "the daemon panicked")
    lab.close_viewers()


@step("vchan: 20 MB come back as they were sent", long=True)
def bulk(lab):
    lab.start_daemon()
    lab.want_x()
    random_file(lab, 20_000_000)
    lab.guest_starts(f"{END} server data/bulk echo")
    until_published(lab, "data/bulk")
    echoes(lab, f"{END} client {lab.x} data/bulk pipe", 20_000_000, "20 MB")
    until_withdrawn(lab, "data/bulk")


@step("a real Xvnc by vchan: fresh connection for each client, kills on both sides, X that ends", long=True)
def display(lab):
    lab.want_x()
    lab.stop_daemon()
    agent = f"env RUST_LOG=xenvnc=debug xenvnc guest --via vchan --number {NUMBER} --server unix:/tmp/x.sock --xvnc"
    look = f"{END} client {lab.x} {DISPLAY} rfb:3"
    lab.guest_starts(f"{agent} --geometry 640x480 -- sh -c \"xterm & exec twm\"")
    for times, what in enumerate(("first", "second"), 1):
        until_offered(lab, times)
        said = lab.run(look)
        check("3 screens of 640x480" in said, f"the {what} client: {said}")
    until_offered(lab, 3)
    lab.run(f"({END} client {lab.x} {DISPLAY} rfb:100000) {QUIET} & sleep 2; pkill -9 vchan-example; true")
    until_offered(lab, 4)
    check("3 screens" in lab.run(look), "a client after one that was killed")
    until_offered(lab, 5)
    # The agent is killed, with a client: that ends, Xvnc stays, and the next agent finds it.
    lab.run(f"({END} client {lab.x} {DISPLAY} rfb:100000) {QUIET} & sleep 2; true")
    lab.guest("kill -9 $(cat /tmp/pid)")
    lab.until("! pgrep vchan-example", "the client to see the kill")
    lab.guest_starts(agent)
    until_offered(lab, 1)
    check("3 screens of 640x480" in lab.run(look), "the same Xvnc after a kill of xenvnc guest")
    # X is killed: the nodes go; the agent starts another Xvnc, of the default size.
    until_offered(lab, 2)
    lab.guest("pkill -9 Xvnc || pkill -9 Xtigervnc")
    until_offered(lab, 3)
    check("3 screens of 1280x800" in lab.run(look), "a new Xvnc after a kill of X")
    until_offered(lab, 4)


@step("xl save and restore: the display is published in the new domain's home", long=True, needs=[display])
def restored(lab):
    before = lab.x
    lab.run("rm -f /root/x.save; xl save x /root/x.save && xl restore /root/x.save; rm -f /root/x.save", timeout=240)
    lab.x = lab.domid("x")
    check(lab.x != before, "xl restore gave the same domid")
    until_published(lab, DISPLAY)
    said = lab.run(f"{END} client {lab.x} {DISPLAY} rfb:3")
    check("3 screens of 1280x800" in said, f"the display after a restore: {said}")
    lab.until(f"{END} client {lab.x} {DISPLAY} rfb:1", "the guest to go on serving", 60, 1)


def rate(said):
    return float(re.search(r"([0-9.]+) MB/s", said)[1])


@step("figures: guest to dom0 by shared memory and by the network", long=True)
def figures(lab):
    lab.destroy_all()
    lab.x = lab.create_x("")
    lab.until_x()
    # Inside the guest: what Xvnc gives to a reader beside it, which is the most that can come by any way.
    rates = {"bare ring": [], "TCP": [], "Xvnc inside": [], "Xvnc by vchan": [], "Xvnc by TCP": []}
    lab.guest("setsid Xvnc :20 -rfbport 5920 -rfbunixpath /tmp/x.sock -SecurityTypes None -geometry 1280x800 >/dev/null 2>&1 "
              "</dev/null & until [ -S /tmp/x.sock ]; do sleep 0.2; done")
    for turn in range(3):
        lab.guest_starts(f"{END} server data/ours source:300000000")
        until_published(lab, "data/ours")
        rates["bare ring"].append(rate(lab.run(f"{END} client {lab.x} data/ours sink", timeout=300)))
        lab.guest_starts(f"{END} tcp-server 0.0.0.0:{7000 + turn} source:60000000")
        lab.run("sleep 1")
        rates["TCP"].append(rate(lab.run(f"{END} tcp-client 10.9.0.2:{7000 + turn} sink", timeout=300)))
        rates["Xvnc inside"].append(rate(lab.guest(f"{END} unix-client /tmp/x.sock rfb:40", timeout=300)))
        lab.guest_starts(f"xenvnc guest --via vchan --number {NUMBER} --server unix:/tmp/x.sock")
        until_published(lab, DISPLAY)
        rates["Xvnc by vchan"].append(rate(lab.run(f"{END} client {lab.x} {DISPLAY} rfb:40", timeout=300)))
        lab.guest("kill $(cat /tmp/pid)")
        lab.until(f"! xenstore-exists {HOME}/{lab.x}/{DISPLAY}", "the nodes to go")
        rates["Xvnc by TCP"].append(rate(lab.run(f"{END} tcp-client 10.9.0.2:5920 rfb:15", timeout=300)))
    middle = {what: sorted(seen)[1] for what, seen in rates.items()}
    for what, seen in rates.items():
        lab.report.note(f"{what}: {', '.join(f'{each:.1f}' for each in seen)} MB/s")
    lab.report.note(f"bare ring to TCP: {middle['bare ring'] / middle['TCP']:.1f}; "
                    f"Xvnc by vchan to Xvnc by TCP: {middle['Xvnc by vchan'] / middle['Xvnc by TCP']:.1f}; "
                    f"Xvnc by vchan to the bare ring: {middle['Xvnc by vchan'] / middle['bare ring']:.2f}; "
                    f"to Xvnc inside the guest: {middle['Xvnc by vchan'] / middle['Xvnc inside']:.2f}")
    # One processor does all of it, so that times add up: what Xvnc takes for a byte, and then the ring for the same byte.
    possible = 1 / (1 / middle["Xvnc inside"] + 1 / middle["bare ring"])
    lab.report.note(f"Xvnc inside and the bare ring one after the other: {possible:.1f} MB/s; "
                    f"Xvnc by vchan to that: {middle['Xvnc by vchan'] / possible:.2f}")
    lab.destroy("x")
