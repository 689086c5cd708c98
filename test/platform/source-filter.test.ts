import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { copySource } from '../../lifecycle/platform/copy-source.ts'
import { readSourceSettings } from '../../lifecycle/platform/source-filter.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, readTree, writeTree } from '../helpers/tree.ts'
import { recorder } from '../phases/harness.ts'

/** The files that are left when a tree is copied with its own settings, and what was said. */
async function copied(
  tree: Tree,
  more: { images?: (dir: string) => string[]; outputs?: (dir: string) => string[] } = {},
) {
  const root = await temporaryDirectory()
  const [dir, to] = [join(root, 'src'), join(root, 'out')]
  await mkdir(dir)
  await mkdir(to)
  await writeTree(dir, tree)
  const reporter = recorder()
  const images = more.images?.(dir) ?? []
  const outputs = more.outputs?.(dir) ?? []
  const { filter, env, keepsGit, project } = await readSourceSettings({ dir, images, outputs, reporter })
  await copySource(dir, to, { reporter, filter, keepsGit })
  const files = Object.keys(await readTree(to)).sort()
  const said = reporter.events.flatMap(e => ('text' in e ? [e.text] : []))
  return { files, said, env, project, dir, to }
}

const tree = { 'a.txt': '', 'b.log': '', 'logs/c.log': '', 'logs/keep.txt': '', 'src/d.ts': '', 'src/deep/e.ts': '' }

describe('project.toml', () => {
  it.each([
    ['0.1', 'exclude', '[build]\nexclude = ["*.log", "src/deep"]\n'],
    ['0.2', 'exclude', '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = ["*.log", "src/deep"]\n'],
    ['0.3', 'exclude', '[_]\nschema-version = "0.3"\n[io.buildpacks]\nexclude = ["*.log", "src/deep/"]\n'],
  ])('of schema %s leaves out what %s names, as .gitignore does', async (_schema, _key, toml) => {
    const { files } = await copied({ ...tree, 'project.toml': toml })
    expect(files).toEqual(['a.txt', 'logs/keep.txt', 'project.toml', 'src/d.ts'])
  })

  it('takes what include names alone, at any depth, and no empty directories', async () => {
    const { files, to } = await copied({ ...tree, 'project.toml': '[build]\ninclude = ["*.ts", "a.txt"]\n' })
    expect(files).toEqual(['a.txt', 'src/d.ts', 'src/deep/e.ts'])
    await expect(readFile(join(to, 'logs'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it.each([
    ['0.1', '[[build.env]]\nname = "A"\nvalue = "1"\n'],
    ['0.2', '[_]\nschema-version = "0.2"\n[[io.buildpacks.build.env]]\nname = "A"\nvalue = "1"\n'],
  ])('of schema %s gives buildpacks variables', async (_schema, toml) => {
    expect((await copied({ 'project.toml': toml })).env).toEqual({ A: '1' })
  })

  it.each([
    ['io.buildpacks', '0.1', '[[io.buildpacks.build.env]]\nname = "A"\nvalue = "1"\n'],
    ['build', '0.3', '[_]\nschema-version = "0.3"\n[[build.env]]\nname = "A"\nvalue = "1"\n'],
  ])('says that [%s] is not read in schema %s', async (table, schema, toml) => {
    const { env, said } = await copied({ 'project.toml': toml })
    expect(env).toEqual({})
    expect(said).toEqual([`project.toml: [${table}] is ignored: the file has schema version ${schema}`])
  })

  it('says nothing of tables that are of no schema', async () => {
    const toml = '[com.heroku.static]\nroot = "a"\n[io.other]\n[[build.env]]\nname = "A"\nvalue = "1"\n'
    expect(await copied({ 'project.toml': toml })).toMatchObject({ env: { A: '1' }, said: [] })
  })

  it('names builder and buildpacks, with their places', async () => {
    const toml =
      '[_]\nschema-version = "0.2"\n[io.buildpacks]\nbuilder = "x"\n[[io.buildpacks.group]]\nid = "y"\n[[io.buildpacks.post.buildpacks]]\nuri = "z"\n'
    expect((await copied({ 'project.toml': toml })).project).toMatchObject({
      builder: 'x',
      group: [{ id: 'y', where: 'project.toml:5 io.buildpacks.group[0]' }],
      pre: [],
      post: [{ uri: 'z' }],
    })
  })

  it.each([
    [
      'an unknown schema',
      '[_]\nschema-version = "7"\n',
      'project.toml _.schema-version',
      'the schema "7" is not known',
    ],
    ['include beside exclude', '[build]\ninclude = []\nexclude = []\n', 'project.toml:2', 'include and exclude'],
    ['what is not TOML', 'build = [\n', 'project.toml', ''],
  ])('is refused for %s', async (_what, toml, where, message) => {
    expect(await failureOf(copied({ 'project.toml': toml }))).toMatchObject({
      code: 'input',
      where: expect.stringContaining(where) as string,
      message: expect.stringContaining(message) as string,
    })
  })

  it('is read before .dockerignore, which then says nothing', async () => {
    const { files } = await copied({ ...tree, 'project.toml': '[build]\nexclude = ["src"]\n', '.dockerignore': '*' })
    expect(files).toEqual(['.dockerignore', 'a.txt', 'b.log', 'logs/c.log', 'logs/keep.txt', 'project.toml'])
  })
})

describe('.dockerignore', () => {
  it('leaves out what it names, from the root, with exceptions', async () => {
    const { files, said } = await copied({ ...tree, '.dockerignore': '# logs\n*.log\nlogs\n!logs/keep.txt\n' })
    expect(files).toEqual(['.dockerignore', 'a.txt', 'logs/keep.txt', 'src/d.ts', 'src/deep/e.ts'])
    expect(said).toContain('Excluding files that .dockerignore lists')
  })
})

describe('.git', () => {
  it.each<[string, Tree, boolean]>([
    ['nothing', {}, false],
    ['.dockerignore without an exception', { '.dockerignore': '.git\n!a\n' }, false],
    ['.dockerignore', { '.dockerignore': '*.log\n!.git\n' }, true],
    ['exclude of project.toml', { 'project.toml': '[build]\nexclude = ["*.log", "!.git"]\n' }, true],
    ['include of project.toml', { 'project.toml': '[build]\ninclude = ["a", ".git/"]\n' }, true],
    ['include without it', { 'project.toml': '[build]\ninclude = ["a"]\n' }, false],
  ])('S15 is left out unless it is asked for: %s', async (_what, settings, kept) => {
    const { files, said } = await copied({ a: '', '.git/HEAD': '', '.git/refs/heads/main': '', ...settings })
    const git = files.filter(file => file.startsWith('.git/'))
    expect(git).toEqual(kept ? ['.git/HEAD', '.git/refs/heads/main'] : [])
    expect(said.some(text => text.endsWith('possible secrets: .git'))).toBe(kept)
  })
})

describe('S19 files in UTF-16', () => {
  it.each([
    ['.dockerignore', 'b.log\r\n'],
    ['project.toml', '[build]\r\nexclude = ["b.log"]\r\n'],
  ])('are read by their byte order mark: %s', async (name, text) => {
    const root = await temporaryDirectory()
    await writeTree(root, { 'a.txt': '', 'b.log': '' })
    await writeFile(join(root, name), Buffer.from(`\u{FEFF}${text}`, 'utf16le'))
    const { filter } = await readSourceSettings({ dir: root, images: [], outputs: [], reporter: recorder() })
    expect([filter('a.txt', false), filter('b.log', false)]).toEqual(['no', 'subtree'])
  })
})

describe('what this build writes', () => {
  it('S18 is left out of the source, and said', async () => {
    const { files, said } = await copied(
      { 'a.txt': '', 'out/index.json': '', 'image.tar': '', 'cache/x': '', 'other/index.json': '' },
      {
        images: dir => [`oci:${dir}/out:latest`, `docker-archive:${dir}/image.tar`, 'hello', 'docker://r.example/x'],
        outputs: dir => [join(dir, 'cache'), '/elsewhere'],
      },
    )
    expect(files).toEqual(['a.txt', 'other/index.json'])
    expect(said).toHaveLength(3)
  })

  it('S18 takes the directories along that are there for it alone', async () => {
    const { to } = await copied(
      { 'ours/sbom/x': '', 'deep/er/cache/x': '', 'deep/y': '' },
      { outputs: dir => [join(dir, 'ours/sbom'), join(dir, 'deep/er/cache')] },
    )
    expect((await readdir(to, { recursive: true })).sort()).toEqual(['deep', 'deep/y'])
  })

  it('S18 cannot be the source itself', async () => {
    const dir = await temporaryDirectory()
    const input = { dir, images: [`oci:${dir}`], outputs: [], reporter: recorder() }
    expect(await failureOf(readSourceSettings(input))).toMatchObject({ code: 'arguments', where: dir })
  })
})

describe('names and links that no image can have', () => {
  it('T23 a file that would be a whiteout is refused with the user’s path', async () => {
    const error = await failureOf(copied({ 'a/.wh.b': '' }))
    expect(error).toMatchObject({ code: 'input', where: expect.stringMatching(/\/src\/a\/\.wh\.b$/) as string })
  })

  it('S06 links that lead out of the source are warned of; others are not', async () => {
    const links = {
      up: { link: '../x' },
      'a/up': { link: '../../x' },
      home: { link: '/home/me/x' },
      'a/in': { link: '../b' },
      abs: { link: '/usr/bin/env' },
    } as const
    const { said } = await copied({ ...links, 'b/c': '' })
    expect(said).toEqual(['links point outside the source, to files that are not in the image: a/up, home, up'])
  })
})
