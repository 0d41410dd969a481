// Ansible inventories: who is in which group and which value of a variable counts, as ansible-inventory has it; and what
// the variables mean for a connection. What is not understood is named with its place.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { expandPattern } from '../../../cli/sources/inventory.ts';
import { inventoryNodes, loadInventory } from '../../../cli/sources/inventory-hosts.ts';
import { shellWords } from '../../../cli/sources/shell-words.ts';
import { freshDir, requireServer } from '../../interop/servers.ts';

const folder = (files: Readonly<Record<string, string>>): string => {
  const home = freshDir('inventory');
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), text);
  }
  return home;
};

const ini = `
; the old comment
loose.example.com:2022
[2001:db8::1]:22 x=1

[web]
www[01:03].example.com ansible_user=deploy note="two words" # a comment
api[1:5:2] ansible_port=2222
edge-[a:c]:2200

[db]
db1 ansible_host=10.0.0.9 ansible_ssh_private_key_file=~/keys/db
db2 ansible_ssh_host=10.0.0.10 ansible_host=ignored

[europe:children]
web
db

[world:children]
europe   # and no other

[empty]

[web:vars]
ansible_user = webuser
ansible_port=22 # a number
[europe:vars]
ansible_user='quoted user'
region = eu
[all:vars]
ansible_user=everybody
region=none
`;

const yaml = `
all:
  vars: { ansible_user: everybody, region: none }
  hosts:
    loose.example.com: { ansible_port: 2022 }
  children:
    world:
      children:
        europe:
          vars: { region: eu, ansible_user: "quoted user" }
          children:
            web:
              vars: { ansible_user: webuser, ansible_port: 22, list: [1, 2] }
              hosts:
                www[01:03].example.com: { ansible_user: deploy }
                edge-[a:c]:2200:
            db:
              hosts:
                db1: { ansible_host: 10.0.0.9 }
    empty:
`;

const beside = {
  'group_vars/all.yml': 'ansible_user: from_group_vars\nnested: { a: 1 }\n',
  'group_vars/web/10-main.yml': 'ansible_port: 3022\n',
  'group_vars/web/20-more': 'region: web\n',
  'host_vars/db1.yaml': 'ansible_user: dba\n',
  'host_vars/db1.txt': 'not: read\n',
};

interface Listing {
  readonly hostvars: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly groups: Readonly<
    Record<string, { readonly hosts?: readonly string[]; readonly children?: readonly string[] }>
  >;
}

const asked = (file: string): Listing => {
  const out = execFileSync('ansible-inventory', ['-i', file, '--list'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const { _meta, ...groups } = JSON.parse(out.toString());
  return { hostvars: _meta.hostvars, groups };
};

describe.skipIf(!requireServer('ansible-inventory'))('beside ansible-inventory', () => {
  it.each([
    ['the INI form', { 'hosts.ini': ini }],
    ['the INI form with variables beside it', { 'hosts.ini': ini, ...beside }],
    ['the YAML form', { 'hosts.yml': yaml }],
    ['the YAML form with variables beside it', { 'hosts.yml': yaml, ...beside }],
  ])('%s: the same hosts in the same groups, with the same variables', async (_, files) => {
    const file = join(folder(files), Object.keys(files)[0]!);
    const theirs = asked(file);
    const ours = await loadInventory(file);
    const membersOf = (group: string): string[] => {
      const { hosts = [], children = [] } = theirs.groups[group] ?? {};
      return [...new Set([...hosts, ...children.flatMap(membersOf)])].sort();
    };
    for (const group of ours.groupNames) {
      expect([group, ours.members(group).sort()]).toEqual([group, membersOf(group)]);
    }
    expect(ours.members('all')).toContain('db1');
    const names = ['ansible_user', 'ansible_port', 'ansible_host', 'ansible_ssh_host', 'region'];
    for (const host of ours.hostNames) {
      const vars = ours.variables(host);
      const said = Object.fromEntries(
        Object.entries(theirs.hostvars[host] ?? {})
          .filter(([name]) => names.includes(name))
          .map(([name, value]) => [name, String(value)]),
      );
      const found = Object.fromEntries(
        names.flatMap((name) => (vars.has(name) ? [[name, vars.get(name)!.value]] : [])),
      );
      expect([host, found]).toEqual([host, said]);
    }
  });
});

const sources = { env: { HOME: '/h' }, home: '/h' };
const nodesOf = async (text: string, group = 'all', name = 'hosts.ini') =>
  inventoryNodes(await loadInventory(join(folder({ [name]: text }), name)), group, sources);

describe('what variables mean', () => {
  it('becomes address, port, user and settings', async () => {
    const { nodes, warnings } = await nodesOf(ini, 'europe');
    expect(warnings).toEqual([]);
    expect(nodes.find(({ host }) => host === 'www02.example.com')).toEqual({
      host: 'www02.example.com',
      user: 'deploy',
      port: 22,
      settings: [],
    });
    expect(nodes.find(({ host }) => host === 'edge-b')).toMatchObject({ port: 2200, user: 'webuser' });
    expect(nodes.find(({ host }) => host === 'db1')).toEqual({
      host: 'db1',
      address: '10.0.0.9',
      user: 'quoted user',
      port: undefined,
      settings: [{ keyword: 'IdentityFile', value: '/h/keys/db' }],
    });
    expect(nodes.find(({ host }) => host === 'db2')?.address).toBe('10.0.0.10');
  });

  it('takes arguments of ssh(1) apart', async () => {
    const { nodes } = await nodesOf(
      `h ansible_ssh_common_args='-o ProxyJump=gw -C' ansible_ssh_extra_args='-o "ProxyCommand=nc %h %p" -oControlPersist=60'\n`,
    );
    expect(nodes[0]?.settings).toEqual([
      { keyword: 'ProxyJump', value: 'gw' },
      { keyword: 'Compression', value: 'yes' },
      { keyword: 'ProxyCommand', value: 'nc %h %p' },
    ]);
  });

  it.each<[string, RegExp]>([
    ['h ansible_connection=docker', /hosts\.ini:1: ansible_connection=docker is no ssh/],
    ['h ansible_port="{{ base + 1 }}"', /:1: ansible_port is a template/],
    ['h ansible_port=many', /:1: 'many' is not a port/],
    ['h ansible_host="user@x"', /:1: 'user@x' is not an address/],
    ['h ansible_ssh_common_args="-F other"', /:1: ansible_ssh_common_args: '-F other' is not understood/],
    ['h ansible_ssh_common_args="-Z"', /is not understood/],
    ['h ansible_ssh_common_args="other.host"', /is not understood/],
    [`h ansible_ssh_extra_args='-o "SendEnv A B"'`, /SendEnv with several values is not understood/],
    ['h ansible_ssh_private_key_file=$NOWHERE/k', /\$NOWHERE is not set/],
  ])('%s: nobody connects', async (line, problem) => {
    expect((await nodesOf(`${line}\n`)).nodes[0]?.problem).toMatch(problem);
  });

  it('names what has no effect', async () => {
    const { warnings } = await nodesOf(
      'a ansible_become=yes ansible_python_interpreter=/x ansible_connection=ssh y=1\nb ansible_become=no ansible_ssh_pass=x\n',
    );
    expect(warnings.map((text) => text.replace(/^.*\//, ''))).toEqual([
      'hosts.ini: ansible_become has no effect here (2 hosts)',
      'hosts.ini: ansible_ssh_pass has no effect here (1 host)',
    ]);
  });

  it('knows an encrypted value', async () => {
    const { nodes } = await nodesOf(
      'all: { hosts: { h: { ansible_user: !vault "$ANSIBLE_VAULT;1.1;AES256" } } }\n',
      'all',
      'hosts.yml',
    );
    expect(nodes[0]?.problem).toMatch(/hosts\.yml:1: ansible_user is no plain text/);
  });
});

describe('what is no inventory', () => {
  it.each<[string, RegExp]>([
    ['[web\nh\n', /hosts\.ini:1: '\[web' has a \[ without a \]/],
    ['[web:group]\n', /hosts\.ini:1: '\[web:group\]' is no \[group\]/],
    ['h extra\n', /hosts\.ini:1: 'extra' is no key=value/],
    ['h "x\n', /hosts\.ini:1: a " is not closed/],
    ['\nbad;host\n', /hosts\.ini:2: 'bad;host' is not a host name/],
    ['h[1-3]\n', /\[1-3\] is no range/],
    ['h[3:1]\n', /counts backwards/],
    ['h[01:100]\n', /as many digits/],
    ['h[1:999999999]\n', /more than 100000 hosts/],
    ['[a:children]\nnope\n', /hosts\.ini:2: there is no group \[nope\]/],
    ['[a:children]\nb c\n', /'b c' is not the name of a group/],
    ['[nope:vars]\nx=1\n', /hosts\.ini:1: there is no group \[nope\]/],
    ['[a:vars]\nx\n', /hosts\.ini:2: 'x' is no key=value/],
    ['h\n[a:children]\nb\n[b:children]\na\n', /the groups (a > b > a|b > a > b) go in a circle/],
    ['#!/bin/sh\n', /is a program: give it as a cluster's 'command'/],
    ['$ANSIBLE_VAULT;1.1;AES256\n61\n', /is encrypted/],
  ])('%j', async (text, message) => {
    await expect(nodesOf(text)).rejects.toMatchObject({ code: 'usage', message: expect.stringMatching(message) });
  });

  it.each<[string, RegExp]>([
    ['plugin: aws_ec2\n', /hosts\.yml:1:1: the configuration of a plugin/],
    ['all:\n  host: { a: }\n', /hosts\.yml:2:3: group 'all' has no key 'host' \(did you mean hosts\?\)/],
    ['all:\n  hosts: [a]\n', /hosts\.yml:2:10: hosts is a mapping/],
    ['all:\n  hosts:\n    a;b:\n', /hosts\.yml:3:5: 'a;b' is not a host name/],
    ['- a\n', /hosts\.yml:1:1: an inventory is a mapping/],
    ['a: [\n', /hosts\.yml:2:1: /],
  ])('%j', async (text, message) => {
    await expect(nodesOf(text, 'all', 'hosts.yml')).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(message),
    });
  });

  it('is a directory, or nothing', async () => {
    const home = folder({ x: '' });
    await expect(loadInventory(home)).rejects.toMatchObject({
      message: `${home}: is a directory: name the inventory's files one by one`,
    });
    await expect(loadInventory(`${home}/none`)).rejects.toMatchObject({
      message: `${home}/none: cannot be read (ENOENT)`,
    });
  });
});

it.each<[string, readonly string[] | string]>([
  ['a b', ['a', 'b']],
  [`a="x y" 'p"q' c\\ d`, ['a=x y', 'p"q', 'c d']],
  ['"a\\"b" "c\\d"', ['a"b', 'c\\d']],
  ['a #b c', ['a']],
  ['a#b', ['a']],
  [`''`, ['']],
  ['', []],
  [`'a`, "a ' is not closed"],
])('shell words of %j', (line, words) => {
  expect(shellWords(line)).toEqual(words);
});

it.each([
  ['h', ['h'], undefined],
  ['h:22', ['h'], '22'],
  ['::1', ['::1'], undefined],
  ['[::1]', ['::1'], undefined],
  ['[::1]:22', ['::1'], '22'],
  ['h[1:3]', ['h1', 'h2', 'h3'], undefined],
  ['h[08:11].x:22', ['h08.x', 'h09.x', 'h10.x', 'h11.x'], '22'],
  ['[a:c]', ['a', 'b', 'c'], undefined],
  ['r[1:2]n[x:y]', ['r1nx', 'r1ny', 'r2nx', 'r2ny'], undefined],
  ['h[:2]', ['h0', 'h1', 'h2'], undefined],
])('the pattern %j', (word, names, port) => {
  expect(expandPattern(word)).toEqual({ names, port });
});
