import { labels } from './labels.ts'
import type { BuildpackDescriptor, BuildpackTarget, Target } from './types.ts'

/**
 * Targets: the platform and distribution of an image, and whether a buildpack supports them (platform.md, "Target Data"; buildpack.md,
 * "Targets").
 */

const bionicStack = 'io.buildpacks.stacks.bionic'
const bionicDistro = { name: 'ubuntu', version: '18.04' }

/** OCI's name for the architecture of this process. Programs for another one need an emulator. */
export function ownArchitecture(): string {
  const names: Partial<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' }
  return names[process.arch] ?? process.arch
}

/**
 * Returns the target of an image, from its config, its labels and, if those have no distribution, its /etc/os-release.
 * @param osRelease the text of that file, if the image has one
 */
export function targetOf(
  image: {
    readonly os: string
    readonly architecture: string
    readonly variant?: string
    readonly labels: Readonly<Record<string, string>>
  },
  osRelease?: string,
): Target {
  const distro = labelledDistro(image.labels) ?? (osRelease === undefined ? undefined : parseOsRelease(osRelease))
  return {
    os: image.os,
    arch: image.architecture,
    ...(image.variant !== undefined && image.variant !== '' && { variant: image.variant }),
    distro,
  }
}

function labelledDistro(ofImage: Readonly<Record<string, string>>): Target['distro'] {
  const label = (name: string): string => (Object.hasOwn(ofImage, name) ? (ofImage[name] ?? '') : '')
  const name = label(labels.distroName)
  const version = label(labels.distroVersion)
  if (name !== '') return { name, version }
  return label(labels.stackId) === bionicStack ? bionicDistro : undefined
}

/** Reads ID and VERSION_ID of an os-release file (os-release(5)). Returns undefined without an ID. */
export function parseOsRelease(text: string): { readonly name: string; readonly version: string } | undefined {
  const values = new Map<string, string>()
  for (const line of text.split('\n')) {
    const found = /^\s*([A-Z_]+)=(.*?)\s*$/.exec(line)
    if (found) values.set(found[1] as string, unquote(found[2] as string))
  }
  const name = values.get('ID') ?? ''
  return name === '' ? undefined : { name, version: values.get('VERSION_ID') ?? '' }
}

function unquote(value: string): string {
  const quoted = /^(["'])(.*)\1$/.exec(value)
  if (!quoted) return value
  return quoted[1] === '"' ? (quoted[2] as string).replace(/\\(["$`\\])/g, '$1') : (quoted[2] as string)
}

/**
 * Returns whether a buildpack supports a target. A field that either side leaves out matches anything. A buildpack without targets
 * supports Linux, since it has bin/build.
 */
export function matchesTarget(descriptor: BuildpackDescriptor, target: Target): boolean {
  if (descriptor.stacks.includes('*')) return true
  const declared = [...descriptor.targets, ...descriptor.stacks.flatMap(targetOfStack)]
  return (declared.length === 0 ? [{ os: 'linux', distros: [] }] : declared).some(t => matches(t, target))
}

/** buildpack.md, "`stacks` Array": how readers translate the one stack that was in common use. */
function targetOfStack(id: string): BuildpackTarget[] {
  return id === bionicStack ? [{ os: 'linux', arch: 'amd64', distros: [bionicDistro] }] : []
}

function matches(wanted: BuildpackTarget, target: Target): boolean {
  return (
    agree(wanted.os, target.os) &&
    agree(wanted.arch, target.arch) &&
    agree(wanted.variant, target.variant) &&
    (wanted.distros.length === 0 ||
      wanted.distros.some(d => agree(d.name, target.distro?.name) && agree(d.version, target.distro?.version)))
  )
}

/** Returns whether an image for one target can replace one for the other. A field that either leaves out matches anything. */
export function sameTarget(a: Target, b: Target): boolean {
  return (
    a.os === b.os &&
    a.arch === b.arch &&
    agree(a.variant, b.variant) &&
    agree(a.distro?.name, b.distro?.name) &&
    agree(a.distro?.version, b.distro?.version)
  )
}

const agree = (a: string | undefined, b: string | undefined): boolean => !a || !b || a === b

/** Formats a target for messages: `linux/arm64/v8, debian 13`. */
export function describeTarget(target: Target): string {
  const platform = [target.os, target.arch, target.variant].filter(Boolean).join('/')
  const { name = '', version = '' } = target.distro ?? {}
  return name === '' ? platform : `${platform}, ${`${name} ${version}`.trimEnd()}`
}

/** Makes the CNB_TARGET_* variables of detect and build. Unknown ones are not set. */
export function targetEnv(target: Target): Record<string, string> {
  const all = {
    CNB_TARGET_OS: target.os,
    CNB_TARGET_ARCH: target.arch,
    CNB_TARGET_ARCH_VARIANT: target.variant,
    CNB_TARGET_DISTRO_NAME: target.distro?.name,
    CNB_TARGET_DISTRO_VERSION: target.distro?.version,
  }
  return Object.fromEntries(Object.entries(all).filter((e): e is [string, string] => e[1] !== undefined && e[1] !== ''))
}
