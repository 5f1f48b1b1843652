"""A Debian guest's X display on its endpoint: found by the daemon by every way that needs Xen or its network."""

from suite import check, check_equal, step

SOCKET = "/tmp/shown.sock"
AGENT = f"env RUST_LOG=xenvnc=debug xenvnc guest --server unix:{SOCKET}"


def await_display(lab, number, origin, state):
    """Waits until a display of the guest has come in this way and is in this state."""
    seen = []

    def look():
        nonlocal seen
        row = lab.listed("domid", lab.x) or {}
        seen = row.get("displays", [])
        return any(
            each["display"] == number and origin in each["origin"] and each["state"].startswith(state) for each in seen
        )

    lab.wait_for(look, f"display {number} by {origin}, {state}", 90)
    return seen


def end_agent(lab, signal):
    lab.guest(f"kill -{signal} $(cat /tmp/pid); while [ -d /proc/$(cat /tmp/pid) ]; do sleep 0.1; done")


@step("a guest's display by vchan is found, lost and found again")
def by_vchan(lab):
    lab.destroy_all()
    lab.start_daemon()
    lab.x = lab.create_x("")
    lab.until_x()
    # An X of its own, so that it outlives the agent.
    lab.guest(f"setsid Xvnc :30 -rfbport -1 -rfbunixpath {SOCKET} -SecurityTypes None -geometry 640x480 >/dev/null 2>&1 </dev/null &"
              f" until [ -S {SOCKET} ]; do sleep 0.2; done")
    lab.guest_starts(f"{AGENT} --via vchan")
    await_display(lab, 0, "vchan", "connected")
    check_equal(lab.listed("domid", lab.x)["vt"], 7, "the VT that a new viewer sees")
    # Its nodes stay behind and prove nothing.
    end_agent(lab, "KILL")
    await_display(lab, 0, "vchan", "not reached")
    check(lab.read(f"/local/domain/{lab.x}/data/xenvnc/display/0/ring-ref"), "a killed server's nodes are gone")
    check_equal(lab.listed("domid", lab.x)["vt"], 1, "the VT without a display")
    lab.guest_starts(f"{AGENT} --via vchan --number 2")
    await_display(lab, 2, "vchan", "connected")
    end_agent(lab, "TERM")


@step("a guest's display by TCP shows its token, once", needs=[by_vchan])
def by_token(lab):
    token = f"/local/domain/{lab.x}/xenvnc/token"
    first = lab.read(token)
    listed = lab.run(f"xenstore-ls -fp /local/domain/{lab.x}/xenvnc")
    for node in ("reverse-address", "token"):
        line = next(line for line in listed.splitlines() if f"/{node} = " in line)
        check(line.endswith(f"(n0,r{lab.x})"), f"{node} can be read by others: {line}")
    lab.guest_starts(f"{AGENT} --via tcp")
    await_display(lab, 0, "reverse TCP 10.9.0.2:", "connected")
    check(any("(token)" in each["origin"] for each in lab.listed("domid", lab.x)["displays"]), "not by its token")
    lab.until(f'[ "$(xenstore-read {token})" != {first} ]', "another token", 20)
    check(first not in lab.run("cat /var/log/xenvnc.log"), "a token is in the log")
    end_agent(lab, "TERM")
    await_display(lab, 0, "reverse TCP", "ended")


@step("a guest's display over a trusted bridge, as an installer connects it", needs=[by_vchan])
def by_bridge(lab):
    lab.guest("DISPLAY=:30 vncconfig -connect 10.9.0.1")
    await_display(lab, 0, "(trusted bridge)", "connected")
    # A bridge that knows it by another address does not know it.
    lab.guest("DISPLAY=:30 vncconfig -disconnect")
    await_display(lab, 0, "(trusted bridge)", "ended")
    mac = lab.read(f"/libxl/{lab.x}/device/vif/0/mac")
    lab.run(f"xenstore-write /libxl/{lab.x}/device/vif/0/mac 00:16:3e:99:99:99")
    lab.guest("DISPLAY=:30 vncconfig -connect 10.9.0.1")
    lab.until("grep -q 'no domain has the MAC address' /var/log/xenvnc.log", "the refusal in the log", 30)
    lab.run(f"xenstore-write /libxl/{lab.x}/device/vif/0/mac {mac}")
