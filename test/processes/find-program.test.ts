import { join } from 'node:path'
import { expect, it } from 'vitest'
import { findProgram } from '../../lifecycle/processes/find-program.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

it('finds the first file that can be executed, as execvp(3) does, and no directory of that name', async () => {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'a/tool/file': '', 'b/tool': 'not executable', 'c/tool': { script: 'exit 0' } })
  const path = ['a', 'b', 'none', 'c'].map(name => join(dir, name)).join(':')
  expect(await findProgram('tool', path)).toBe(join(dir, 'c/tool'))
  expect(await findProgram(join(dir, 'a/tool'), path)).toBeUndefined()
  expect(await findProgram('other', path)).toBeUndefined()
})
