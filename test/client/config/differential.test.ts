/** Every option in effect must be the one that the installed OpenSSH works out from the same words and files. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dumpOptions } from '../../../client/config/dump.ts';
import { type ResolveEnv, resolveHost } from '../../../client/config/resolve.ts';
import { SshError } from '../../../protocol/index.ts';
import { haveSsh, parseDump, runSsh, sshEnvironment, toRequest } from './openssh.ts';

if (!haveSsh) console.warn('skipped: no /usr/bin/ssh to compare with');

/** Where we mean to differ, and why. */
const ours = new Set([
  'warnweakcrypto', // newer than 9.2
  'obscurekeystroketiming',
  'channeltimeout',
  'tag',
  'versionaddendum',
]);

let dir = '';
let resolveEnv: ResolveEnv;
const env = { PATH: process.env.PATH, HOME: '/nonexistent', FOO: 'bar', SOCK: '/tmp/sock', EMPTY: '', LANG: 'C' };

const write = (name: string, text: string): string => {
  const path = join(dir, name);
  writeFileSync(path, text, { mode: 0o644 });
  return path;
};

function compare(args: readonly string[]): void {
  const theirs = runSsh(args, env);
  let lines: string[];
  try {
    lines = dumpOptions(resolveHost(toRequest(args), resolveEnv));
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    expect(theirs.ok, `we refuse: ${error.message}`).toBe(false);
    // Expansion has messages of its own; all else is told in ssh's words.
    const said = theirs.stderr.replaceAll('\r', '');
    const expansion = said.includes('percent_expand') || said.includes('Could not resolve');
    if (error.code === 'config' && !expansion)
      for (const line of error.message.split('\n')) expect(said).toContain(line.replace(/\.$/, ''));
    return;
  }
  expect(theirs.ok, `ssh refuses: ${theirs.stderr}`).toBe(true);
  const want = parseDump(theirs.stdout);
  const got = parseDump(lines.join('\n'));
  const usual = want.get('identityfile')?.includes('~/.ssh/id_xmss') === true;
  for (const [keyword, values] of want) {
    // The usual identities have our own order, and XMSS is nobody's.
    if (keyword === 'identityfile' && usual) expect(values).toEqual(expect.arrayContaining(got.get(keyword)!));
    // ssh cannot read back the values it prints unquoted, nor its own name for a SOCKS listener.
    else if (keyword === 'setenv') expect(got.get(keyword)?.[0]?.replaceAll('"', '')).toBe(values.join(' '));
    // A path as listener is taken for a SOCKS listener by the printing code of ssh.
    else if (keyword === 'dynamicforward' && want.get('localforward')?.some((value) => value.includes('/'))) continue;
    else if (keyword === 'remoteforward')
      expect(got.get(keyword)).toEqual(values.map((value) => value.replace(/ \[socks\]:0$/, '')));
    else expect({ [keyword]: got.get(keyword) }).toEqual({ [keyword]: values });
  }
  for (const keyword of got.keys()) if (!ours.has(keyword)) expect([...want.keys()]).toContain(keyword);
  expect([...got.keys()].filter((keyword) => want.has(keyword))).toEqual(
    [...want.keys()].filter((keyword) => got.has(keyword)),
  );
}

const options: readonly string[] = [
  'AddKeysToAgent=yes',
  'AddKeysToAgent=ask',
  'AddKeysToAgent=confirm',
  'AddKeysToAgent=confirm 5m',
  'AddKeysToAgent=1h',
  'AddKeysToAgent=maybe',
  'AddressFamily=inet',
  'AddressFamily=INET6',
  'AddressFamily=ipx',
  'BatchMode=yes',
  'BatchMode true',
  'batchmode = yes',
  'BATCHMODE="yes"',
  'BatchMode=maybe',
  'BatchMode',
  'BatchMode=',
  'BatchMode=yes no',
  'BindAddress=127.0.0.1',
  'BindInterface=lo',
  'CanonicalDomains=a.example b.example',
  'CanonicalDomains=none',
  'CanonicalDomains=none a',
  'CanonicalDomains=a..b',
  'CanonicalDomains=-x',
  'CanonicalizeMaxDots=3',
  'CanonicalizePermittedCNAMEs=none',
  'CanonicalizePermittedCNAMEs=abc',
  'CASignatureAlgorithms=-ssh-rsa,ecdsa*',
  'CertificateFile=~/x-cert.pub',
  'CheckHostIP=yes',
  'Ciphers=aes128-ctr',
  'Ciphers=+3des-cbc',
  'Ciphers=-aes*',
  'Ciphers=^aes256-ctr,aes128-cbc',
  'Ciphers=aes128-ctr,nope',
  'Ciphers=aes*',
  'Ciphers=+aes128-ctr',
  'ClearAllForwardings=yes',
  'Compression=yes',
  'Compression=true',
  'ConnectionAttempts=5',
  'ConnectionAttempts=x',
  'ConnectionAttempts=-1',
  'ConnectionAttempts=99999999999',
  'ConnectionAttempts=0',
  'ConnectTimeout=10',
  'ConnectTimeout=1h30m5',
  'ConnectTimeout=none',
  'ConnectTimeout=1y',
  'ControlMaster=auto',
  'ControlMaster=autoask',
  'ControlMaster=yes',
  'ControlPath=~/c-%C-%h-%p-%r-%%-${FOO}',
  'ControlPath=none',
  'ControlPersist=yes',
  'ControlPersist=10m',
  'ControlPersist=0',
  'ControlPersist=maybe',
  'DynamicForward=1080',
  'DynamicForward=*:1080',
  'DynamicForward=[::1]:1080',
  'DynamicForward=0',
  'DynamicForward=a:b:c',
  'EnableEscapeCommandline=yes',
  'EnableSSHKeysign=yes',
  'EscapeChar=none',
  'EscapeChar=x',
  'EscapeChar=^?',
  'EscapeChar=^',
  'EscapeChar=xyz',
  'ExitOnForwardFailure=yes',
  'FingerprintHash=md5',
  'FingerprintHash=SHA256',
  'FingerprintHash=crc',
  'ForkAfterAuthentication=no',
  'ForwardAgent=yes',
  'ForwardAgent=${SOCK}',
  'ForwardAgent=$SOCK',
  'ForwardAgent=~/agent',
  'ForwardAgent=$0bad',
  'ForwardAgent=${NOPE}',
  'ForwardX11=yes',
  'ForwardX11Timeout=10m',
  'ForwardX11Trusted=no',
  'GatewayPorts=yes',
  'GlobalKnownHostsFile=/a /b',
  'GlobalKnownHostsFile=none',
  'GlobalKnownHostsFile=/a none',
  'GSSAPIAuthentication=yes',
  'GSSAPIDelegateCredentials=yes',
  'HashKnownHosts=yes',
  'HostbasedAcceptedAlgorithms=ssh-ed25519',
  'HostbasedKeyTypes=ssh-ed25519',
  'HostbasedAuthentication=yes',
  'HostKeyAlgorithms=ssh-ed25519',
  'HostKeyAlgorithms=ssh-*',
  'HostKeyAlgorithms=+ssh-rsa',
  'HostKeyAlgorithms=-ssh-ed25519*',
  'HostKeyAlgorithms=^rsa-sha2-512',
  'HostKeyAlgorithms=zz',
  'HostKeyAlias=Alias.Example',
  'Hostname=%h.example.com',
  'Hostname=UPPER',
  'Hostname=%x',
  'IdentitiesOnly=yes',
  'IdentityAgent=none',
  'IdentityAgent=SSH_AUTH_SOCK',
  'IdentityAgent=~/%u.sock',
  'IdentityAgent=$SOCK',
  'IdentityAgent=${SOCK}',
  'IdentityAgent=${NOPE}',
  'IdentityFile=~/.ssh/%h',
  'IdentityFile=none',
  'IdentityFile=',
  'IgnoreUnknown=foo*',
  'IPQoS=af21 cs1',
  'IPQoS=none',
  'IPQoS=0x10',
  'IPQoS=12 ef',
  'IPQoS=bad',
  'IPQoS=le',
  'KbdInteractiveAuthentication=no',
  'ChallengeResponseAuthentication=no',
  'SkeyAuthentication=no',
  'KbdInteractiveDevices=pam',
  'KexAlgorithms=curve25519-sha256',
  'KexAlgorithms=-diffie*',
  'KexAlgorithms=+diffie-hellman-group1-sha1',
  'KexAlgorithms=none',
  'KnownHostsCommand=/bin/x %H',
  'LocalCommand=echo %h',
  'LocalCommand=none',
  'LocalForward=8080 host:80',
  'LocalForward=127.0.0.1:8080 [::1]:80',
  'LocalForward=*:1 h:2',
  'LocalForward=/%h-${FOO} /%p',
  'LocalForward=8080',
  'LocalForward=8080 host',
  'LocalForward=8080 /run/x',
  'LocalForward=/run/y host:22',
  'LocalForward=70000 h:1',
  'LocalForward=0 h:1',
  'LocalForward=:80 h:90',
  'LogLevel=VERBOSE',
  'LogLevel=debug1',
  'LogLevel=DEBUG3',
  'LogLevel=loud',
  'LogVerbose=kex.c:*',
  'MACs=-hmac*',
  'MACs=hmac-sha2-256',
  'MACs=x',
  'NoHostAuthenticationForLocalhost=yes',
  'NumberOfPasswordPrompts=1',
  'PasswordAuthentication=no',
  'PermitLocalCommand=yes',
  'PermitRemoteOpen=any',
  'PermitRemoteOpen=none',
  'PermitRemoteOpen=a:1 [::1]:2 *:3 b:*',
  'PermitRemoteOpen=a',
  'PKCS11Provider=none',
  'Port=2222',
  'Port=0',
  'Port=65536',
  'Port=2000blah',
  'PreferredAuthentications=password,publickey',
  'ProxyCommand=nc %h %p',
  'ProxyCommand=none',
  'ProxyCommand=a "b c" # d',
  'ProxyJump=jump',
  'ProxyJump=u@a:1,b@[::1]:3',
  'ProxyJump=10.0.0.1',
  'ProxyJump=none',
  'ProxyJump=a:x',
  'ProxyJump=@a',
  'ProxyJump=ssh://u@h:22',
  'ProxyUseFdpass=no',
  'PubkeyAcceptedAlgorithms=+ssh-dss',
  'PubkeyAcceptedKeyTypes=ssh-ed25519',
  'PubkeyAuthentication=no',
  'PubkeyAuthentication=host-bound',
  'PubkeyAuthentication=unbound',
  'DSAAuthentication=no',
  'RekeyLimit=1G',
  'RekeyLimit=500M 1h',
  'RekeyLimit=default none',
  'RekeyLimit=1.5G 1h30',
  'RekeyLimit=15',
  'RekeyLimit=16',
  'RekeyLimit=x',
  'RekeyLimit=1G zz',
  'RekeyLimit=0 5',
  'RemoteCommand=echo %h %%',
  'RemoteCommand=none',
  'RemoteForward=8080',
  'RemoteForward=0 h:1',
  'RemoteForward=*:8080 h:80',
  'RemoteForward=/a /b',
  'RequestTTY=force',
  'RequestTTY=yes',
  'RequestTTY=maybe',
  'RequiredRSASize=2048',
  'RevokedHostKeys=/x',
  'RevokedHostKeys=none',
  'SecurityKeyProvider=none',
  'SecurityKeyProvider=$FOO',
  'SecurityKeyProvider=$NOPE',
  'SendEnv=LANG LC_*',
  'SendEnv=A=1',
  'ServerAliveCountMax=5',
  'ServerAliveInterval=30',
  'ServerAliveInterval=2m',
  'ProtocolKeepAlives=7',
  'SetupTimeOut=8',
  'SessionType=none',
  'SessionType=subsystem',
  'SetEnv=A=1 B="2 3"',
  'SetEnv=A',
  'SetEnv=A=1 A=2',
  'StdinNull=yes',
  'StreamLocalBindMask=0117',
  'StreamLocalBindMask=999',
  'StreamLocalBindUnlink=yes',
  'StrictHostKeyChecking=yes',
  'StrictHostKeyChecking=no',
  'StrictHostKeyChecking=off',
  'StrictHostKeyChecking=accept-new',
  'StrictHostKeyChecking=true',
  'StrictHostKeyChecking=perhaps',
  'SyslogFacility=LOCAL3',
  'SyslogFacility=x',
  'TCPKeepAlive=no',
  'KeepAlive=no',
  'Tunnel=yes',
  'Tunnel=ethernet',
  'TunnelDevice=1:2',
  'TunnelDevice=any',
  'TunnelDevice=1',
  'TunnelDevice=x',
  'UpdateHostKeys=ask',
  'UpdateHostKeys=no',
  'User=someone',
  'UserKnownHostsFile=/a /b',
  'UserKnownHostsFile=~/.ssh/known_hosts',
  'UserKnownHostsFile=/%h-${FOO}',
  'UserKnownHostsFile=none',
  'UserKnownHostsFile=/%q',
  'VerifyHostKeyDNS=ask',
  'VisualHostKey=yes',
  'XAuthLocation=/x',
  'Protocol=2',
  'Cipher=blowfish',
  'UseRoaming=no',
  'Nonsense=1',
  'Host=x',
  'Include=x',
  'Match=all',
  'RemoteCommand="a" b',
  "User='quoted user'",
  'User="open',
  '# comment',
  '  ',
  'Port=22 # comment',
  'Port=22 #comment',
  'Port=22#x',
];

describe.skipIf(!haveSsh)('the same options as ssh -G', () => {
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'config-'));
    resolveEnv = sshEnvironment(env, '/etc/ssh/ssh_config');
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it.each(options)('-o %j', (option) => compare(['-F', 'none', '-o', option, 'host']));

  const lines: readonly (readonly string[])[] = [
    ['host'],
    ['-F', 'none', 'HOST.Example'],
    ['-F', 'none', 'user@host'],
    ['-F', 'none', 'a@b@host'],
    ['-F', 'none', 'ssh://u@h:2200'],
    ['-F', 'none', 'ssh://h:2200/'],
    ['-F', 'none', 'ssh://h/path'],
    ['-F', 'none', 'ssh://h:0'],
    ['-F', 'none', 'ssh://a%41@h'],
    ['-F', 'none', '-l', 'bar', 'baz@host'],
    ['-F', 'none', 'baz@host', '-l', 'bar'],
    ['-F', 'none', '-o', 'user=foo', '-l', 'bar', 'baz@host'],
    ['-F', 'none', 'baz@host', '-o', 'user=foo'],
    ['-F', 'none', '-l', '${FOO}', 'host'],
    ['-F', 'none', '${FOO}@host'],
    ['-F', 'none', '-l', 'x\u0007y', 'host'],
    ['-F', 'none', '-l', '-x', 'host'],
    ['-F', 'none', '-l', 'a b', 'host'],
    ['-F', 'none', '-l', 'a\\', 'host'],
    ['-F', 'none', '-l', 'a%b', 'host'],
    ['-F', 'none', 'ho$t'],
    ['-F', 'none', 'ho;t'],
    ['-F', 'none', 'a`b'],
    ['-F', 'none', 'a b'],
    ['-F', 'none', '::1'],
    ['-F', 'none', 'fe80::1%eth0'],
    ['-F', 'none', '_host'],
    ['-F', 'none', 'xn--abc'],
    ['-F', 'none', '-p', '2222', 'host'],
    ['-F', 'none', '-p', '0', 'host'],
    ['-F', 'none', '-p', '2222', '-o', 'Port=1', 'ssh://host:3'],
    ['-F', 'none', 'ssh://host:3', '-p', '2222'],
    ['-F', 'none', '-W', 'a:1', 'host'],
    ['-F', 'none', '-W', 'a:1', '-o', 'exitonforwardfailure=no', '-o', 'clearallforwardings=no', '-L', '1:b:2', 'host'],
    ['-F', 'none', '-W', 'a:1', '-L', '1:b:2', 'host'],
    ['-F', 'none', '-L', '8080:h:80', '-L', '8080:h:80', '-R', '0:h:1', '-D', '1080', 'host'],
    ['-F', 'none', '-R', '8080', 'host'],
    ['-F', 'none', '-L', '[::1]:1:[fe80::1]:2', 'host'],
    ['-F', 'none', '-L', 'x', 'host'],
    ['-F', 'none', '-D', '[::1]:1', 'host'],
    ['-F', 'none', '-4', 'host'],
    ['-F', 'none', '-6', '-o', 'AddressFamily=inet', 'host'],
    ['-F', 'none', '-C', 'host'],
    ['-F', 'none', '-A', 'host'],
    ['-F', 'none', '-a', '-o', 'ForwardAgent=yes', 'host'],
    ['-F', 'none', '-g', '-n', '-N', 'host'],
    ['-F', 'none', '-X', 'host'],
    ['-F', 'none', '-c', 'aes128-ctr', 'host'],
    ['-F', 'none', '-m', 'hmac-sha1', 'host'],
    ['-F', 'none', '-b', '::1', '-B', 'lo', 'host'],
    ['-F', 'none', '-S', '/tmp/%C', 'host'],
    ['-F', 'none', '-J', 'a,b:2', 'host'],
    ['-F', '/nonexistent/config', 'host'],
    ['-F', 'none', '-o', 'ProxyJump=a', '-o', 'ProxyCommand=b', 'host'],
    ['-F', 'none', '-o', 'ProxyCommand=b', '-o', 'ProxyJump=a', 'host'],
    ['-F', 'none', '-o', 'ProxyJump=none', '-o', 'ProxyCommand=b', 'host'],
    ['-F', 'none', '-o', 'IgnoreUnknown=foo*,bar', '-o', 'FooBar=1', 'host'],
    ['-F', 'none', '-o', 'FooBar=1', '-o', 'IgnoreUnknown=foo*', 'host'],
    ['-F', 'none', '-o', 'ConnectTimeout=none', '-o', 'ConnectTimeout=5', 'host'],
    ['-F', 'none', '-o', 'SendEnv=A B', '-o', 'SendEnv=-A C', 'host'],
    ['-F', 'none', '-o', 'SetEnv=A=1', '-o', 'SetEnv=B=2', 'host'],
    ['-F', 'none', '-o', 'RekeyLimit=1G', '-o', 'RekeyLimit=2G 5m', 'host'],
    ['-F', 'none', '-o', 'IdentityFile=/a', '-o', 'IdentityFile=/b', '-o', 'IdentityFile=/a', 'host'],
    ['-F', 'none', '-o', 'BatchMode=yes', '-o', 'ServerAliveInterval=3', 'host'],
    ['-F', 'none', '-o', 'UpdateHostKeys=ask', '-o', 'ControlPersist=yes', '-o', 'ControlPath=/x', 'host'],
    [
      '-F',
      'none',
      '-o',
      'ControlPath=%n-%k-%h-%l-%L-%i-%u-%d',
      '-o',
      'HostKeyAlias=AlIaS',
      '-o',
      'Hostname=real',
      'Given',
    ],
  ];
  it.each(lines.map((line) => [line] as const))('%j', (line) => compare(line));

  const files: readonly (readonly [string, string, readonly string[]])[] = [
    ['first value wins', 'Host a\n Port 1\nHost *\n Port 2\n User u\nPort 3\n', ['a', 'b']],
    ['globals before any Host', 'Port 5\nHost a\n Port 6\n User x\n', ['a', 'b']],
    ['negation', 'Host * !b*\n Port 7\nHost !c\n Port 8\nHost c !c\n Port 9\n', ['a', 'bx', 'c']],
    [
      'wildcards',
      'Host w?b *.example.com 10.0.0.*\n Port 7\n',
      ['web', 'weeb', 'x.example.com', 'example.com', '10.0.0.1', 'WEB'],
    ],
    ['several patterns and quotes', 'Host "a b" c\td\n Port 7\n', ['c', 'd', 'a']],
    ['key=value', 'Host=a\nPort=9\nUser = x\nHostname  =y\nIdentityFile="/a b"\n', ['a', 'b']],
    ['comments', '# top\n  # indented\nHost a # a comment\n Port 1 # one\n User x #y\n Hostname h#h\n', ['a', 'b']],
    ['CRLF and form feed', 'Host a\r\n Port 1\r\nUser x \f\r\n', ['a']],
    ['no newline at the end', 'Host a\n Port 1', ['a']],
    ['upper case', 'HOST A\n PORT 1\nhost a\n pOrT 2\n', ['a', 'A']],
    [
      'Hostname and Match host',
      'Host a\n Hostname b.example\nMatch host b.example\n Port 3\nMatch originalhost a\n User o\nMatch host a\n Compression yes\n',
      ['a', 'b.example', 'B.EXAMPLE'],
    ],
    [
      'Match user',
      'Match user root\n Port 3\nMatch user nobody,r*\n Compression yes\nMatch !user root\n BatchMode yes\nMatch localuser root\n VisualHostKey yes\n',
      ['a'],
    ],
    ['Match all', 'Match all\n Port 3\nMatch !all\n User x\n', ['a']],
    [
      'Match exec',
      'Match exec "test %h = a"\n Port 3\nMatch exec false\n User x\nMatch !exec false\n BatchMode yes\nMatch host zz exec "exit 0"\n Compression yes\n',
      ['a', 'b'],
    ],
    [
      'Match final',
      'Match final\n User fin\nMatch final host h\n Port 4\nHost a\n Hostname h\nHost h\n Compression yes\nMatch !final\n BatchMode yes\n',
      ['a', 'h'],
    ],
    ['Match canonical', 'Match canonical\n User can\nMatch canonical all\n Port 4\n', ['a']],
    [
      'canonicalize an address',
      'CanonicalizeHostname yes\nHost 127.0.0.1\n Port 4\nMatch canonical\n User can\n',
      ['127.0.0.1'],
    ],
    ['Match host=', 'Match host=a\n Port 4\nMatch host = a\n User u\n', ['a', 'b']],
    ['Match with comment', 'Match host a # comment\n Port 4\nMatch all # comment\n User u\n', ['a', 'b']],
    ['Match lists with negation', 'Match host *.x,!bad.x\n Port 4\n', ['a.x', 'bad.x']],
    ['broken Match: nothing', 'Match # x\n Port 4\n', ['a']],
    ['broken Match: no argument', 'Match host\n Port 4\n', ['a']],
    ['broken Match: all with others', 'Match all host a\n Port 4\n', ['a']],
    [
      'forwards add up',
      'LocalForward 1 a:1\nHost a\n LocalForward 2 b:2\n DynamicForward 3\nRemoteForward 4 c:4\nLocalForward 1 a:1\n',
      ['a', 'b'],
    ],
    [
      'identities add up',
      'IdentityFile /1\nHost a\n IdentityFile /2\n CertificateFile /c\nHost *\n IdentityFile /3\n',
      ['a', 'b'],
    ],
    ['SendEnv removal', 'SendEnv A B LC_*\nHost a\n SendEnv -LC_* C\n', ['a', 'b']],
    ['SetEnv first block', 'Host b\n SetEnv X=1\nHost *\n SetEnv Y=2 Z="a b"\n', ['a', 'b']],
    [
      'algorithms',
      'Host a\n Ciphers -*cbc\n MACs +hmac-md5\nHost *\n KexAlgorithms ^ecdh-sha2-nistp256\n PubkeyAcceptedAlgorithms +ssh-rsa\n',
      ['a', 'b'],
    ],
    ['unknown option', 'Port 1\nJunk yes\nUser\nHost a\n Foo bar\n', ['a']],
    ['IgnoreUnknown', 'IgnoreUnknown junk,foo*\nPort 1\nJunk yes\nHost a\n Foo bar\n', ['a']],
    ['errors in a block that does not hold', 'Host zz\n Port 99999\n Compression maybe\n', ['a']],
    ['deprecated and unsupported', 'RSAAuthentication yes\nUseRoaming no\nProtocol 2\nPort 3\n', ['a']],
    ['extra arguments', 'Port 1 2\n', ['a']],
    ['open quote', 'User "abc\n', ['a']],
    ['escaped quotes', 'User "a\\"b"\nHostKeyAlias a\\ b\nIdentityFile "/x y\\\\z"\n', ['a']],
    [
      'commands keep their text',
      'ProxyCommand sh -c "nc %h %p" # not a comment\nRemoteCommand  echo  "x"  y\nLocalCommand = echo x\n',
      ['a'],
    ],
    ['ProxyJump with comment', 'ProxyJump a,b # c\n', ['a']],
    ['IPQoS and tunnel device', 'IPQoS af21 cs1\nTunnelDevice 1:2\n', ['a']],
  ];
  it.each(files)('%s', (name, text, hosts) => {
    const path = write(`${name.replace(/\W+/g, '-')}.conf`, text);
    for (const host of hosts) compare(['-F', path, host]);
  });

  it('reads includes as ssh does', () => {
    mkdirSync(join(dir, 'conf.d'), { recursive: true });
    write('conf.d/1.conf', 'Match host a\n Hostname aaa\nHost d\n Hostname ddd # comment\n');
    write('conf.d/2.conf', 'Match host a\n Hostname aaaa\nMatch all\n Hostname xxxx\n');
    write('conf.d/.hidden.conf', 'Port 77\n');
    const main = write(
      'main.conf',
      `Match host a\n Hostname aa\nMatch host c\n Include ${dir}/conf.d/*.conf\n Hostname cc\nHost d\n Hostname dd\nHost m\n Include ${dir}/conf.d/[12].conf # x\n Port 3\nInclude ${dir}/none* ${dir}/conf.d/1.conf\n`,
    );
    for (const host of ['a', 'c', 'd', 'm', 'x']) compare(['-F', main, host]);
    write('conf.d/3.conf', 'Hostname xxxx\n\tJunk\n');
    for (const host of ['a', 'x']) compare(['-F', main, host]);
    const loop = write('loop.conf', '');
    writeFileSync(loop, `Include ${loop}\n`);
    compare(['-F', loop, 'a']);
    const loose = write('loose.conf', 'Port 3\n');
    writeFileSync(join(dir, 'user.conf'), `Include ${loose}\n`);
    compare(['-F', join(dir, 'user.conf'), 'a']);
  });

  it('prints what it can read back', () => {
    const path = write(
      'full.conf',
      'Host h\n Port 3\n SetEnv A="x y" B=2\n RemoteForward 80\n LocalForward 1 [::1]:2\n ProxyJump u@[::1]:3,b\n RekeyLimit 1G 5m\n EscapeChar ^A\n IdentityFile ~/x\n ControlPersist 5m\n CanonicalDomains a.b\n ChannelTimeout session=5m\n ObscureKeystrokeTiming interval:80\n Tag t\n',
    );
    const first = dumpOptions(resolveHost({ destination: 'h', configFile: path }, resolveEnv));
    const again = write('again.conf', `${first.join('\n')}\n`);
    expect(dumpOptions(resolveHost({ destination: 'h', configFile: again }, resolveEnv))).toEqual(first);
  });
});
