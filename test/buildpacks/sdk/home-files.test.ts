import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Log, withHomeFiles } from '../../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'

const files = { npmrc: { '.npmrc': '.npmrc' }, pip: { 'pip.conf': '.config/pip/pip.conf' } }

async function user(bindings: Tree, home: Tree = {}) {
  const root = await temporaryDirectory()
  await writeTree(join(root, 'bindings'), bindings)
  await writeTree(join(root, 'home'), { '.keep': '', ...home })
  let said = ''
  const note = (text: string) => void (said += text)
  const read = (name: string) => readFile(join(root, name), 'utf8').catch(() => undefined)
  const during = async (work: () => Promise<unknown>, env: Record<string, string> = {}) => {
    const log = new Log({ stdout: note, stderr: note })
    const context = { env: { HOME: join(root, 'home'), ...env }, platformDir: root, log }
    return withHomeFiles(context, files, work)
  }
  return { root, read, during, said: () => said }
}

describe('files of bindings in the home directory', () => {
  it('are there for the user alone while the buildpack works, also if it fails', async () => {
    const { root, read, during, said } = await user({
      'npm/type': 'npmrc',
      'npm/.npmrc': 'token',
      'pip/type': 'pip',
      'pip/pip.conf': '[global]',
      'other/type': 'maven',
      'other/settings.xml': '',
    })
    const failing = during(async () => {
      expect([await read('home/.npmrc'), await read('home/.config/pip/pip.conf')]).toEqual(['token', '[global]'])
      expect((await stat(join(root, 'home/.npmrc'))).mode & 0o777).toBe(0o600)
      throw new Error('it fails')
    })
    await expect(failing).rejects.toThrow('it fails')
    expect([await read('home/.npmrc'), await read('home/.config/pip/pip.conf')]).toEqual([undefined, undefined])
    expect(await read('bindings/npm/.npmrc')).toBe('token')
    expect(said()).toContain('.npmrc: the binding npm')
  })

  it('are where XDG_CONFIG_HOME says', async () => {
    const { root, read, during } = await user({ 'pip/type': 'pip', 'pip/pip.conf': '[global]' })
    await during(async () => expect(await read('xdg/pip/pip.conf')).toBe('[global]'), {
      XDG_CONFIG_HOME: join(root, 'xdg'),
    })
  })

  it('leave a file that is there, and say so', async () => {
    const { read, during, said } = await user({ 'npm/type': 'npmrc', 'npm/.npmrc': 'token' }, { '.npmrc': 'own' })
    await during(async () => expect(await read('home/.npmrc')).toBe('own'))
    expect(await read('home/.npmrc')).toBe('own')
    expect(said()).toContain('.npmrc of the binding npm has no effect')
  })
})
