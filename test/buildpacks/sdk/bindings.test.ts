import { join } from 'node:path'
import { expect, it } from 'vitest'
import { boundFile, boundFiles, Log } from '../../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'

async function find(tree: Tree) {
  const platformDir = await temporaryDirectory()
  await writeTree(join(platformDir, 'bindings'), tree)
  let said = ''
  const note = (text: string) => void (said += text)
  const context = { env: {}, platformDir, log: new Log({ stdout: note, stderr: note }) }
  const bound = await boundFile(context, 'maven', 'settings.xml', 'settings')
  return { bound, path: bound && bound.path.slice(platformDir.length), said }
}

it('a file comes from the binding of its type', async () => {
  const other = { 'other/type': 'gradle', 'other/settings.xml': '' }
  const { bound, path, said } = await find({ ...other, 'own/type': 'Maven', 'own/settings': '' })
  expect({ path, said }).toEqual({ path: '/bindings/own/settings', said: '' })
  expect(bound?.binding.name).toBe('own')
  expect(await find(other)).toEqual({ bound: undefined, path: undefined, said: '' })
})

it('bindings without effect are warned of', async () => {
  const first = { 'b/type': 'maven', 'b/settings.xml': '' }
  const { path, said } = await find({
    'a/type': 'maven',
    'a/settings.yml': '',
    ...first,
    'c/type': 'maven',
    'c/settings': '',
  })
  expect(path).toBe('/bindings/b/settings.xml')
  expect(said).toContain('The binding a of the type maven has no effect: it has no settings.xml or settings')
  expect(said).toContain('The binding c of the type maven has no effect: the binding b comes first')
})

it('each of several files comes from the first binding that has it', async () => {
  const platformDir = await temporaryDirectory()
  await writeTree(join(platformDir, 'bindings'), {
    'a/type': 'composer',
    'a/auth.json': '1',
    'b/type': 'composer',
    'b/auth.json': '2',
    'b/config.json': '3',
    'c/type': 'composer',
    'c/auth': '4',
  })
  let said = ''
  const note = (text: string) => void (said += text)
  const context = { env: {}, platformDir, log: new Log({ stdout: note, stderr: note }) }
  const found = await boundFiles(context, 'composer', 'auth.json', 'config.json')
  expect(found.map(({ binding, name }) => [binding.name, name])).toEqual([
    ['a', 'auth.json'],
    ['b', 'config.json'],
  ])
  expect(said).toContain('auth.json of the binding b of the type composer has no effect: the binding a comes first')
  expect(said).toContain('The binding c of the type composer has no effect: it has no auth.json or config.json')
})
