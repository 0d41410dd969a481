// Load for a forwarding, in a process of its own: an echo server and many clients at once, each of which sends its own
// bytes and sums what comes back. Prints one line of JSON when all have ended. Commands come as arguments:
//   echo                                        serve, print the port
//   clients PORT COUNT BYTES [SOCKS-TARGET-PORT] connect COUNT times, all at once
import { createCipheriv, createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';

const CHUNK = 16 * 1024;

function* data(bytes, seed) {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(seed);
  const stream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  for (let at = 0; at < bytes; at += CHUNK) yield stream.update(Buffer.alloc(Math.min(CHUNK, bytes - at)));
}

function echo() {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => console.log(server.address().port));
}

function request(socket, port) {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    socket.once('error', reject);
    socket.write(Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]));
    socket.on('readable', function read() {
      head = Buffer.concat([head, socket.read(12 - head.length) ?? Buffer.alloc(0)]);
      if (head.length < 12) return;
      socket.off('readable', read);
      if (head.equals(Buffer.from([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))) resolve();
      else reject(new Error(`SOCKS says ${head.toString('hex')}`));
    });
  });
}

/** Nobody ends before everybody is connected, through to the far end. */
function barrier(count) {
  let open;
  const all = new Promise((resolve) => {
    open = resolve;
  });
  return () => {
    if (--count === 0) open();
    return all;
  };
}

async function client(port, bytes, seed, target, ready) {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.once('error', ready);
  if (target !== undefined) await request(socket, target);
  socket.write('?');
  await new Promise((resolve, reject) => socket.once('error', reject).once('data', resolve));
  await ready();
  const sent = createHash('sha256');
  const received = createHash('sha256');
  await new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.on('data', (chunk) => received.update(chunk));
    socket.once('end', resolve);
    (async () => {
      for (const chunk of data(bytes, seed)) {
        sent.update(chunk);
        if (!socket.write(chunk)) await new Promise((go) => socket.once('drain', go));
      }
      socket.end();
    })().catch(reject);
  });
  return sent.digest('hex') === received.digest('hex');
}

const [command, port, count, bytes, target] = process.argv.slice(2);
if (command === 'echo') echo();
else {
  const socks = target === undefined ? undefined : Number(target);
  const ready = barrier(Number(count));
  const all = Array.from({ length: Number(count) }, (_, i) => client(Number(port), Number(bytes), i + 1, socks, ready));
  const ends = await Promise.allSettled(all);
  const whole = ends.filter(({ value }) => value === true).length;
  const errors = ends.filter(({ status }) => status === 'rejected').map(({ reason }) => String(reason));
  console.log(JSON.stringify({ whole, broken: ends.length - whole - errors.length, errors: errors.slice(0, 3) }));
}
