import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, posix, relative } from 'node:path'
import { type Command, type CommandResult, type Runner, spawnRunner } from '../../../buildpacks/sdk/command.ts'
import { FakeDebian } from '../python/fake-debian.ts'

/** Go's proxy and the Go command: it knows packages by the folders of the application, and compiles to a note of its inputs. */
export class FakeGo {
  /** What was run, as people write it: `go build -o web .`. */
  readonly commands: string[] = []
  versions = ['1.9.7', '1.20', '1.20.14', '1.21.0', '1.24.1', '1.24.9', '1.25.3', '1.26.0', '1.27rc1']
  /** The proxy cannot be reached. */
  offline = false
  /** What the next `go build` has to say before it fails. */
  buildError = ''
  /** GOARCH of the last `go build`. */
  compiledFor: string | undefined
  /** What `ldd` says of programs. */
  linked = '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x1)\n'
  /** Packages of files in the build image, as dpkg-query says it. */
  owners: Record<string, string> = {
    '/usr/lib/x86_64-linux-gnu/libc.so.6': 'libc6:amd64: /usr/lib/x86_64-linux-gnu/libc.so.6\n',
  }
  /** What the linker writes into programs. */
  dependencies = ['dep\tgithub.com/go-chi/chi/v5\tv5.2.1\th1:abc=']
  readonly debian = new FakeDebian()

  constructor() {
    this.debian.packages = {
      'golang-go': { version: '2:1.24~2', depends: ['golang-1.24-go', 'golang-1.24-src'], files: {} },
      'golang-1.24-go': {
        version: '1.24.4-1',
        files: { 'usr/lib/go-1.24/bin/go': 'ELF', 'usr/lib/go-1.24/go.env': '', 'usr/lib/go-1.24/VERSION': 'go1.24.4' },
      },
      'golang-1.24-src': { version: '1.24.4-1', files: { 'usr/share/go-1.24/src/fmt/print.go': '' } },
    }
  }

  readonly runner: Runner = async (command, onLine) => {
    const [program, ...args] = command.argv
    if (['cp', 'chmod'].includes(program)) return spawnRunner(command, onLine)
    if (program.endsWith('/bin/go')) return this.#go(args, command)
    if (program === 'ldd') return done(this.linked)
    if (program === 'dpkg-query' && args[0] === '--search') return done(this.owners[args[1] ?? ''] ?? '')
    if (program === 'apt-get') this.commands.push(`apt-get ${args[0]}`)
    return this.debian.runner(command, onLine)
  }

  async #go(args: readonly string[], command: Command): Promise<CommandResult> {
    const { env, cwd } = command
    const toolchain = env['GOTOOLCHAIN'] ?? ''
    const shown = args
      .filter(arg => !/[{\t]/.test(arg) && arg !== '-f')
      .map(arg => (arg.startsWith('/') ? posix.basename(arg) : arg))
    this.commands.push(['go', ...shown].join(' '))
    if (args[0] === 'version' && args[1] === '-m') return done(this.#buildInfo(await readdir(args[2] ?? '')))
    if (args[0] === 'version') return this.#fetch(toolchain.slice('go'.length), env)
    if (toolchain !== 'local') throw new Error(`GOTOOLCHAIN is ${toolchain}`)
    if (args[1] === '-m')
      return this.offline ? failed('dial tcp: connection refused') : done(`go ${this.versions.join(' ')}\n`)
    if (args[1] === '-find') return this.#list(args.slice(4), cwd)
    if (args[1] === '-deps') return this.#deps(cwd)
    if (args[0] === 'build') return this.#build(args, command)
    if (args[0] === 'mod') await writeFile(join(cwd, 'go.mod'), `module ${args[2]}\n`)
    return done()
  }

  async #fetch(version: string, env: Command['env']): Promise<CommandResult> {
    if (!this.versions.includes(version)) return failed(`download go${version}: 404 Not Found`)
    const root = join(env['GOMODCACHE'] ?? '', `golang.org/toolchain@v0.0.1-go${version}.linux-amd64`)
    for (const path of [
      'bin/go',
      'VERSION',
      'src/fmt/print.go',
      'src/fmt/print_test.go',
      'src/cmd/go/main.go',
      'src/io/testdata/x',
    ]) {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), version)
    }
    return done(`go version go${version} linux/amd64\n`)
  }

  async #list(patterns: readonly string[], cwd: string): Promise<CommandResult> {
    const module =
      /^module (\S+)/m.exec(await readFile(join(cwd, 'go.mod'), 'utf8').catch(() => ''))?.[1] ?? 'example.com/work'
    const lines: string[] = []
    for (const [dir, names] of await packages(cwd)) {
      const matches = patterns.some(pattern => {
        const path = posix.join(pattern, '.').replace(/\/?\.\.\.$/, '')
        const base = path === '' ? '.' : path
        return base === dir || (pattern.endsWith('...') && (base === '.' || dir.startsWith(`${base}/`)))
      })
      if (!matches) continue
      const text = await readFile(join(cwd, dir, names[0] ?? ''), 'utf8')
      const importPath = posix.join(module, dir)
      lines.push(
        [
          /^package (\w+)/m.exec(text)?.[1],
          importPath,
          join(cwd, dir),
          `/bin/${posix.basename(importPath)}`,
          names.length,
          0,
        ].join('\t'),
      )
    }
    return lines.length > 0 ? done(`${lines.join('\n')}\n`) : failed(`no Go files in ${patterns.join(' ')}`)
  }

  async #deps(cwd: string): Promise<CommandResult> {
    const lines: string[] = []
    for (const [dir, names] of await packages(cwd)) {
      for (const name of names) {
        const text = await readFile(join(cwd, dir, name), 'utf8')
        if (text.includes('"os/exec"')) lines.push('exec\tos/exec')
        if (text.includes('import "C"')) lines.push(`cgo\texample.com/${dir}`)
        for (const [, file] of text.matchAll(/^\/\/go:embed (\S+)/gm)) lines.push(`embed\t${join(cwd, dir)}/${file}`)
      }
    }
    return done(`${lines.join('\n')}\n`)
  }

  async #build(args: readonly string[], { cwd, env }: Command): Promise<CommandResult> {
    if (this.buildError !== '') return failed(this.buildError)
    this.compiledFor = env['GOARCH']
    const texts = await Promise.all(
      [...(await packages(cwd))].flatMap(([dir, names]) => names.map(name => readFile(join(cwd, dir, name), 'utf8'))),
    )
    const { CGO_ENABLED, GOFLAGS, NETRC } = env
    const insteadOf = Object.entries(env).flatMap(([name, value]) =>
      name.startsWith('GIT_CONFIG_VALUE_') ? [value] : [],
    )
    const note = { package: args.at(-1), CGO_ENABLED, GOFLAGS, NETRC, insteadOf, texts }
    await writeFile(args[2] ?? '', JSON.stringify(note))
    return done()
  }

  #buildInfo(names: readonly string[]): string {
    return names
      .map(name => `/bin/${name}: go1.26.0\n\tmod\texample.com/shop\t(devel)\t\n\t${this.dependencies.join('\n\t')}\n`)
      .join('')
  }
}

/** Folders with Go sources, and the sources' names. */
async function packages(root: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (const entry of await readdir(root, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.go')) continue
    const dir = relative(root, entry.parentPath) || '.'
    found.set(dir, [...(found.get(dir) ?? []), entry.name])
  }
  return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const done = (stdout = ''): CommandResult => ({ exitCode: 0, stdout, stderr: '' })
const failed = (stderr: string): CommandResult => ({ exitCode: 1, stdout: '', stderr: `go: ${stderr}\n` })
