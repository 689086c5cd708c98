import { BaleError } from '../errors.ts'
import type { StackDescription } from './description.ts'

export type ImageKind = 'build' | 'run'

/** Rules that turn the tree of mmdebstrap into an image. Paths have no leading slash. */
export interface ImageRules {
  /** No entry is newer than this. */
  readonly epoch: Date
  isDropped(path: string): boolean
  /** New content of files. `required` files are created if missing. */
  readonly rewritten: ReadonlyMap<string, { readonly required: boolean; rewrite(text: string): string }>
  /** Required directories, parents first. An existing one stays as it is. */
  readonly directories: readonly { path: string; mode: number; uid: number; gid: number }[]
  /** Added files, owned by root, with their parents. */
  readonly files: ReadonlyMap<string, string | Buffer>
}

export function rulesFor(stack: StackDescription, kind: ImageKind, files: ImageRules['files'] = new Map()): ImageRules {
  const hasApt = stack[kind].packages.includes('apt')
  return {
    epoch: stack.debian.epoch,
    isDropped: path =>
      isDropped(path) || replacedByUs(path, hasApt ? files : undefined) || (isBare(stack, kind) && isUseless(path)),
    rewritten: rewritten(stack, kind),
    directories: directories(stack, kind),
    files: hasApt ? files : new Map(),
  }
}

/** Directories that are empty in the image: mount points, caches, logs, and documentation. */
const emptied = [
  'dev',
  'proc',
  'sys',
  'tmp',
  'usr/share/bash-completion',
  'usr/share/doc-base',
  'usr/share/fish',
  'usr/share/gtk-doc',
  'usr/share/info',
  'usr/share/lintian',
  'usr/share/locale',
  'usr/share/man',
  'usr/share/zsh',
  'var/backups',
  'var/cache/apt',
  'var/cache/debconf',
  'var/cache/ldconfig',
  'var/lib/apt/lists',
  'var/log',
  'var/tmp',
]

const dropped = [
  /^\.bale-/, // Bale's own notes, see hooks in mmdebstrap.ts
  /^etc\/(passwd|group|shadow|gshadow|subuid|subgid)-$/, // backups of what maintainer scripts changed
  /^etc\/\.pwd\.lock$/,
  // The machine's own settings for apt, which may contain a proxy's password.
  /^etc\/apt\/apt\.conf\.d\/(00mmdebstrap|99bale)$/,
  /^etc\/dpkg\/dpkg\.cfg\.d\/99mmdebstrap$/,
  /^etc\/alternatives\/[^/]+\.gz$/, // links to manual pages
  /^var\/lib\/dpkg\/([^/]*-old|lock[^/]*)$/,
  /(^|\/)__pycache__(\/|$)/, // CPython's compiled files differ from run to run, and few tools of the image need them
  /^usr\/share\/doc\/[^/]+\/(?!copyright$)/, // licences stay, since binaries must come with them
]

function isDropped(path: string): boolean {
  return emptied.some(folder => path.startsWith(`${folder}/`)) || dropped.some(rule => rule.test(path))
}

/** True for an image in which no program of Debian runs. */
const isBare = (stack: StackDescription, kind: ImageKind): boolean => stack[kind].only.length > 0

/** Debian's programs and their data, except the record of packages that scanners read. */
function isUseless(path: string): boolean {
  return /^(usr\/s?bin\/|etc\/(alternatives|ld\.so\.[^/]+|dpkg|update-motd\.d)(\/|$)|var\/lib\/(dpkg\/(?!status$)|shells\.state))/.test(
    path,
  )
}

/** An image with apt gets generated sources, if there are any. An image without apt needs no apt configuration. */
function replacedByUs(path: string, files: ImageRules['files'] | undefined): boolean {
  if (files === undefined) return path === 'etc/apt' || path.startsWith('etc/apt/')
  return files.has(path) || (files.has(sourcesPath) && /^etc\/apt\/sources\.list(\.d\/|$)/.test(path))
}

/** The path of an image's apt sources. */
export const sourcesPath = 'etc/apt/sources.list.d/debian.sources'

function rewritten(stack: StackDescription, kind: ImageKind): ImageRules['rewritten'] {
  const { user } = stack[kind]
  const { group } = stack
  const changed = Math.floor(stack.debian.epoch.getTime() / 86_400_000)
  const empty = { required: true, rewrite: () => '' }
  const shell = isBare(stack, kind) ? '/usr/sbin/nologin' : '/bin/bash'
  return new Map([
    ['etc/passwd', { required: true, rewrite: addLine(user, `x:${user.id}:${group.id}::${homeOf(user)}:${shell}`, 2) }],
    ['etc/group', { required: true, rewrite: addLine(group, `x:${group.id}:`, 2) }],
    ['etc/shadow', { required: false, rewrite: addLine(user, `*:${changed}:0:99999:7:::`) }],
    ['etc/gshadow', { required: false, rewrite: addLine(group, '!::') }],
    // These files come from this machine. A container gets its own, but they must exist for a sandbox to mount over them.
    ['etc/hostname', empty],
    ['etc/machine-id', empty],
    ['etc/resolv.conf', empty],
  ])
}

function homeOf(user: { name: string }): string {
  return `/home/${user.name}`
}

/** Adds `NAME:rest` to a colon-separated account file, unless a package has taken the name or the id in column `idAt`. */
function addLine(account: { name: string; id: number }, rest: string, idAt?: number) {
  return (text: string): string => {
    const taken = text
      .split('\n')
      .map(line => line.split(':'))
      .find(fields => fields[0] === account.name || (idAt !== undefined && fields[idAt] === String(account.id)))
    if (taken !== undefined) {
      throw new BaleError('input', `a Debian package already has an account ${taken.join(':')}`, {
        where: 'stack.toml',
        fix: `give ${account.name} another name and id`,
      })
    }
    return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${account.name}:${rest}\n`
  }
}

/**
 * A sandbox with a read-only root can only mount over directories that exist. The build user owns the directories that it writes to
 * (platform.md, "Build Image": a writable home directory).
 */
function directories(stack: StackDescription, kind: ImageKind): ImageRules['directories'] {
  const root = { mode: 0o755, uid: 0, gid: 0 }
  const builder = { mode: 0o755, uid: stack.build.user.id, gid: stack.group.id }
  return [
    ...['dev', 'proc', 'sys'].map(path => ({ path, ...root })),
    { path: 'tmp', ...root, mode: 0o1777 },
    ...['cnb', 'cnb/build-config', 'cnb/buildpacks', 'cnb/extensions', 'cnb/lifecycle', 'platform', 'platform/env'].map(
      path => ({ path, ...root }),
    ),
    { path: 'layers', ...builder },
    { path: 'workspace', ...builder },
    { path: 'home', ...root },
    { path: homeOf(stack[kind].user).slice(1), ...builder, uid: stack[kind].user.id },
  ]
}
