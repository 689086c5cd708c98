import { spawnSync } from 'node:child_process'
import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { root } from '../helpers/bale.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

it('`npx bale` in a fresh clone says what to do: `prepare`, which it runs first, does not fail', async () => {
  const clone = await temporaryDirectory()
  for (const path of ['bin', 'package.json', 'scripts/build-deflate.mjs'])
    await cp(join(root, path), join(clone, path), { recursive: true })
  await mkdir(join(clone, 'lifecycle'))
  const run = (program: string, ...args: string[]) => spawnSync(program, args, { cwd: clone, encoding: 'utf8' })
  expect(run(process.execPath, 'scripts/build-deflate.mjs')).toMatchObject({ status: 0, stderr: '' })
  const { status, stderr } = run('bin/bale', 'build', 'hello')
  expect(status).toBe(1)
  expect(stderr).toContain(`Fix: npm --prefix '${clone}' start`)
})
