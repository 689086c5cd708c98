import { BaleError } from '../errors.ts'
import type { ImageConfig } from '../image/config.ts'
import type { Digest } from '../image/digest.ts'
import type { StackDescription } from './description.ts'
import type { ImageKind } from './rules.ts'

export interface DebianPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
}

/** Debian's names of the architectures that OCI images can have. */
const architectures = new Map([
  ['386', { debian: 'i386' }],
  ['amd64', { debian: 'amd64' }],
  ['arm', { debian: 'armhf', variant: 'v7' }],
  ['arm64', { debian: 'arm64', variant: 'v8' }],
  ['ppc64le', { debian: 'ppc64el' }],
  ['riscv64', { debian: 'riscv64' }],
  ['s390x', { debian: 's390x' }],
])

/** Returns Debian's name of an OCI architecture, and its variant if images of it have one. */
export function architectureOf(arch: string): { debian: string; variant?: string } {
  const found = architectures.get(arch)
  if (found !== undefined) return found
  const fix = `use one of ${[...architectures.keys()].join(', ')}`
  throw new BaleError('arguments', `Debian has no architecture ${JSON.stringify(arch)}`, { fix })
}

/** The installed packages that a dpkg status file lists (dpkg-query(1)), by name. */
export function parsePackages(status: string): DebianPackage[] {
  return status
    .split('\n\n')
    .map(
      stanza => new Map(Array.from(stanza.matchAll(/^(\S+): (.*)$/gm), ([, name = '', value = '']) => [name, value])),
    )
    .filter(fields => fields.get('Status')?.endsWith(' installed'))
    .map(fields => ({
      name: fields.get('Package') ?? '',
      version: fields.get('Version') ?? '',
      architecture: fields.get('Architecture') ?? '',
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

export interface Contents {
  readonly arch: string
  readonly diffId: Digest
  /** /etc/os-release and /etc/debian_version. */
  readonly osRelease: string
  readonly debianVersion: string
  /** The date of the newest file that came from a package. */
  readonly released: Date
}

/** platform.md, "Build Image", "Run Image" and "Target Data"; image-spec annotations.md. */
export function configFor(stack: StackDescription, kind: ImageKind, contents: Contents): ImageConfig {
  const { description, env, user } = stack[kind]
  const { variant } = architectureOf(contents.arch)
  // Not the current date: the same packages give the same image at any time.
  const released = contents.released.toISOString().replace('.000Z', 'Z')
  const environment = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...(kind === 'build' ? { CNB_USER_ID: user.id, CNB_GROUP_ID: stack.group.id, CNB_STACK_ID: stack.id } : {}),
    ...env,
  }
  return {
    created: released,
    author: stack.maintainer,
    architecture: contents.arch,
    os: 'linux',
    ...(variant === undefined ? {} : { variant }),
    config: {
      User: `${user.id}:${stack.group.id}`,
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      Labels: labelsFor(stack, kind, contents, released),
    },
    rootfs: { type: 'layers', diff_ids: [contents.diffId] },
    history: [{ created: released, created_by: `${description} (${stack.id})` }],
  }
}

function labelsFor(stack: StackDescription, kind: ImageKind, contents: Contents, released: string) {
  const { description } = stack[kind]
  const release = parseOsRelease(contents.osRelease)
  return {
    'io.buildpacks.base.id': stack.id,
    'io.buildpacks.base.description': description,
    'io.buildpacks.base.distro.name': release.get('ID') ?? 'debian',
    'io.buildpacks.base.distro.version': release.get('VERSION_ID') ?? '',
    ...(stack.homepage === undefined ? {} : { 'io.buildpacks.base.homepage': stack.homepage }),
    'io.buildpacks.base.maintainer': stack.maintainer,
    'io.buildpacks.base.released': released,
    ...(kind === 'run' ? { 'io.buildpacks.rebasable': 'true' } : {}),
    // Platforms before API 0.12 (kpack among them) know stacks only.
    'io.buildpacks.stack.id': stack.id,
    'io.buildpacks.stack.mixins': '[]',
    'org.opencontainers.image.created': released,
    'org.opencontainers.image.description': description,
    'org.opencontainers.image.title': `${stack.id} ${kind} image`,
    'org.opencontainers.image.vendor': stack.maintainer,
    'org.opencontainers.image.version': contents.debianVersion,
  }
}

/** os-release(5): shell assignments without expansion. */
function parseOsRelease(text: string): Map<string, string> {
  return new Map(Array.from(text.matchAll(/^([A-Z_]+)="?([^"\n]*)"?$/gm), ([, name = '', value = '']) => [name, value]))
}
