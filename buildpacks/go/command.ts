import { join } from 'node:path'
import { boundFile, type BuildContext, BuildpackError, firstSetting, keep, netrcHosts, sshFix } from '../sdk/index.ts'
import { addressesForSsh, sshSettings } from './private-modules.ts'
import type { Toolchain } from './toolchain.ts'

/** Runs the application's Go with its caches. */
export interface GoCommand {
  readonly toolchain: Toolchain
  readonly env: Readonly<Record<string, string | undefined>>
  /**
   * The output of `go ARGS`.
   * @throws BuildpackError with a fix if it fails
   */
  run(args: readonly string[], options?: GoOptions): Promise<string>
  /** The same Go in another directory, or with other variables. */
  with(changes: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> }): GoCommand
}

export interface GoOptions {
  /** The output is shown only if it fails. */
  readonly quiet?: boolean
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Provides the caches of modules and of compiled packages. Go itself checks modules against go.sum, and keys compiled packages by
 * content.
 */
export async function provideCommand(context: BuildContext, toolchain: Toolchain, cwd: string): Promise<GoCommand> {
  const cache = (name: string) =>
    context.layer(name, { types: { cache: true }, key: {}, restore: () => keep, create: async () => {} })
  const modules = await cache('modules')
  const compiled = await cache('compiled')
  const netrc = await findNetrc(context)
  const bySsh = addressesForSsh(context.env, await hostsWithPasswords(context.env, netrc))
  if (bySsh.length > 0) context.log.info(`git reads by SSH, as GOPRIVATE names them: ${bySsh.join(', ')}`)
  const env = {
    PATH: `${join(toolchain.dir, 'bin')}:${context.env['PATH']}`,
    GOROOT: undefined,
    GOBIN: undefined,
    // The version is already chosen: a line in a go.mod must not download another.
    GOTOOLCHAIN: 'local',
    GOPATH: modules.path,
    GOMODCACHE: join(modules.path, 'pkg/mod'),
    GOCACHE: compiled.path,
    GOOS: context.target.os,
    GOARCH: context.target.arch,
    GOFLAGS: [context.env['GOFLAGS'], '-modcacherw'].filter(Boolean).join(' '),
    ...(netrc !== undefined && { NETRC: netrc }),
    ...sshSettings(bySsh),
  }
  return commandWith(context, toolchain, cwd, env)
}

function commandWith(
  context: Pick<BuildContext, 'run'>,
  toolchain: Toolchain,
  cwd: string,
  env: GoCommand['env'],
): GoCommand {
  const program = join(toolchain.dir, 'bin/go')
  return {
    toolchain,
    env,
    with: changes => commandWith(context, toolchain, changes.cwd ?? cwd, { ...env, ...changes.env }),
    async run(args, options = {}) {
      const result = await context.run([program, ...args], {
        cwd,
        env: { ...env, PWD: cwd, ...options.env },
        quiet: options.quiet === true,
        allowFailure: true,
      })
      if (result.exitCode === 0) return result.stdout
      const said = options.quiet === true ? `:\n${result.stderr.trim()}` : ''
      throw new BuildpackError(`go ${args[0]} failed with exit status ${result.exitCode}${said}`, {
        fix: fixOf(result.stderr),
      })
    },
  }
}

/** The fix for failures that are not in the application's code. */
function fixOf(stderr: string): string | undefined {
  const fixes: readonly (readonly [RegExp, string])[] = [
    [/missing go\.sum entry|updates to go\.(mod|sum) needed/, 'run "go mod tidy" and commit go.mod and go.sum'],
    [/inconsistent vendoring/, 'run "go mod vendor" (in a workspace "go work vendor") and commit the vendor folder'],
    [/requires go >= (\S+) \(running/, 'ask for this Go: in go.mod, or with BP_GO_VERSION'],
    [
      /checksum mismatch|SECURITY ERROR/,
      'the module differs from the one that go.sum was made with: find out why first',
    ],
    [
      /could not read Username|terminal prompts disabled|401 Unauthorized|403 Forbidden/,
      'for a private module set GOPRIVATE, and give the credentials in a binding of type netrc; or your SSH keys, with --ssh default',
    ],
    [
      /fatal error: \S+\.h: No such file|Package \S+ was not found in the pkg-config/,
      "a C library's headers are missing in the build image: add its Debian package",
    ],
    [
      /pattern \S+: (no matching files found|cannot embed)/,
      'embedded files must be in the source, or be built first: BP_NODE_PROJECT_PATH selects the folder of a front end, as in BP_NODE_PROJECT_PATH=web',
    ],
    [
      /undefined: |undefined \(type /,
      'where a tool generates it (go generate, templ, sqlc, wire, protoc), commit the generated files',
    ],
    [/dial tcp|i\/o timeout|no such host|connection refused/, 'check the network and GOPROXY'],
    [/No space left on device/, 'free some space on the disk that holds the builds'],
  ]
  return sshFix(stderr) ?? fixes.find(([pattern]) => pattern.test(stderr))?.[1]
}

/** The file of a binding of type `netrc`, unless NETRC names one. */
async function findNetrc(context: BuildContext): Promise<string | undefined> {
  if (firstSetting(context.env, 'NETRC')) return undefined
  return (await boundFile(context, 'netrc', '.netrc', 'netrc'))?.path
}

/** Hosts with credentials in a netrc file: Go reads the one of NETRC, and git the one in the home directory. */
async function hostsWithPasswords(
  { NETRC, HOME }: BuildContext['env'],
  bound: string | undefined,
): Promise<Set<string>> {
  const files = [bound ?? NETRC, HOME && join(HOME, '.netrc')].flatMap(file => file || [])
  const hosts = await Promise.all(files.map(netrcHosts))
  return new Set(hosts.flatMap(each => [...each]))
}
