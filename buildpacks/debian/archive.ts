import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, BuildpackError, digestOf, keep, type RunOptions } from '../sdk/index.ts'
import { runImagePackages } from './run-image.ts'

/** A package in the archive, in the version that apt chose. */
export interface DebianPackage {
  readonly name: string
  readonly version: string
  /** Debian's name: `amd64`, or `all`. */
  readonly architecture: string
}

type ArchiveContext = Pick<BuildContext, 'env' | 'layer' | 'log' | 'run'>

export interface ArchiveOptions {
  /** The architecture of the packages, if it differs from the build image's: only for programs that need nothing of that image. */
  readonly architecture?: string | undefined
  /** An older Debian release, whose packages are available beside those of the build image's: `bookworm`. */
  readonly older?: string | undefined
}

/** Debian's archive by the build image's own apt sources, used without root. */
export class DebianArchive {
  readonly #context: ArchiveContext
  /** A cache layer: the lists of packages, and the packages chosen from them. */
  readonly #dir: string
  /** A directory that is removed after the build: apt's caches of the lists, and downloads. */
  readonly #temp: string
  readonly #architecture: string | undefined
  readonly #older: string | undefined
  /** The lists come from another build, and may have been damaged since. */
  #cached: boolean

  /** Updates the lists of packages, which costs next to nothing if nothing has changed. */
  static async open(context: ArchiveContext, temp: string, options: ArchiveOptions = {}): Promise<DebianArchive> {
    const name = ['apt', options.architecture, options.older].filter(part => part !== undefined).join('-')
    const layer = await context.layer(name, {
      types: { cache: true },
      key: {},
      // apt itself checks the existing lists.
      restore: () => keep,
      create: async () => {},
    })
    const archive = new DebianArchive(context, layer.path, temp, layer.state === 'restored', options)
    await archive.#writeStatus()
    await archive.#writeSources()
    await archive.#update()
    return archive
  }

  private constructor(
    context: ArchiveContext,
    dir: string,
    temp: string,
    cached: boolean,
    { architecture, older }: ArchiveOptions,
  ) {
    this.#architecture = architecture
    this.#older = older
    this.#context = context
    this.#dir = dir
    this.#temp = temp
    this.#cached = cached
  }

  /**
   * The packages in `names` and all of their dependencies, except packages that the run image has.
   * @param whereOf the place that names a package, for errors
   */
  async resolve(names: readonly string[], whereOf?: (name: string) => string | undefined): Promise<DebianPackage[]> {
    const memo = join(this.#dir, `chosen-${digestOf(...names).slice('sha256:'.length)}.json`)
    const stamp = digestOf(await this.#listsDigest(), runImagePackages.join(' '))
    const known = await readMemo(memo)
    if (known?.stamp === stamp) return known.packages
    const args = ['--print-uris', '-qq', '--yes', ...names]
    const result = await this.#apt('install', args, { allowFailure: true })
    const unknown = /^E: (?:Unable to locate package (\S+)|Version '[^']*' for '([^']+)' was not found)$/m.exec(
      result.stderr,
    )
    if (unknown !== null) throw notInArchive(unknown[1] ?? unknown[2] ?? '', whereOf, unknown[0])
    if (result.exitCode !== 0 && !this.#cached) {
      throw new BuildpackError(`apt-get cannot install ${names.join(', ')}:\n${result.stderr.trim()}`, {
        where: whereOf?.(names[0] ?? ''),
        fix: 'check that the packages are compatible, and that the build image is Debian 13 and can reach its archive',
      })
    }
    if (result.exitCode !== 0) {
      this.#context.log.warning('the cached package lists are unusable and are downloaded again')
      this.#cached = false
      await rm(join(this.#dir, 'state'), { recursive: true })
      await this.#update()
      return this.resolve(names, whereOf)
    }
    const packages = result.stdout.split('\n').flatMap(parseUriLine)
    await writeFile(memo, JSON.stringify({ stamp, packages } satisfies Memo))
    return packages
  }

  /**
   * Downloads packages, which apt checks against the archive's signature.
   * @returns the paths of the .deb files, in a directory that is removed after the build
   */
  async download(packages: readonly DebianPackage[]): Promise<string[]> {
    const cwd = join(this.#temp, 'archives')
    await mkdir(cwd, { recursive: true })
    const names = packages.map(({ name, version }) => `${name}=${version}`)
    await this.#apt('download', names, { cwd, fix: 'check the network, and the apt sources of the build image' })
    const files = await readdir(cwd)
    return packages.map(({ name, version, architecture }) => {
      const file = `${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb`
      if (!files.includes(file)) throw new BuildpackError(`apt-get did not download ${file}`)
      return join(cwd, file)
    })
  }

  /** Only the packages of the run image count as installed: apt then chooses all others, even if the build image has them. */
  async #writeStatus(): Promise<void> {
    if (this.#architecture !== undefined) return writeFile(join(this.#temp, 'status'), '')
    const { stdout } = await this.#context.run(['dpkg-query', '--status', ...runImagePackages], {
      quiet: true,
      allowFailure: true,
    })
    await writeFile(join(this.#temp, 'status'), stdout)
  }

  /** The build image's own sources, and the same sources for the older release. */
  async #writeSources(): Promise<void> {
    if (this.#older === undefined) return
    const codename = /^VERSION_CODENAME=(\w+)$/m.exec(await readFile('/etc/os-release', 'utf8').catch(() => ''))?.[1]
    const dir = join(this.#temp, 'sources')
    await mkdir(dir, { recursive: true })
    let namesRelease = false
    const own = '/etc/apt/sources.list.d'
    const names = (await readdir(own).catch(() => [])).filter(name => /\.(sources|list)$/.test(name))
    const files = [...names.map(name => join(own, name)), '/etc/apt/sources.list']
    for (const [index, file] of files.entries()) {
      const text = await readFile(file, 'utf8').catch(() => '')
      const ending = file.endsWith('.sources') ? 'sources' : 'list'
      await writeFile(join(dir, `own-${index}.${ending}`), text)
      const words = text.split(/\b/)
      if (codename === undefined || !words.includes(codename)) continue
      namesRelease = true
      const older = words.map(word => (word === codename ? this.#older : word)).join('')
      await writeFile(join(dir, `older-${index}.${ending}`), older)
    }
    if (!namesRelease)
      throw new BuildpackError(
        `the apt sources of the build image do not name its release, so ${this.#older} is not found`,
        {
          where: own,
          fix: 'build on a stack of Debian, or ask for a version that its release has',
        },
      )
  }

  async #update(): Promise<void> {
    for (const dir of [join(this.#dir, 'state'), join(this.#temp, 'cache')]) await mkdir(dir, { recursive: true })
    const { stderr } = await this.#apt('update', ['-qq', '-o', 'pkgCacheFile::Generate=false'], {
      fix: 'check the network, and the apt sources of the build image',
    })
    // Old lists are better than none: apt continues with them, and so does the build.
    const warnings = stderr.split('\n').filter(line => /^[WE]: /.test(line))
    if (warnings.length > 0) this.#context.log.warning(`apt-get update: ${warnings.join('\n')}`)
  }

  /** A digest of the archive's signed indexes: as long as it is the same, apt chooses the same packages. */
  async #listsDigest(): Promise<string> {
    const dir = join(this.#dir, 'state/lists')
    const names = (await readdir(dir).catch(() => [])).filter(name => /_(In)?Release$/.test(name)).toSorted()
    const texts = await Promise.all(names.map(name => readFile(join(dir, name), 'utf8')))
    return digestOf(...names, ...texts)
  }

  async #apt(command: string, args: readonly string[], options: RunOptions) {
    const settings = {
      'Dir::State': join(this.#dir, 'state'),
      'Dir::State::status': join(this.#temp, 'status'),
      'Dir::Cache': join(this.#temp, 'cache'),
      'Acquire::Languages': 'none',
      'Acquire::GzipIndexes': 'true',
      'APT::Install-Recommends': 'false',
      ...(this.#older !== undefined && {
        'Dir::Etc::sourcelist': '/dev/null',
        'Dir::Etc::sourceparts': join(this.#temp, 'sources'),
      }),
      ...(this.#architecture !== undefined && {
        'APT::Architecture': this.#architecture,
        'APT::Architectures': this.#architecture,
      }),
    }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    // The code parses messages, so they must not be translated.
    const env = { LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' }
    return this.#context.run(['apt-get', command, ...flags, ...args], {
      env,
      quiet: true,
      name: `apt-get ${command}`,
      ...options,
    })
  }
}

function notInArchive(name: string, whereOf: ((name: string) => string | undefined) | undefined, message: string) {
  return new BuildpackError(`apt-get: ${message}`, {
    where: whereOf?.(name),
    fix: `look for ${name} in the package lists of Debian 13, and correct its name or version`,
  })
}

/** apt's choice, and the lists that it was made from: choosing takes a second. */
interface Memo {
  readonly stamp: string
  readonly packages: DebianPackage[]
}

async function readMemo(path: string): Promise<Memo | undefined> {
  try {
    const memo = JSON.parse(await readFile(path, 'utf8')) as Partial<Memo> | null
    return typeof memo?.stamp === 'string' && Array.isArray(memo.packages) ? (memo as Memo) : undefined
  } catch {
    // Missing or damaged: apt chooses again.
    return undefined
  }
}

/** `'http://…/libffi8_3.4.8-2_amd64.deb' libffi8_3.4.8-2_amd64.deb 24144 SHA256:…` */
function parseUriLine(line: string): DebianPackage[] {
  const file = /^'[^']*' ([^_\s]+)_([^_\s]+)_([^_\s]+)\.deb /.exec(line)
  if (file === null) return []
  const [, name = '', version = '', architecture = ''] = file
  return [{ name, version: version.replaceAll('%3a', ':'), architecture }]
}
