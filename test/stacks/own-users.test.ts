import { spawnSync } from 'node:child_process'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inOwnUsers } from '../../lifecycle/stacks/own-users.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

/** Runs a command so, with a fake unshare(1). */
async function run(unshare: string, ...command: string[]) {
  const bin = await temporaryDirectory()
  await writeFile(join(bin, 'unshare'), `#!/bin/sh\n${unshare}\n`)
  await chmod(join(bin, 'unshare'), 0o755)
  const [program = '', ...args] = inOwnUsers
  const env = { PATH: `${bin}:/usr/bin:/bin` }
  const { status, stderr } = spawnSync(program, [...args, ...command], { encoding: 'utf8', env, timeout: 50_000 })
  return { status, stderr }
}

// With the real one, test/platforms.e2e.test.ts does this.
describe('a user namespace for root’s command', () => {
  it('that cannot be made is an error', async () => {
    expect(await run('echo "unshare: no" >&2; exit 3', 'true')).toEqual({ status: 3, stderr: 'unshare: no\n' })
  })

  it('whose ids cannot be mapped is waited for some seconds only', async () => {
    expect(await run('exec sleep 600', 'true')).toMatchObject({ status: 143 })
  })
})
