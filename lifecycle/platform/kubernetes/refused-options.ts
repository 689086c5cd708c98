import { BaleError } from '../../errors.ts'
import type { BuildOptions } from '../build-options.ts'

// Options that a build on a cluster does not support. They are refused, never ignored.

/** For each option: its flag, and what to do instead. */
const refused: Readonly<Partial<Record<keyof BuildOptions, readonly [flag: string, fix: string]>>> = {
  workspace: ['--workspace', 'leave it out: pods have the application in /workspace'],
  interaction: ['--interactive', 'leave it out'],
  extensions: ['--extension', 'build on a machine: pods apply no image extensions'],
  volumes: ['--volume', 'add the files to the source or to the builder image'],
  ssh: ['--ssh', 'use a token: --secret id=git,type=netrc,key=.netrc,src=FILE'],
  cacheFrom: ['--cache-from', 'use --cache-image, or cache of the settings file'],
  cacheTo: ['--cache-to', 'use --cache-image, or cache of the settings file'],
}

/** @throws BaleError 'usage' for the first given option without a meaning on a cluster */
export function refuseOptions(options: BuildOptions): void {
  const refuse = (where: string, fix: string): never => {
    throw new BaleError('usage', 'a build on a cluster cannot do this', { where, fix })
  }
  for (const [name, [flag, fix]] of Object.entries(refused)) {
    const value = options[name as keyof typeof refused]
    if (value !== undefined && Object.keys(value).length > 0) refuse(flag, fix)
  }
  if (options.network === 'none') refuse('--network none', 'give the namespace a NetworkPolicy')
  if (options.compression !== undefined && options.compression !== 'gzip')
    refuse(`--compression ${options.compression}`, 'leave it out: phases write gzip')
  if (options.compressionLevel !== undefined) refuse('--compression-level', 'leave it out: phases use level 1')
  if (options.lifecycle === 'builder')
    refuse('--lifecycle builder', 'leave it out: the builder image has its own phases')
  if (options.user?.uid !== undefined || options.user?.gid !== undefined)
    refuse('--uid and --gid', 'write user into the settings file: {uid: 1001, gid: 1001}')
  if (options.settings.registryAttempts !== undefined)
    refuse('--retry', 'leave it out: phases try a request to a registry five times')
  if (options.limits?.pids !== undefined) refuse('--pids', 'the kubelet limits processes: podPidsLimit')
}
