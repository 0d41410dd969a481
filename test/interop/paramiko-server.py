# An SSH server on Paramiko that does what real servers seldom do. It sends no server-sig-algs. The command says what to
# do: `echo` gives stdin back, `status N` exits, `silent` closes without a status, `eof` ends output and stays open for a
# while, `late` answers the request only after data, `hang` never answers, `drop` cuts the connection, `rekey` exchanges
# keys in the middle. Arguments: host key, authorized_keys.
import socket
import sys
import threading
import time

import paramiko

host_key = paramiko.Ed25519Key(filename=sys.argv[1])
with open(sys.argv[2]) as lines:
    authorized = {tuple(line.split()[:2]) for line in lines}


class Interface(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport
        self.kex_algorithm = None

    def get_allowed_auths(self, username):
        return "publickey,password,keyboard-interactive"

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if password == "pär ässword" else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username, key):
        known = (key.get_name(), key.get_base64()) in authorized
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        return paramiko.InteractiveQuery("Title", "Two questions", ("Name: ", True), ("Secret: ", False))

    def check_auth_interactive_response(self, responses):
        return paramiko.AUTH_SUCCESSFUL if responses == ["me", "s"] else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        if kind == "session":
            return paramiko.OPEN_SUCCEEDED
        return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_pty_request(self, channel, term, width, height, pixelwidth, pixelheight, modes):
        return False

    def check_channel_exec_request(self, channel, command):
        words = command.decode().split()
        if words[0] == "refuse":
            return False
        if words[0] == "hang":
            time.sleep(30)
        threading.Thread(target=serve, args=(self.transport, channel, words), daemon=True).start()
        return True


def serve(transport, channel, words):
    time.sleep(0.05)
    what = words[0]
    if what == "echo":
        while True:
            data = channel.recv(32768)
            if not data:
                break
            channel.sendall(data)
        channel.send_exit_status(0)
    elif what == "status":
        channel.sendall(b"out\n")
        channel.sendall_stderr(b"err\n")
        channel.send_exit_status(int(words[1]))
    elif what == "silent":
        channel.sendall(b"said\n")
    elif what == "eof":
        channel.sendall(b"first\n")
        channel.shutdown_write()
        time.sleep(0.2)
        channel.send_exit_status(6)
    elif what == "drop":
        transport.sock.close()
        return
    elif what == "rekey":
        for number in range(4):
            channel.sendall(b"x" * 100000)
            transport.renegotiate_keys()
        channel.send_exit_status(0)
    channel.close()


def accept(connection):
    transport = paramiko.Transport(connection)
    transport.add_server_key(host_key)
    try:
        transport.start_server(server=Interface(transport))
        # A channel that nobody holds is closed.
        channels = []
        while transport.is_active():
            channels.append(transport.accept(1))
    except (paramiko.SSHException, EOFError, OSError):
        pass


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(50)
print("listening on", listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=accept, args=(connection,), daemon=True).start()
