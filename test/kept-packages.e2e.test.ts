import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bale, digestIn, root } from './helpers/bale.ts'
import { serveGit } from './helpers/git-remote.ts'
import { temporaryDirectory } from './helpers/temporary.ts'

// The oracle: the image's packages are those that the installer would install now, independent of the previous image.

async function copyOf(app: string): Promise<string> {
  const dir = await temporaryDirectory()
  await cp(join(root, 'test/apps', app), dir, { recursive: true })
  return dir
}

const build = async (image: string, dir: string, ...args: string[]) =>
  digestIn(await bale(['build', image, '--path', dir, '--quiet', ...args]))

describe('packages that an earlier build installed', () => {
  it('C21 are not those of a constraint that has changed', async () => {
    const image = 'bale-test-kept-constraint'
    const dir = await copyOf('python-constraint')
    for (const version of ['8.1.7', '8.1.8']) {
      await writeFile(join(dir, 'constraints.txt'), `click==${version}\n`)
      await build(image, dir, '--env', 'PIP_CONSTRAINT=constraints.txt')
      expect((await bale(['run', image])).output).toContain(`click ${version}`)
    }
  })

  it('C21 are not those of a branch that has moved; an editable one gives the same image twice', async () => {
    const image = 'bale-test-kept-branch'
    const dir = await copyOf('python-git-branch')
    await using git = await serveGit(join(dir, 'remote'))
    const requirement = `-e git+${git.url}/greeting.git@main#egg=greeting\n`
    await writeFile(join(dir, 'requirements.txt'), requirement)
    const first = await build(image, dir)
    expect(await build(`${image}-again`, dir, '--clear-cache')).toBe(first)
    const changed = await temporaryDirectory()
    await writeFile(join(changed, 'greeting.py'), 'text = "the branch has moved"\n')
    await git.commit('greeting', changed)
    await build(image, dir)
    expect((await bale(['run', image])).output).toContain('the branch has moved')
  })
})
