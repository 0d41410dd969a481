// Hosts with names and addresses of their own, all of them one server: ssh_config leads each name to an address in 127/8.
import type { Server } from '../../interop/servers.ts';
import { Bssh, type Outcome, type RunOptions } from './bssh.ts';

/** In front of a remote command: `$n` is the number in the host's name. */
export const WHO = 'set -- $SSH_CONNECTION; n=${3##*.};';

export class NamedHosts extends Bssh {
  /** Options with which every name is known. */
  readonly known: readonly string[];

  /** `groups` are the names without their numbers and the third part of their addresses: `{ web: 4 }` has web1 at 127.0.4.1. */
  constructor(server: Server, groups: Readonly<Record<string, number>>) {
    super(server);
    const hosts = Object.entries(groups).flatMap(([group, third]) =>
      [1, 2, 3, 4, 5, 6].map((n) => `Host ${group}${n}\n  HostName 127.0.${third}.${n}\n`),
    );
    this.known = ['-F', this.sshConfig('config', hosts.join(''))];
  }

  /** Its own configuration says it all. */
  protected override configure(): void {}

  /** A configuration file that ends with how the server lets people in. */
  sshConfig(name: string, head: string, identity = this.server.identity): string {
    return this.write(
      name,
      `${head}Host *
  Port ${this.server.port}
  User ${this.server.user}
  IdentityFile ${identity}
  IdentitiesOnly yes
  UserKnownHostsFile ${this.home}/known_hosts
  KexAlgorithms curve25519-sha256
`,
    );
  }

  override on(...args: readonly string[]): Promise<Outcome> {
    return this.run([...this.known, ...args]);
  }

  with(options: RunOptions, ...args: readonly string[]): Promise<Outcome> {
    return this.run([...this.known, ...args], options);
  }
}
