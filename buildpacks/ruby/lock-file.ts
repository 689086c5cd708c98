import type { App } from '../sdk/index.ts'

/** The parts of a Gemfile.lock that are needed before Bundler runs. */
export interface Lock {
  readonly file: string
  readonly text: string
  /** `3.3.1`, from `RUBY VERSION`. */
  readonly ruby: string | undefined
  /** The Bundler that wrote it. */
  readonly bundler: string | undefined
  /** Names of gems, with the platforms of their archives: `ruby` for a gem that is compiled. */
  readonly gems: ReadonlyMap<string, ReadonlySet<string>>
}

/** The Gemfile and its lock file, relative to the application's directory. */
export interface Gemfile {
  readonly file: string
  readonly lockFile: string
}

/** The Gemfile that Bundler finds (bundler.io, "gemfile", "bundle config"); undefined if there is none. */
export async function findGemfile(app: App, env: Readonly<Record<string, string>>): Promise<Gemfile | undefined> {
  const named = env['BUNDLE_GEMFILE']?.trim()
  const file = named ? named : await app.firstOf(['gems.rb', 'Gemfile'])
  if (file === undefined) return undefined
  return { file, lockFile: /(^|\/)gems\.rb$/.test(file) ? file.replace(/rb$/, 'locked') : `${file}.lock` }
}

/** Reads the lock file; undefined if there is none. */
export async function readLock(app: App, { lockFile }: Gemfile): Promise<Lock | undefined> {
  const text = await app.read(lockFile)
  return text === undefined ? undefined : parseLock(text, lockFile)
}

/** Sections begin at the margin; gems are indented by four blanks, `    pg (1.5.9-x86_64-linux)`. */
export function parseLock(text: string, file: string): Lock {
  const lines = text.replaceAll('\r', '').split('\n')
  const after = (heading: string) => lines[lines.indexOf(heading) + 1]?.trim() ?? ''
  const gems = new Map<string, Set<string>>()
  for (const line of lines) {
    const [, name, platform = 'ruby'] = /^ {4}(\S+) \([^-)]+(?:-([^)]+))?\)$/.exec(line) ?? []
    if (name === undefined) continue
    gems.set(name, (gems.get(name) ?? new Set()).add(platform))
  }
  const ruby = lines.includes('RUBY VERSION') ? /^ruby (\S+)$/.exec(after('RUBY VERSION'))?.[1] : undefined
  const bundler = lines.includes('BUNDLED WITH') ? after('BUNDLED WITH') : undefined
  return { file, text, ruby, bundler: bundler === '' ? undefined : bundler, gems }
}
