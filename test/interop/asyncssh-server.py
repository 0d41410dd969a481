# An SSH server on AsyncSSH with everything its library has switched on: commands through /bin/sh (or echoed, so that
# no process stands between), and SFTP on the machine's own files. Arguments: host keys up to `--`, authorized_keys.
import asyncio
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")

import asyncssh  # noqa: E402
from asyncssh import compression, encryption, kex, mac  # noqa: E402

split = sys.argv.index("--")
host_keys, authorized = sys.argv[1:split], sys.argv[split + 1]


class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return password == "correct horse"


async def pump(source, sink, last):
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        if last:
            sink.write_eof()
    except (BrokenPipeError, ConnectionResetError):
        pass


async def serve(process):
    pipe = subprocess.PIPE
    shell = await asyncio.create_subprocess_exec("/bin/sh", "-c", process.command or "", stdin=pipe, stdout=pipe, stderr=pipe)
    feed = asyncio.ensure_future(pump(process.stdin, shell.stdin, True))
    await asyncio.gather(pump(shell.stdout, process.stdout, False), pump(shell.stderr, process.stderr, False))
    status = await shell.wait()
    feed.cancel()
    process.exit(status)


def plain(names):
    return [name.decode() for name in names if not name.startswith((b"gss-", b"arcfour", b"blowfish", b"cast", b"seed"))]


async def main():
    server = await asyncssh.create_server(
        Server,
        "127.0.0.1",
        0,
        server_host_keys=host_keys,
        authorized_client_keys=authorized,
        process_factory=serve,
        encoding=None,
        sftp_factory=True,
        kex_algs=plain(kex.get_kex_algs()),
        encryption_algs=plain(encryption.get_encryption_algs()),
        mac_algs=plain(mac.get_mac_algs()),
        compression_algs=plain(compression.get_compression_algs()),
        signature_algs="*",
        login_timeout=60,
    )
    print("listening on", server.sockets[0].getsockname()[1], flush=True)
    await server.wait_closed()


asyncio.run(main())
