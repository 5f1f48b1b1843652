"""Faults and ill will: the daemon killed in mid-stream, guests that send nonsense."""

from lab import LOG, XENVNC, stream_lines
from suite import check, check_equal, step

# Far more than one kill takes; the stream is ended by Ctrl-C.
STREAM_END = 1_500_000
KILLS = 3


def stream_through_kills(lab, name, kills=KILLS):
    """A guest prints numbered lines without pause while the daemon is killed again and again: the history afterwards has
    each line once. Gives the history's text."""
    lab.run(f"echo 'stream 1 {STREAM_END}' | {XENVNC} type {name}")
    lab.until_history(name, "stream 0000100")
    port = lab.console(lab.domid(name), "vnc-port")
    # One script for all of it: the guest wants all of the processor, and each command from here costs dom0 seconds. The
    # stream has to be on the move again before the next blow.
    script = f"""
last() {{ {XENVNC} history --raw {name} | tail -c 2000 | tr -d '\\r' | sed -n 's/^stream 0*\\([0-9]*\\) [0-9]* [0-9.]*$/\\1/p' | tail -n 1; }}
for i in $(seq {kills}); do
    old=$(cat /run/xenvnc/daemon.pid); t0=$(date +%s%N); kill -9 $old
    until [ "$(cat /run/xenvnc/daemon.pid 2>/dev/null)" != $old ] && nc -z 127.0.0.1 {port}; do sleep 0.02; done
    echo $((($(date +%s%N) - t0) / 1000000))
    before=$(last); n=0
    until [ $(last) -gt $((before + 200)) ]; do n=$((n + 1)); [ $n -lt 60 ] || {{ echo stopped after line $before; exit 1; }}; sleep 0.5; done
done"""
    outages = lab.run(script, timeout=240).split()
    # Ctrl-C, typed as bytes; and a word after it, so that the end is known.
    lab.run(f"printf '\\003' | {XENVNC} type {name}")
    lab.run(f"echo 'echo end-of-$((1+1))-stream' | {XENVNC} type {name}")
    lab.until_history(name, "end-of-2-stream")
    text = lab.history(name)
    # What Ctrl-C cut off is no damage.
    lines = stream_lines(text[: text.rindex("\nstream ") + 1])
    check(lines[0][0] == 1, f"the first line in the history is number {lines[0][0]}")
    times = [uptime for _, uptime in lines]
    stall = max(after - before for before, after in zip(times, times[1:]))
    rate = len(lines) / max(times[-1] - times[0], 0.01)
    lab.report.note(f"{len(lines)} lines in sequence through {kills} kills, none missing, none twice; {rate:.0f} lines/s; "
                    f"daemon listens again after {', '.join(outages)} ms; longest pause of the guest {stall:.2f} s by its clock")
    check(stall < 10, f"the guest stood still for {stall:.1f} s")
    return text


@step("interpose: kill -9 in mid-stream loses nothing and doubles nothing")
def kill_interposed(lab):
    lab.create("loud-interposed")
    port = lab.console(lab.domid("loud-interposed"), "vnc-port")
    text = stream_through_kills(lab, "loud-interposed")
    log = lab.run("cat /var/log/xen/console/guest-loud-interposed.log")
    check_equal(text, log, "history and xenconsoled's own log")
    check_equal(lab.console(lab.domid("loud-interposed"), "vnc-port"), port, "port after the kills")
    lab.destroy("loud-interposed")


@step("a guest that writes nonsense to its xenstore directories harms nobody")
def hostile_xenstore(lab):
    lab.create("hostile")
    lab.create("bystander")
    domid, port = lab.domid("hostile"), lab.listed("name", "hostile")["address"]
    # Its shell speaks xenstore's wire protocol on its own /dev/xen/xenbus: xs TYPE PAYLOAD; 11 writes, 13 removes.
    script = r"""
xs() {
    l=$(printf "$2" | wc -c)
    printf "\\$(printf %03o $1)\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\$(printf %03o $l)\\0\\0\\0$2" >&3
    dd bs=4096 count=1 <&3 >/dev/null 2>&1
}
exec 3<>/dev/xen/xenbus
xs 11 'data/xenvnc/display/7/ring-ref\000999999999999999999999'
xs 11 'data/xenvnc/display/7/event-channel\000-1'
xs 11 'data/xenvnc/display/../../x\000y'
xs 11 'data/xenvnc\000\033]0;\377\376\n%%n%%s'
xs 11 'console/backend-id\000../../etc/passwd'
xs 11 'console/vnc-port\0006666'
xs 11 'console/tty\000/etc/passwd'
xs 11 'device/suspend/event-channel\000xx'
xs 13 'console/backend-id\000'
xs 11 'control/shutdown\000nonsense'
xs 11 'name\000stolen'
i=0; while [ $i -lt 30 ]; do xs 11 "data/n$i\\000$i"; i=$((i+1)); done
echo nonsense-$((1+1))-written
"""
    lab.run(f"{XENVNC} type hostile", stdin=b"stty -echo 2>/dev/null\n" + script.encode())
    lab.until_history("hostile", "nonsense-2-written", 120)
    data = f"/local/domain/{domid}/data"
    check_equal(lab.read(f"{data}/xenvnc/display/7/ring-ref"), "9" * 21, "what the guest could write")
    check_equal(lab.read(f"{data}/n29"), "29", "the last that the guest wrote")
    check_equal(lab.listed("domid", domid)["name"], "hostile", "name")
    check_equal(lab.listed("name", "hostile")["address"], port, "address")
    check_equal(lab.console(domid, "vnc-port"), port.rpartition(":")[2], "vnc-port")
    check_equal(lab.listed("name", "bystander")["console"] != "none", True, "the bystander's console works")
    lab.run(f"echo 'echo alive-$((14+1))' | {XENVNC} type hostile")
    lab.until_history("hostile", "alive-15")


def noise(lab, megabytes, seconds):
    """Random bytes from the guest `hostile`; the bystander must not notice."""
    viewer = lab.view(int(lab.console(lab.domid("hostile"), "vnc-port")))
    lab.run(f"echo 'stty -echo; cat /dev/urandom | dd bs=64k iflag=fullblock count={megabytes * 16}; reset; "
            f"echo noise-$((15+1))-done' | {XENVNC} type hostile")
    lab.run(f"echo 'echo calm-$((16+1))-{megabytes}' | {XENVNC} type bystander")
    lab.until_history("bystander", f"calm-17-{megabytes}")
    # The noise makes the terminal answer (reports, attributes), and the shell takes the answers for commands once it reads
    # again: all that counts is that it gets there.
    lab.until_history("hostile", "noise-16-done", seconds)
    viewer.refresh()
    viewer.png(lab.artifacts / f"noise-{megabytes}.png")
    viewer.close()
    rss = lab.run("awk '/VmRSS/ { print $2 }' /proc/$(cat /run/xenvnc/daemon.pid)/status").strip()
    lab.report.note(f"daemon's resident memory after {megabytes} MB of noise: {rss} kB")
    check(int(rss) < 200_000, f"the daemon has grown to {rss} kB")
    again = lab.view(int(lab.console(lab.domid("hostile"), "vnc-port")))
    again.close()


@step("a guest that sends random bytes harms nobody", needs=[hostile_xenstore])
def hostile_console(lab):
    noise(lab, 4, 240)


@step("100 MB of random bytes", long=True, needs=[hostile_console])
def hostile_console_long(lab):
    noise(lab, 100, 3600)


@step("the listeners of the guests that are gone have gone")
def listeners_gone(lab):
    # A guest that reboots is away for a moment, too, so they stay that long.
    for port in lab.ended_ports:
        lab.until(f"! nc -z 127.0.0.1 {port}", f"the end of the listener on port {port}")


@step("the daemon never panicked, and was started again only when it was killed", every_lane=True)
def daemon_log(lab):
    lab.destroy_all()
    log = lab.run(f"cat {LOG}")
    check("panicked" not in log, "the daemon's log: " + "\n".join(line for line in log.split("\n") if "panicked" in line)[:500])
    died = [line for line in log.split("\n") if line.startswith("supervise:")]
    check(all("status 137" in line for line in died), f"it died by itself: {died}")
