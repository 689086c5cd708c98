import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Command, CommandResult, Runner } from '../../../buildpacks/sdk/command.ts'

interface Package {
  readonly version: string
  readonly arch?: string
  readonly depends?: readonly string[]
  readonly files: Readonly<Record<string, string>>
  readonly postinst?: string
}

/** Debian's archive with apt and dpkg, Python with pip, and PyPI: what the buildpack runs, without a network. */
export class FakeDebian {
  /** What was run, as people write it: `apt-get update`, `pip install -r requirements.txt`. */
  readonly commands: string[] = []
  /** APT::Architecture of each call of apt-get. */
  readonly architectures: (string | undefined)[] = []
  /** The date in the archive's table of contents. */
  release = 'Saturday'
  packages: Record<string, Package> = {
    'python3.13': {
      version: '3.13.5-2',
      depends: ['libffi8'],
      files: {
        'usr/bin/python3.13': 'ELF',
        'usr/lib/python3.13/os.py': '',
        'etc/python3.13/sitecustomize.py': '',
        'usr/lib/python3.13/sitecustomize.py': '-> /etc/python3.13/sitecustomize.py',
        'usr/lib/python3.13/outside': '-> /etc/hosts',
        'usr/share/doc/python3.13/copyright': 'PSF',
        'usr/share/doc/python3.13/README': '',
        'usr/share/man/man1/python3.13.1': '',
      },
    },
    libffi8: { version: '1:3.4.8-2', files: { 'usr/lib/x86_64-linux-gnu/libffi.so.8': 'ELF' } },
    'python3-pip-whl': {
      version: '25.1.1+dfsg-1',
      arch: 'all',
      files: { 'usr/share/python-wheels/pip-25.1.1-py3-none-any.whl': '' },
    },
    'libpython3.13-dev': {
      version: '3.13.5-2',
      depends: ['libc6-dev'],
      files: { 'usr/include/python3.13/Python.h': '' },
    },
    libpq5: { version: '17.12-0', files: { 'usr/lib/x86_64-linux-gnu/libpq.so.5': 'ELF' } },
    'libpq-dev': {
      version: '17.12-0',
      depends: ['libpq5'],
      files: {
        'usr/include/postgresql/libpq-fe.h': '',
        'usr/lib/x86_64-linux-gnu/pkgconfig/libpq.pc':
          'prefix=/usr\nincludedir=${prefix}/include\nCflags: -I/usr/include/postgresql\n',
        'usr/bin/pg_config': '#!/usr/bin/perl\nINCLUDEDIR = /usr/include/postgresql\n',
        'usr/bin/mariadb_config': '\0/usr/include/mariadb',
      },
    },
    'libc6-dev': { version: '2.41-12', files: { 'usr/include/stdio.h': '' } },
  }
  /** UV_PYTHON_INSTALL_MIRROR of the last `uv python install`. */
  mirror: string | undefined
  /** Versions of CPython that uv can download. */
  downloads: string[] = ['3.14.1', '3.13.9', '3.12.8', '3.12.1']
  /** Versions of installers on PyPI. */
  installers: Record<string, string[]> = {
    pip: ['26.1', '25.1.1', '25.1', '24.3.1', '21.3.1'],
    poetry: ['2.5.1', '2.1.4', '2.1.3', '1.8.5'],
    uv: ['0.13.9', '0.8.2', '0.5.0'],
    pdm: ['2.29.4'],
    pipenv: ['2026.10.3', '2024.4.1'],
  }
  /** What lock files hold. */
  locked: string[] = []
  /** Files that pip leaves in the virtual environment. */
  leftovers: string[] = []
  /** What `manage.py collectstatic` prints before it fails. */
  collectFailure = ''
  /** What `manage.py help collectstatic` prints before it fails. */
  helpFailure = ''
  /** The settings that manage.py was told last. */
  djangoSettings: string | undefined
  /** Packages that pip compiles. */
  compiled: string[] = []
  /** The shared libraries that compiled modules are linked with. */
  linked: string[] = []
  /** Variables that pip had. */
  pipEnv: Readonly<Record<string, string>> = {}
  /** What pip prints before it fails; it succeeds without. */
  failure = ''
  /** What packages on PyPI need. */
  requires: Record<string, string[]> = { flask: ['werkzeug', 'jinja2'], fastapi: ['starlette'] }
  /** The newest versions on PyPI: 9.9 of what is asked for, and 1.0 of what others need, unless it stands here. */
  newest: Record<string, string> = {}
  /** What `pip check` has to say. */
  conflicts = ''
  /** What `apt-get update` has to say. */
  updateErrors = ''

  readonly runner: Runner = async command => {
    const [program, ...args] = command.argv
    if (program === 'dpkg-query') return done('Package: libc6\nStatus: install ok installed\n')
    if (program === 'dpkg-deb') return this.#dpkg(args)
    if (program === 'ldd') {
      const isThere = await readFile(args[0] ?? '').catch(() => undefined)
      if (isThere === undefined)
        return { exitCode: 1, stdout: '', stderr: `ldd: ${args[0]}: No such file or directory` }
      const lines = this.linked.map(name => `\t${name} => /usr/lib/x86_64-linux-gnu/${name} (0x0)`)
      const own = `\tlibffi.so.8 => ${command.env['LD_LIBRARY_PATH']?.split(':')[0]}/libffi.so.8 (0x0)`
      return done([...lines, own].join('\n'))
    }
    if (program === 'apt-get') return this.#apt(args, command)
    if (/(^python3|\/python[\d.]*)$/.test(program) && args[0] === '-m') return this.#python(args.slice(1), command)
    // What an application imports is another's question.
    if (/\/python[\d.]*$/.test(program) && args[0] === '-c') return done()
    if (/\/venv\/bin\/(mkdocs|sphinx-build)$/.test(program)) {
      this.commands.push([basename(program), ...args].join(' '))
      return done()
    }
    if (args[0] === 'manage.py') {
      this.djangoSettings = command.env['DJANGO_SETTINGS_MODULE']
      this.commands.push(args.join(' '))
      const failure = args[1] === 'help' ? this.helpFailure : this.collectFailure
      return { exitCode: failure === '' ? 0 : 1, stdout: '', stderr: failure }
    }
    if (/\/(uv|poetry|pdm|pipenv)$/.test(program)) return this.#tool(basename(program), args, command)
    throw new Error(`nobody expects ${command.argv.join(' ')}`)
  }

  async #apt([verb = '', ...args]: readonly string[], { cwd }: Command): Promise<CommandResult> {
    const settings = new Map(
      args.flatMap((arg, i) => (args[i - 1] === '-o' ? [arg.split('=') as [string, string]] : [])),
    )
    const names = args.filter((arg, i) => !arg.startsWith('-') && args[i - 1] !== '-o')
    this.commands.push(['apt-get', verb, ...names].join(' '))
    this.architectures.push(settings.get('APT::Architecture'))
    if (verb === 'update') {
      const lists = join(settings.get('Dir::State') ?? '', 'lists')
      await mkdir(lists, { recursive: true })
      await writeFile(join(lists, 'archive_dists_trixie_InRelease'), this.release)
      // A list that has not changed is not fetched again.
      await writeFile(join(lists, 'Packages.lz4'), 'intact', { flag: 'wx' }).catch(() => undefined)
      return { ...done(), stderr: this.updateErrors }
    }
    if (verb === 'install') {
      const list = await readFile(join(settings.get('Dir::State') ?? '', 'lists/Packages.lz4'), 'utf8')
      if (list !== 'intact') return { exitCode: 100, stdout: '', stderr: 'E: Unable to parse package file' }
      const unknown = names.find(name => this.packages[name] === undefined)
      if (unknown !== undefined)
        return { exitCode: 100, stdout: '', stderr: `E: Unable to locate package ${unknown}\n` }
      const lines = this.#closure(names).map(name => `'mirror/${this.#file(name)}' ${this.#file(name)} 1 SHA256:00`)
      return done(`${lines.join('\n')}\n`)
    }
    for (const name of names) {
      const file = this.#file(name.split('=')[0] ?? '')
      await writeFile(join(cwd, file), JSON.stringify(name.split('=')[0]))
    }
    return done()
  }

  /** uv, Poetry, PDM and Pipenv: what they install is in `locked`. */
  async #tool(tool: string, args: readonly string[], { env }: Command): Promise<CommandResult> {
    if (tool === 'uv' && args[1] === 'list') {
      return done(JSON.stringify(this.downloads.map(version => ({ version, implementation: 'cpython' }))))
    }
    this.commands.push([tool, ...args].join(' ').replace(/--install-dir \S+/, '--install-dir DIR'))
    if (tool === 'uv' && args[1] === 'install') {
      this.mirror = env['UV_PYTHON_INSTALL_MIRROR']
      const [dir = '', version = ''] = args.slice(-2)
      const minor = version.split('.').slice(0, 2).join('.')
      const home = join(dir, `cpython-${version}-linux-x86_64-gnu`)
      await mkdir(join(home, 'bin'), { recursive: true })
      await writeFile(join(home, 'bin', `python${minor}`), 'ELF')
    }
    if (tool === 'pipenv') return done(args[0] === 'requirements' ? `${this.locked.join('\n')}\n` : '')
    const site = join(env['VIRTUAL_ENV'] ?? '', 'lib/python3.13/site-packages')
    // As Poetry 2.5 does for a project that is a package.
    if (tool === 'poetry') await mkdir(join(env['VIRTUAL_ENV'] ?? '', 'lib/python3/dist-packages'), { recursive: true })
    if (args[0] === 'sync') for (const name of this.locked) await this.#distribution(site, name, '1.0')
    return done()
  }

  #file(name: string): string {
    const { version = '', arch = 'amd64' } = this.packages[name] ?? {}
    return `${name}_${version.replaceAll(':', '%3a')}_${arch}.deb`
  }

  #closure(names: readonly string[]): string[] {
    return names.flatMap(name => [...this.#closure(this.packages[name]?.depends ?? []), name])
  }

  async #dpkg([verb, deb = '', dir = '']: readonly string[]): Promise<CommandResult> {
    const name = JSON.parse(await readFile(deb, 'utf8')) as string
    const { version, arch = 'amd64', files } = this.packages[name] ?? { version: '', files: {} }
    if (verb === '--info') return done(this.packages[name]?.postinst)
    if (verb === '--field') return done(`Package: ${name}\nVersion: ${version}\nArchitecture: ${arch}\n`)
    if (verb === '--contents')
      return done(
        Object.keys(files)
          .map(path => `-rw-r--r-- 0/0 1 1 1 ./${path}\n`)
          .join(''),
      )
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(dir, path)), { recursive: true })
      if (content.startsWith('-> ')) await symlink(content.slice(3), join(dir, path))
      else await writeFile(join(dir, path), content)
    }
    return done()
  }

  async #python([module = '', ...args]: readonly string[], command: Command): Promise<CommandResult> {
    const program = command.argv[0]
    if (module === 'compileall') this.commands.push(`compileall ${basename(args.at(-1) ?? '')}`)
    if (module === 'venv') {
      this.commands.push(`venv made by ${program.replace(/.*layers\//, '')}`)
      const dir = args.at(-1) ?? ''
      await mkdir(join(dir, 'bin'), { recursive: true })
      await mkdir(join(dir, 'lib/python3.13/site-packages'), { recursive: true })
      await symlink(program, join(dir, 'bin/python'))
    }
    if (module === 'zipfile') await mkdir(args.at(-1) ?? '', { recursive: true })
    if (module === 'pip') return this.#pip(args, command)
    return done()
  }

  async #pip([verb, ...args]: readonly string[], { argv, cwd, env }: Command): Promise<CommandResult> {
    if (verb === 'index') {
      const [, name = ''] = args
      this.commands.push(`pip index versions ${name}`)
      return done(JSON.stringify({ name, versions: this.installers[name] ?? [] }))
    }
    if (verb === 'check') return { exitCode: this.conflicts === '' ? 0 : 1, stdout: this.conflicts, stderr: '' }
    const [tool = '', version = ''] = args.find(arg => /^\w+==[\d.]+$/.test(arg))?.split('==') ?? []
    if (this.installers[tool]?.includes(version) === false)
      return { exitCode: 1, stdout: '', stderr: `ERROR: No matching distribution found for ${tool}==${version}` }
    if (args.includes('--target')) return done()
    const files = args.filter((_, i) => args[i - 1] === '-r')
    const rest = args.filter(
      (arg, i) =>
        /^--(editable|no-deps|no-index|find-links)$/.test(arg) || /^--(editable|find-links)$/.test(args[i - 1] ?? ''),
    )
    const named = args.filter(arg => /^[a-z]+==/.test(arg))
    const isDry = args.includes('--dry-run')
    const verbOf = isDry ? 'pip install --dry-run' : 'pip install'
    this.commands.push([verbOf, ...rest, ...named, ...files.map(file => `-r ${file}`)].join(' '))
    this.pipEnv = env
    if (this.failure !== '') return { exitCode: 1, stdout: '', stderr: this.failure }
    const site = join(dirname(dirname(argv[0])), 'lib/python3.13/site-packages')
    const chosen: { readonly metadata: { readonly name: string } }[] = []
    const install = async (name: string, version: string): Promise<void> => {
      if (chosen.some(({ metadata }) => metadata.name === name)) return
      const hashes = { sha256: `of ${name} ${version}` }
      const item = { metadata: { name, version }, download_info: { url: 'https://x', archive_info: { hashes } } }
      chosen.push(item)
      if (!isDry) await this.#distribution(site, name, version)
      for (const other of this.requires[name.toLowerCase()] ?? []) await install(other, this.newest[other] ?? '1.0')
    }
    if (args.includes('--editable')) {
      const manifest = await readFile(resolve(cwd, 'pyproject.toml'), 'utf8').catch(() => '')
      const name = /^name = "(.*)"/m.exec(manifest)?.[1]
      if (name !== undefined) await install(name, '1.0')
    }
    for (const requirement of named) {
      const [name = '', version = ''] = requirement.split('==')
      await install(name, version)
    }
    for (const path of this.leftovers) {
      const file = join(dirname(dirname(argv[0])), path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, '')
    }
    for (const file of files) {
      for (const line of (await readFile(resolve(cwd, file), 'utf8')).split('\n')) {
        // As pip does outside of a virtual environment.
        const sources = resolve(cwd, args[args.indexOf('--src') + 1] ?? '')
        const place = args.includes('--src') ? sources : resolve(cwd, 'src')
        if (isDry && line.startsWith('-e git+')) await mkdir(join(place, 'clone'), { recursive: true })
        const [, name, version] = /^([\w-]+)(?:==([\w.]+))?/.exec(line) ?? []
        if (name !== undefined && !name.startsWith('-')) await install(name, version ?? this.newest[name] ?? '9.9')
      }
    }
    const report = args[args.indexOf('--report') + 1]
    if (args.includes('--report') && report !== undefined)
      await writeFile(resolve(cwd, report), JSON.stringify({ version: '1', install: chosen }))
    return done()
  }

  async #distribution(site: string, name: string, version: string): Promise<void> {
    const info = join(site, `${name}-${version}.dist-info`)
    await mkdir(info)
    if (this.compiled.includes(name)) {
      await writeFile(join(info, 'WHEEL'), 'Wheel-Version: 1.0\nTag: cp313-cp313-linux_x86_64\n')
      await mkdir(join(site, name))
      await writeFile(join(site, name, '_native.so'), 'ELF')
      await writeFile(join(info, 'RECORD'), `${name}/__init__.py,,\n${name}/_native.so,sha256=0,1\n`)
    }
    await writeFile(
      join(info, 'METADATA'),
      `Metadata-Version: 2.4\nName: ${name}\nVersion: ${version}\nLicense: BSD\n\nVersion: 0\n`,
    )
  }
}

function done(stdout = ''): CommandResult {
  return { exitCode: 0, stdout, stderr: '' }
}
