/** From argv to an exit code: reads the command line, calls the command, says what went wrong. */

import { existsSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { basename } from 'node:path';
import {
  algorithmSets,
  configuredHosts,
  defaultAlgorithms,
  isConfiguredHost,
  localResolveEnv,
  type ResolveEnv,
  SshError,
  supportedAlgorithms,
} from '../client/index.ts';
import { type Io, type RunContext, runContext } from './context.ts';
import { chooseCrypto } from './crypto.ts';
import { describeError } from './errors.ts';
import { ExitCode } from './exit.ts';
import {
  type ClusterIntent,
  type CommandLineContext,
  type Intent,
  parseCommandLine,
  type SshIntent,
} from './grammar.ts';
import { Log, levelOf } from './log.ts';
import { pdshWords } from './pdsh/options.ts';
import { planOne } from './plan.ts';
import { printErr, printOut } from './print.ts';
import { VERSION } from './version.ts';

export async function run(argv: readonly string[], env: NodeJS.ProcessEnv, program: string): Promise<number> {
  const io: Io = {
    argv,
    env,
    cwd: process.cwd(),
    program: basename(program).replace(/\.(mjs|js|exe)$/, ''),
    log: new Log(),
  };
  try {
    const pdshLine = pdshWords(io.program, argv);
    if (pdshLine !== undefined) {
      const { pdsh } = await import('./pdsh/index.ts');
      return await pdsh(pdshLine, commandLine(io), (intent) => contextFor(intent, io));
    }
    const intent = await parseCommandLine(argv, commandLine(io));
    return await perform(intent, io);
  } catch (error) {
    return report(error, io);
  }
}

function commandLine({ program, env, cwd }: Io): CommandLineContext {
  return {
    program,
    env,
    cwd,
    home: homedir(),
    user: userInfo().username,
    keyExists: existsSync,
    isSshHost: (name, sshConfig) => isConfiguredHost(name, earlyResolveEnv(env), sshConfig),
    sshHosts: (sshConfig) => configuredHosts(earlyResolveEnv(env), sshConfig),
  };
}

/** For questions to ssh_config that come before the run has a context. */
function earlyResolveEnv(env: Io['env']): ResolveEnv {
  const crypto = chooseCrypto(undefined, env);
  return localResolveEnv({
    algorithms: algorithmSets(supportedAlgorithms(crypto), defaultAlgorithms(crypto)),
    version: VERSION,
    env,
  });
}

async function perform(intent: Intent, io: Io): Promise<number> {
  switch (intent.kind) {
    case 'version':
      printErr(`bssh ${VERSION}, Node.js ${process.version.slice(1)}\n`);
      return 0;
    case 'help': {
      const { helpText } = await import('./help.ts');
      printOut(await helpText());
      return 0;
    }
    case 'generate':
      return generate(intent.what, io);
    case 'runs': {
      const { runs } = await import('./commands/runs.ts');
      printOut(runs(intent, io.env));
      return 0;
    }
    case 'query': {
      const { query } = await import('./commands/query.ts');
      const names = query(intent.what, io.env);
      if (names === undefined)
        throw new SshError('usage', `Unsupported query "${intent.what}"`, { detail: { exit: 255 } });
      printOut(names.map((name) => `${name}\n`).join(''));
      return 0;
    }
    default:
      return connectAndRun(intent, io);
  }
}

async function generate(what: string, io: Io): Promise<number> {
  if (what.startsWith('names-')) {
    const { completionNames } = await import('./completion-names.ts');
    const names = await completionNames(what, commandLine(io));
    printOut(names.map((name) => `${name}\n`).join(''));
    return 0;
  }
  if (what === 'man') {
    const { manPage } = await import('./man.ts');
    printOut(manPage(VERSION));
    return 0;
  }
  const { completionScripts } = await import('./completion.ts');
  printOut(completionScripts[what]?.() ?? '');
  return 0;
}

async function contextFor({ kind, invocation }: SshIntent | ClusterIntent, io: Io): Promise<RunContext> {
  const quiet = invocation.settings.some(
    ({ keyword, value }) => keyword.toLowerCase() === 'loglevel' && value.toLowerCase() === 'quiet',
  );
  io.log.level = levelOf(invocation.verbosity, quiet);
  const { refused } = invocation;
  if (refused.length > 0 && kind !== 'dump')
    throw new SshError('unsupported', refused.join('\n'), { detail: { exit: ExitCode.ssh } });
  const { TerminalPrompter } = await import('./prompts.ts');
  const { backgroundPart } = await import('./background.ts');
  const prompter =
    backgroundPart()?.prompter ?? new TerminalPrompter({ env: io.env, onSecret: (secret) => io.log.hide(secret) });
  return runContext(io, invocation, prompter);
}

/** ssh(1) leaves out a file of -i that is not there, with a warning, and goes on with the usual ones. */
async function withoutMissingIdentities(intent: SshIntent): Promise<SshIntent> {
  const { backgroundPart } = await import('./background.ts');
  const settings = intent.invocation.settings.filter(({ keyword, value, line }) => {
    if (keyword !== 'IdentityFile' || line === true) return true;
    const path = value.replace(/^~(?=\/|$)/, () => homedir());
    if (path.startsWith('~') || existsSync(path)) return true;
    // In the background: the one in front has said it.
    if (backgroundPart() === undefined)
      printErr(`Warning: Identity file ${path} not accessible: No such file or directory.\n`);
    return false;
  });
  return { ...intent, invocation: { ...intent.invocation, settings } };
}

async function connectAndRun(asked: SshIntent | ClusterIntent, io: Io): Promise<number> {
  const intent = asked.kind === 'cluster' ? asked : await withoutMissingIdentities(asked);
  const context = await contextFor(intent, io);
  const code = await (intent.kind === 'cluster' ? manyHosts(intent, context) : oneHost(intent, context));
  const { parsed, hits, revalidated } = context.configFiles;
  context.log.debug(
    2,
    `ssh_config: ${parsed} files parsed, ${hits} times from memory, ${revalidated} times after a look at size and time`,
  );
  return code;
}

async function manyHosts(intent: ClusterIntent, context: RunContext): Promise<number> {
  for (const note of intent.config.notes) context.log.debug(1, note);
  for (const warning of intent.config.warnings ?? []) context.log.info(warning);
  switch (intent.subcommand) {
    case 'exec':
    case 'ping': {
      const { runFleet } = await import('./commands/fleet.ts');
      return runFleet(intent, context);
    }
    case 'list': {
      const { list } = await import('./commands/list.ts');
      printOut(list(intent));
      return 0;
    }
    case 'upload':
    case 'download': {
      const { transfer } = await import('./commands/transfer.ts');
      return transfer(intent, context);
    }
    case 'interactive': {
      const { interactive } = await import('./commands/interactive.ts');
      return interactive(intent, context);
    }
  }
}

async function oneHost(intent: SshIntent, context: RunContext): Promise<number> {
  const plan = planOne(intent, context.resolve);
  if (intent.kind === 'dump') {
    const { dumpOptions } = await import('../client/index.ts');
    printOut(
      dumpOptions(plan)
        .map((line) => `${line}\n`)
        .join(''),
    );
    return 0;
  }
  const { ssh } = await import('./commands/ssh.ts');
  try {
    return await ssh(plan, intent, context);
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    const place = {
      program: context.program,
      user: plan.user,
      host: plan.host,
      hostName: plan.hostName,
      port: plan.port,
    };
    trace(error, context);
    context.log.error(describeError(error, place));
    const hint = intent.clusterHint;
    if (hint !== undefined) {
      const known =
        hint.known.length === 0 ? 'no clusters are configured' : `configured clusters: ${hint.known.join(', ')}`;
      context.log.error(`'${hint.name}' is not the name of a cluster; ${known}`);
    }
    return ExitCode.ssh;
  }
}

function trace(error: unknown, { env, log }: Pick<Io, 'env' | 'log'>): void {
  if (env.BSSH_DEBUG && error instanceof Error) log.error(error.stack ?? String(error));
}

/** Everything that ended the program before or outside a connection. */
async function report(error: unknown, io: Io): Promise<number> {
  trace(error, io);
  if (!(error instanceof SshError)) {
    io.log.error(
      `${io.program}: internal error: ${error instanceof Error ? error.message : String(error)} (set BSSH_DEBUG=1 for the trace)`,
    );
    return ExitCode.ssh;
  }
  const { detail } = error;
  if (error.message !== '') io.log.error(`${detail.grammar === 'cluster' ? `${io.program}: ` : ''}${located(error)}`);
  if (typeof detail.suggestion === 'string' && !error.message.includes(detail.suggestion))
    io.log.error(`did you mean ${detail.suggestion}?`);
  if (detail.usage === true) {
    const { clusterUsage, sshUsage } = await import('./help.ts');
    io.log.error((detail.grammar === 'cluster' ? clusterUsage : sshUsage(io.program)).trimEnd());
  }
  if (typeof detail.exit === 'number') return detail.exit;
  return error.code === 'usage' && detail.grammar === 'cluster' ? ExitCode.usage : ExitCode.ssh;
}

/** `file:line:column: ` in front of what is wrong in a file of the user's, where the message does not say it itself. */
function located({ message, detail }: SshError): string {
  if (typeof detail.file !== 'string' || message.includes(detail.file)) return message;
  const place = [detail.file, detail.line, detail.column].filter((part) => part !== undefined).join(':');
  return `${place}: ${message}`;
}
