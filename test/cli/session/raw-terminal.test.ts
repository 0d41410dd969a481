import { describe, expect, it } from 'vitest';
import { parseStty } from '../../../cli/session/raw-terminal.ts';

const gnu = `speed 38400 baud; rows 40; columns 100; line = 0;
intr = ^C; quit = ^\\; erase = ^?; kill = ^U; eof = ^D; eol = <undef>; eol2 = M-^?; swtch = <undef>;
start = ^Q; stop = ^S; susp = ^Z; rprnt = ^R; werase = ^W; lnext = ^V; discard = ^O; min = 1; time = 0;
-parenb -parodd -cmspar cs8 -hupcl -cstopb cread -clocal -crtscts
-ignbrk -brkint -ignpar -parmrk -inpck -istrip -inlcr -igncr icrnl ixon -ixoff -iuclc -ixany -imaxbel iutf8
opost -olcuc -ocrnl onlcr -onocr -onlret -ofill -ofdel nl0 cr0 tab0 bs0 vt0 ff0
isig icanon iexten echo echoe echok -echonl -noflsh -xcase -tostop -echoprt echoctl echoke -flusho -extproc
`;

const bsd = `speed 9600 baud; 24 rows; 80 columns;
lflags: icanon isig iexten echo echoe -echok echoke -echonl echoctl
	-echoprt -altwerase -noflsh -tostop -flusho pendin -nokerninfo
	-extproc
iflags: -istrip icrnl -inlcr -igncr ixon -ixoff ixany imaxbel iutf8
	-ignbrk brkint -inpck -ignpar -parmrk
oflags: opost onlcr -oxtabs -onocr -onlret
cflags: cread cs7 parenb -parodd hupcl -clocal -cstopb -crtscts -dsrflow
cchars: discard = ^O; dsusp = ^Y; eof = ^D; eol = <undef>;
	eol2 = <undef>; erase = ^?; intr = ^C; kill = ^U; lnext = ^V;
	min = 1; quit = ^\\; reprint = ^R; start = ^Q; status = ^T;
	stop = ^S; susp = ^Z; time = 0; werase = ^W;
`;

describe('parseStty', () => {
  it('reads what GNU and BusyBox print', () => {
    const { modes, size } = parseStty(gnu);
    expect(size).toEqual({ rows: 40, columns: 100 });
    expect(modes).toEqual({
      ...{ ISPEED: 38400, OSPEED: 38400 },
      ...{ VINTR: 3, VQUIT: 28, VERASE: 127, VKILL: 21, VEOF: 4, VEOL: 255, VEOL2: 255, VSWTCH: 255, VSTART: 17 },
      ...{ VSTOP: 19, VSUSP: 26, VREPRINT: 18, VWERASE: 23, VLNEXT: 22, VDISCARD: 15 },
      ...{ PARENB: 0, PARODD: 0, CS7: 1, CS8: 1, IGNPAR: 0, PARMRK: 0, INPCK: 0, ISTRIP: 0, INLCR: 0, IGNCR: 0 },
      ...{ ICRNL: 1, IXON: 1, IXOFF: 0, IUCLC: 0, IXANY: 0, IMAXBEL: 0, IUTF8: 1 },
      ...{ OPOST: 1, OLCUC: 0, OCRNL: 0, ONLCR: 1, ONOCR: 0, ONLRET: 0 },
      ...{ ISIG: 1, ICANON: 1, IEXTEN: 1, ECHO: 1, ECHOE: 1, ECHOK: 1, ECHONL: 0, NOFLSH: 0, XCASE: 0, TOSTOP: 0 },
      ...{ ECHOCTL: 1, ECHOKE: 1 },
    });
  });

  it('reads what the BSDs print', () => {
    const { modes, size } = parseStty(bsd);
    expect(size).toEqual({ rows: 24, columns: 80 });
    expect(modes).toMatchObject({ VDSUSP: 25, VREPRINT: 18, VSTATUS: 20, VERASE: 127, IXANY: 1, PENDIN: 1, ECHOK: 0 });
    expect(modes).toMatchObject({ OSPEED: 9600, PARENB: 1 });
    // Seven bits: eight are taken away before seven are set, for servers apply them in this order.
    expect(Object.keys(modes).filter((name) => name.startsWith('CS'))).toEqual(['CS8', 'CS7']);
    expect([modes.CS8, modes.CS7]).toEqual([0, 1]);
  });

  it('reads two speeds, odd characters and nonsense', () => {
    const { modes, size } = parseStty(
      'ispeed 300 baud; ospeed 75 baud; intr = M-a; quit = ;; erase = hello; foo = ^X;\nbar',
    );
    expect(modes).toEqual({ ISPEED: 300, OSPEED: 75, VINTR: 0xe1, VQUIT: 0x3b });
    expect(size).toBeUndefined();
    expect(parseStty('')).toEqual({ modes: {}, size: undefined });
  });
});
