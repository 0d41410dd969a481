# A pseudo-terminal for tests: argv is the program; one JSON object a line comes in on standard input (send, resize,
# signal), one goes out for what the program prints, for the terminal's modes when asked, and for its end.
import base64, fcntl, json, os, select, signal, struct, sys, termios

master, slave = os.openpty()

def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()

def resize(rows, columns):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

def modes():
    i, o, c, l, _, _, chars = termios.tcgetattr(slave)
    return [i, o, c, l, [x if isinstance(x, int) else x[0] for x in chars]]

resize(int(os.environ["PTY_ROWS"]), int(os.environ["PTY_COLUMNS"]))
say(begin=modes())
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in 0, 1, 2:
        os.dup2(slave, fd)
    os.closerange(3, 64)
    os.execvp(sys.argv[1], sys.argv[1:])

pending = b""
while True:
    ready, _, _ = select.select([master, 0], [], [], 0.05)
    if master in ready:
        say(output=base64.b64encode(os.read(master, 65536)).decode())
    if 0 in ready:
        chunk = os.read(0, 65536)
        if not chunk:
            os.killpg(pid, signal.SIGKILL)
            break
        pending += chunk
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            what = json.loads(line)
            if "send" in what:
                os.write(master, base64.b64decode(what["send"]))
            if "resize" in what:
                resize(*what["resize"])
            if "signal" in what:
                os.kill(pid, getattr(signal, what["signal"]))
            if "modes" in what:
                say(modes=modes())
    if not ready:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            say(exit=os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status), end=modes())
            break
