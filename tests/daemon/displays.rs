//! Guests' displays that connect to us: who is taken in, who is refused, and what that costs the others.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use crate::host::{Host, eventually, text};
use crate::store_loss::await_store;
use crate::{ANY_PORT, ATTACH, await_log, await_problem, await_row, await_served, await_value, problems};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// A daemon that listens for displays, and where.
pub(crate) fn listening() -> (Host, SocketAddr) {
    let mut host = Host::new(&[ATTACH, ANY_PORT]);
    // Of the ports that were chosen for it, which the domains do not use.
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, host.first_port()));
    host.set(&format!("reverse.listen={at}"));
    host.start_daemon();
    (host, at)
}

/// Waits until a domain can read a token that is not this one, and gives it.
pub(crate) fn token(host: &Host, domid: u16, but: Option<&str>) -> String {
    eventually("a token", || {
        let token = host.value(&format!("/local/domain/{domid}/xenvnc/token"));
        token.clone().filter(|token| but != Some(token)).ok_or_else(|| format!("{token:?}\n{}", host.log()))
    })
}

/// What x11vnc and UltraVNC send to a repeater.
pub(crate) fn preamble(token: &str) -> Vec<u8> {
    let mut bytes = format!("ID:{token}").into_bytes();
    bytes.resize(250, 0);
    bytes
}

fn dial(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream
}

/// Connects from one of the many addresses of the loopback interface.
fn dial_from(from: [u8; 4], at: SocketAddr) -> TcpStream {
    let IpAddr::V4(ip) = at.ip() else { panic!("an IPv4 address") };
    let [a, b, c, d] = ip.octets();
    let socket =
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    bind(socket.as_raw_fd(), &SockaddrIn::new(from[0], from[1], from[2], from[3], 0)).expect("an address");
    connect(socket.as_raw_fd(), &SockaddrIn::new(a, b, c, d, at.port())).expect("a connection");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream
}

/// Waits for the end of a connection, and fails if anything was sent to it.
pub(crate) fn assert_closed_unheard(mut stream: TcpStream, case: &str) {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(0) => {}
        Ok(_) => panic!("{case}: something was sent to a stranger"),
        // What it had sent was not read.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{case}"),
    }
}

/// An RFB server's side of a handshake (RFC 6143 §7.1 to §7.3), without authentication: 64 by 48 pixels.
pub(crate) fn serve_handshake(stream: &mut (impl Read + Write)) {
    let mut expect = |send: &[u8], bytes: usize| -> Vec<u8> {
        stream.write_all(send).expect("the daemon reads");
        let mut answer = vec![0; bytes];
        stream.read_exact(&mut answer).expect("the daemon answers");
        answer
    };
    assert!(expect(b"RFB 003.008\n", 12).starts_with(b"RFB 003.00"));
    assert_eq!(expect(&[1, 1], 1), [1]);
    expect(&[0; 4], 1);
    let mut init = vec![0, 64, 0, 48, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];
    init.extend(*b"\0\0\0\x06screen");
    stream.write_all(&init).expect("the daemon reads");
}

/// Waits until a domain's display is as wanted.
pub(crate) fn await_display(host: &Host, domid: u16, origin: &str, state: &str) {
    await_row(host, domid, &format!("a display by {origin}, {state}"), |row| {
        row["displays"].as_array().is_some_and(|displays| {
            let is = |display: &serde_json::Value, key: &str, part: &str| {
                display[key].as_str().is_some_and(|text| text.contains(part))
            };
            displays.iter().any(|display| is(display, "origin", origin) && is(display, "state", state))
        })
    });
}

#[test]
fn strangers_are_refused_unheard_and_harm_nobody() {
    let (mut host, at) = listening();
    host.add_domain(7, "tiny");
    host.add_domain(8, "gone");
    let dead = token(&host, 8, None);
    host.destroy(8);
    await_log(&host, "domain is gone");
    let good = token(&host, 7, None);
    // From different addresses, so that none is refused for the others' sake.
    let mut sources = (1..).map(|n| [127, 0, 1, n]);
    let mut send = |bytes: &[u8]| {
        let mut stream = dial_from(sources.next().expect("an address"), at);
        // It may be closed before all of it is sent.
        let _ = stream.write_all(bytes);
        stream
    };
    let mut huge = preamble(&"a".repeat(240));
    huge.resize(1 << 20, b'a');
    for (case, bytes, reason) in [
        ("garbage", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "neither \"RFB \" nor \"ID:\""),
        ("an endless token", huge, "a token of 240 bytes"),
        ("control characters", preamble("\x1b[2J"), "printable"),
        ("an empty token", preamble(""), "a token of 0 bytes"),
        ("a display that is none", preamble(&format!("{good}:x")), "one digit"),
        ("a wrong token", preamble("0123456789abcdef0123456789abcdef"), "no domain has the token"),
        ("a part of a token", preamble(&good[..31]), "no domain has the token"),
        ("the token of a domain that is gone", preamble(&dead), "no domain has the token"),
        ("no preamble", b"RFB 003.008\n".to_vec(), "no token, and no bridge is trusted"),
    ] {
        let before = host.log().matches(reason).count();
        assert_closed_unheard(send(&bytes), case);
        eventually(case, || {
            let log = host.log();
            if log.matches(reason).count() > before { Ok(()) } else { Err(format!("no {reason:?} in {log}")) }
        });
    }
    let mut left = send(b"ID:");
    left.shutdown(std::net::Shutdown::Write).expect("an open connection");
    assert_eq!(left.read(&mut [0]).expect("its end"), 0);
    let row = await_row(&host, 7, "the domain", |_| true);
    assert!(row["displays"].is_null(), "{row}");
    let log = host.log();
    for secret in [&good, &dead, "0123456789abcdef"] {
        assert!(!log.contains(secret), "a token is in the log: {log}");
    }
    assert_eq!(token(&host, 7, None), good, "a refused connection used a token up");
    host.type_line("tiny", "echo fine-$((6*7))");
    host.await_history("tiny", "fine-42");
    host.assert_daemon_lives();
}

#[test]
fn silence_has_an_end() {
    let (mut host, at) = listening();
    host.add_domain(7, "tiny");
    let good = token(&host, 7, None);
    let silent = dial_from([127, 0, 0, 2], at);
    let mut half = dial_from([127, 0, 0, 3], at);
    half.write_all(&preamble(&good)[..249]).expect("the daemon reads");
    for (case, stream) in [("silence", silent), ("half a preamble", half)] {
        let peer = stream.local_addr().expect("an address").to_string();
        assert_closed_unheard(stream, case);
        await_log(&host, &format!("peer={peer} reason=it said nothing within"));
    }
    assert_eq!(token(&host, 7, None), good, "a refused connection used a token up");
}

#[test]
fn a_thousand_connections_hurt_nobody_else() {
    let (mut host, at) = listening();
    host.add_domain(7, "tiny");
    let good = token(&host, 7, None);
    let flood: Vec<TcpStream> = (0..1000).map(|_| dial(at)).collect();
    // Another address is heard meanwhile.
    let mut display = dial_from([127, 0, 0, 2], at);
    display.write_all(&preamble(&good)).expect("the daemon reads");
    serve_handshake(&mut display);
    await_display(&host, 7, "127.0.0.2", "connected");
    // Most are closed at once: an address may only have a few that say nothing.
    let open = flood.iter().filter(|stream| {
        stream.set_nonblocking(true).expect("a mode");
        let mut stream: &TcpStream = stream;
        matches!(stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    });
    let open = open.count();
    assert!(open <= 8, "{open} are open");
    drop(flood);
    let log = host.log();
    let lines = log.matches("reverse connection was refused").count();
    assert!((1..200).contains(&lines), "{lines} lines for 1000 connections");
    await_log(&host, "more reverse connections were refused connections=");
    host.type_line("tiny", "echo fine-$((6*7))");
    host.await_history("tiny", "fine-42");
    host.assert_daemon_lives();
}

#[test]
fn a_token_is_for_its_guest_s_eyes_and_good_once() {
    let (mut host, at) = listening();
    host.add_domain(7, "tiny");
    host.add_domain(8, "other");
    let first = token(&host, 7, None);
    let other = token(&host, 8, None);
    assert_eq!((first.len(), first == other), (32, false));
    let dump = host.xenstored.dump("/local/domain/7/xenvnc");
    assert!(dump.contains(&format!("/reverse-address = \"{at}\"   (n0,r7)")), "{dump}");
    assert!(dump.contains("/token = ") && dump.lines().all(|line| line.ends_with("(n0,r7)")), "{dump}");
    assert!(!host.xenstored.dump("/tool").contains(&first));

    let mut display = dial(at);
    display.write_all(&preamble(&first)).expect("the daemon reads");
    serve_handshake(&mut display);
    await_display(
        &host,
        7,
        &format!("reverse TCP {}", display.local_addr().expect("an address")),
        "connected",
    );
    let second = token(&host, 7, Some(&first));
    // Somebody who saw it pass by.
    let mut replay = dial(at);
    replay.write_all(&preamble(&first)).expect("the daemon reads");
    assert_closed_unheard(replay, "a replayed token");
    await_display(&host, 7, "reverse TCP", "connected");
    // Nothing of this was any other guest's affair.
    let row = await_row(&host, 8, "the other domain", |_| true);
    assert!(row["displays"].is_null(), "{row}");
    assert_eq!(token(&host, 8, None), other);

    // The display is started anew: the new connection takes its place.
    let mut again = dial(at);
    again.write_all(&preamble(&second)).expect("the daemon reads");
    serve_handshake(&mut again);
    await_display(&host, 7, &again.local_addr().expect("an address").to_string(), "connected");
    drop(again);
    await_display(&host, 7, "reverse TCP", "ended");

    // A second display of the guest beside it.
    let third = token(&host, 7, Some(&second));
    let mut beside = dial(at);
    beside.write_all(&preamble(&format!("{third}:1"))).expect("the daemon reads");
    serve_handshake(&mut beside);
    await_row(&host, 7, "VT 8", |row| {
        row["displays"][1]["vt"] == 8 && row["displays"][1]["state"] == "connected"
    });
    let fourth = token(&host, 7, Some(&third));
    let mut nowhere = dial(at);
    nowhere.write_all(&preamble(&format!("{fourth}:9"))).expect("the daemon reads");
    assert_closed_unheard(nowhere, "display 9");
    await_log(&host, "there is no display 9");

    // A new life has a new token, and the displays of the old one are gone.
    let last = token(&host, 7, Some(&fourth));
    host.destroy(7);
    host.add_life(9, 7, "tiny");
    token(&host, 9, Some(&last));
    assert_closed_unheard(
        {
            let mut stale = dial(at);
            stale.write_all(&preamble(&last)).expect("the daemon reads");
            stale
        },
        "the token of an earlier life",
    );
    let row = await_row(&host, 9, "the new life", |_| true);
    assert!(row["displays"].is_null(), "{row}");
    let log = host.log();
    for secret in [&first, &second, &third, &fourth, &last, &other] {
        assert!(!log.contains(secret.as_str()), "a token is in the log");
    }
}

#[test]
fn a_display_in_a_loop_is_held_back_with_a_word() {
    let (mut host, at) = listening();
    host.add_domain(7, "tiny");
    let mut last = None;
    for _ in 0..6 {
        let next = token(&host, 7, last.as_deref());
        let mut display = dial(at);
        display.write_all(&preamble(&next)).expect("the daemon reads");
        last = Some(next);
    }
    await_log(&host, "it came more than 5 times in 10 s");
    let log = host.log();
    let line = log.lines().find(|line| line.contains("it came more than")).expect("a line");
    assert!(line.contains("tiny") && line.contains("domid=7"), "{line}");
    host.type_line("tiny", "echo fine-$((6*7))");
    host.await_history("tiny", "fine-42");
}

#[test]
fn what_a_guest_was_told_goes_with_the_daemon_and_is_taken_over_after_a_crash() {
    let (mut host, at) = listening();
    host.add_domain(7, "tiny");
    let first = token(&host, 7, None);
    host.end_daemon(Signal::SIGKILL);
    assert_eq!(host.value("/local/domain/7/xenvnc/token").as_deref(), Some(first.as_str()));
    host.start_daemon();
    let second = token(&host, 7, Some(&first));
    let mut stale = dial(at);
    stale.write_all(&preamble(&first)).expect("the daemon reads");
    assert_closed_unheard(stale, "the token of an earlier run");

    // A run that does not listen leaves nothing of it.
    host.end_daemon(Signal::SIGKILL);
    host.set("reverse.listen=");
    host.start_daemon();
    await_served(&host, 7);
    eventually("the end of the token", || match host.value("/local/domain/7/xenvnc/token") {
        None => Ok(()),
        Some(_) => Err(host.log()),
    });
    host.set(&format!("reverse.listen={at}"));
    host.end_daemon(Signal::SIGKILL);
    host.start_daemon();
    token(&host, 7, Some(&second));
    assert!(host.end_daemon(Signal::SIGTERM).success());
    assert_eq!(host.value("/local/domain/7/xenvnc/token"), None);
    assert_eq!(host.value("/local/domain/7/xenvnc"), None);
    assert!(!host.xenstored.dump("/tool").contains("xenvnc"));
}

#[test]
fn tokens_are_told_again_when_xenstored_has_lost_everything() {
    let (mut host, _) = listening();
    host.add_domain(7, "tiny");
    let first = token(&host, 7, None);
    host.xenstored.kill();
    host.xenstored.restart();
    await_store(&host);
    host.make_again(7, "tiny");
    let again = token(&host, 7, None);
    assert_eq!(again.len(), first.len());
    let dump = host.xenstored.dump("/local/domain/7/xenvnc");
    assert!(dump.lines().count() == 2 && dump.lines().all(|line| line.ends_with("(n0,r7)")), "{dump}");
}

#[test]
fn a_busy_port_is_reported_and_tried_again_and_reloading_moves_it() {
    let mut host = Host::new(&[ATTACH, ANY_PORT]);
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let at = busy.local_addr().expect("an address");
    let configure = |host: &Host, text: &str| {
        std::fs::write(host.place("config.toml"), text).expect("a configuration file");
    };
    configure(&host, &format!("[reverse]\nlisten = [\"{at}\"]\nannounce = \"dom0.example:5500\"\n"));
    host.start_daemon();
    host.add_domain(7, "tiny");
    await_served(&host, 7);
    await_problem(&host, &["reverse.listen", &at.to_string(), "in use"]);
    drop(busy);
    eventually("the end of the problem", || {
        let problems = problems(&host);
        if problems.is_empty() { Ok(()) } else { Err(format!("{problems:?}")) }
    });
    assert_closed_unheard(
        {
            let mut stranger = dial(at);
            stranger.write_all(b"nonsense").expect("the daemon reads");
            stranger
        },
        "a stranger",
    );
    token(&host, 7, None);
    let announced = host.value("/local/domain/7/xenvnc/reverse-address");
    assert_eq!(announced.as_deref(), Some("dom0.example:5500"));
    configure(&host, &format!("[reverse]\nlisten = \"{at}\"\n"));
    host.signal_daemon(Signal::SIGHUP);
    await_value(&host, "/local/domain/7/xenvnc/reverse-address", Some(&at.to_string()));

    configure(&host, "");
    host.signal_daemon(Signal::SIGHUP);
    eventually("the end of the token", || match host.value("/local/domain/7/xenvnc/token") {
        None => Ok(()),
        Some(_) => Err(host.log()),
    });
    assert!(TcpStream::connect(at).is_err(), "it listens still");
    host.assert_daemon_lives();
}

#[test]
fn offers_by_vchan_that_lead_nowhere_are_reported_and_cost_little() {
    let (mut host, _) = listening();
    host.add_domain(7, "tiny");
    await_served(&host, 7);
    let offer = |display: u8, ring_ref: &[u8], event_channel: &[u8]| {
        let node = format!("/local/domain/7/data/xenvnc/display/{display}");
        host.write(&format!("{node}/ring-ref"), ring_ref);
        host.write(&format!("{node}/event-channel"), event_channel);
    };
    // Without a hypervisor, and with one when the server is dead, this cannot be connected.
    offer(0, b"8", b"9");
    offer(1, b"\x1b[2J", b"9");
    offer(9, b"8", b"9");
    await_display(&host, 7, "vchan", "not reached");
    await_display(&host, 7, "vchan", "wanted a decimal number");
    let row = await_row(&host, 7, "the domain", |_| true);
    assert_eq!(row["displays"].as_array().map(Vec::len), Some(2), "{row}");
    host.toolstack(async |t| t.store.remove("/local/domain/7/data/xenvnc/display/0").await)
        .expect("xenstore");
    await_row(&host, 7, "the end of an offer", |row| row["displays"].as_array().map(Vec::len) == Some(1));
    // It writes as fast as it can.
    host.toolstack(async |t| {
        for n in 0..3000_u32 {
            let node = format!("/local/domain/7/data/xenvnc/display/{}/x{}", n % 7, n % 200);
            t.store.write(&node, b"x").await.expect("xenstore");
        }
    });
    host.type_line("tiny", "echo fine-$((6*7))");
    host.await_history("tiny", "fine-42");
    let log = host.log();
    assert!(log.lines().count() < 200, "{log}");
    assert!(!log.contains('\x1b'), "{log:?}");
    host.assert_daemon_lives();
}

#[test]
fn domains_can_be_left_out() {
    let (mut host, at) = listening();
    std::fs::write(host.place("config.toml"), "[[domain]]\nmatch = \"secret\"\ndisplay.enabled = false\n")
        .expect("a configuration file");
    host.signal_daemon(Signal::SIGHUP);
    await_log(&host, "configuration read again");
    host.add_domain(7, "secret");
    host.add_domain(8, "open");
    token(&host, 8, None);
    await_served(&host, 7);
    assert_eq!(host.value("/local/domain/7/xenvnc"), None);
    // Allowed, and forbidden again.
    std::fs::write(host.place("config.toml"), "").expect("a configuration file");
    host.signal_daemon(Signal::SIGHUP);
    let was = token(&host, 7, None);
    std::fs::write(host.place("config.toml"), "[display]\nenabled = false\n").expect("a configuration file");
    host.signal_daemon(Signal::SIGHUP);
    eventually("the end of the token", || match host.value("/local/domain/7/xenvnc/token") {
        None => Ok(()),
        Some(_) => Err(host.log()),
    });
    let mut late = dial(at);
    late.write_all(&preamble(&was)).expect("the daemon reads");
    assert_closed_unheard(late, "a display that is not wanted");
    assert!(text(&host.xenvnc(&["list"]).stdout).contains("secret"));
}
