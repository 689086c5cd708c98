import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readSecrets } from '../../lifecycle/cli/secrets.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import { type BuildEvent, silent } from '../../lifecycle/events.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { BuildSecrets } from '../../lifecycle/phases/secrets.ts'
import { failureOf } from '../helpers/failure.ts'
import { configOf, layerOf } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

const value = 'hunter2/s3cret+"x"'
const secrets = new BuildSecrets([
  { id: 'token', type: 'npmrc', key: '.token'.slice(1), value: Buffer.from(`${value}\n`) },
])

describe('a secret', () => {
  it('is a binding', async () => {
    const dir = await temporaryDirectory()
    await secrets.writeBindings(dir)
    expect(await readFile(join(dir, 'bindings/token/type'), 'utf8')).toBe('npmrc')
    expect(await readFile(join(dir, 'bindings/token/token'), 'utf8')).toBe(`${value}\n`)
  })

  it.each([
    ['as it is', value],
    ['in base64', Buffer.from(value).toString('base64')],
    ['in hex', Buffer.from(value).toString('hex')],
    ['in a URL', encodeURIComponent(value)],
    ['in JSON', JSON.stringify(value).slice(1, -1)],
  ])('is masked in events and errors, %s', (_how, form) => {
    const events: BuildEvent[] = []
    const reporter = secrets.masked({ ...silent, event: event => events.push(event) })
    reporter.event({ type: 'output', stream: 'stdout', text: `a ${form} b` })
    reporter.event({
      type: 'detected',
      group: [],
      results: [{ id: 'x', version: '1', status: 'passed', optional: false, output: form }],
    })
    expect(events[0]).toMatchObject({ text: 'a *** b' })
    expect(events[1]).toMatchObject({ results: [{ output: '***' }] })
    const error = new BaleError('failed', form, { where: form, fix: form })
    expect(secrets.maskError(error)).toBe(error)
    expect([error.message, error.where, error.fix]).toEqual(['***', '***', '***'])
  })

  const group = [{ id: 'acme/x', version: '1', api: '0.10' }]
  async function leave(files: Parameters<typeof writeTree>[1]) {
    const dir = await temporaryDirectory()
    await mkdir(join(dir, 'layers'))
    await mkdir(join(dir, 'app'))
    await writeTree(dir, files)
    return {
      dir,
      output: {
        layersDir: { host: join(dir, 'layers'), image: '/layers' },
        appDir: { host: join(dir, 'app'), image: '/workspace' },
        group,
        owner: { uid: 1000, gid: 1000 },
      } as unknown as Parameters<BuildSecrets['refuseIn']>[0],
    }
  }
  const launch = '[types]\nlaunch = true\n'

  it.each([
    ['a file of the app', { 'app/a/.npmrc': `x ${value}` }, '/workspace/a/.npmrc'],
    [
      'a launch layer',
      { 'layers/acme_x/l.toml': launch, 'layers/acme_x/l/f': `${'-'.repeat(2 ** 20 - 5)}${value}` },
      '/layers/acme_x/l/f',
    ],
    [
      'a cached layer',
      { 'layers/acme_x/l.toml': '[types]\ncache = true\n', 'layers/acme_x/l/f': value },
      '/layers/acme_x/l/f',
    ],
    [
      'a label',
      { 'layers/config/metadata.toml': `[[labels]]\nkey = "a"\nvalue = ${JSON.stringify(value)}\n` },
      '/layers/config/metadata.toml',
    ],
    [
      'metadata of a layer',
      { 'layers/acme_x/l.toml': `${launch}[metadata]\nx = ${JSON.stringify(value)}\n`, 'layers/acme_x/l/f': '' },
      '/layers/acme_x/l.toml',
    ],
    [
      'a bill of materials',
      { 'layers/sbom/launch/x/sbom.cdx.json': Buffer.from(value).toString('base64') },
      '/layers/sbom/launch/x/sbom.cdx.json',
    ],
  ])('is found in %s', async (_where, files, place) => {
    const { output } = await leave(files)
    expect(await failureOf(secrets.refuseIn(output, { project: {} }))).toMatchObject({
      code: 'input',
      where: place,
      message: 'it contains the secret token, so the image is not published',
    })
  })

  it.each([
    ['a label of the user', { labels: { team: `x${value}` }, project: {} }, 'label team'],
    ['an annotation', { annotations: { team: value }, project: {} }, 'annotation team'],
    ['the project’s metadata', { project: { source: { url: value } } as never }, 'the project’s metadata'],
  ])('is found in %s', async (_where, settings, where) => {
    const { output } = await leave({})
    expect(await failureOf(secrets.refuseIn(output, settings))).toMatchObject({ code: 'input', where })
  })

  it('is found in the target of a link, and may be in a layer for the build alone', async () => {
    const { dir, output } = await leave({
      'layers/acme_x/l.toml': '[types]\nbuild = true\n',
      'layers/acme_x/l/f': value,
    })
    await secrets.refuseIn(output, { project: {} })
    await symlink(`/x/${value}`, join(dir, 'app/link'))
    expect(await failureOf(secrets.refuseIn(output, { project: {} }))).toMatchObject({ where: '/workspace/link' })
  })

  const config = (env: string) => configOf({ config: { Env: [env], Labels: { kept: 'yes' } } })
  it.each([
    ['a file', { '/srv/.npmrc': `${'-'.repeat(2 ** 16 - 5)}${value}` }, 'A=1', '/srv/.npmrc'],
    ['a name', { '/srv/hunter2/s3cret+"x"': '' }, 'A=1', '/srv/***'],
    ['a variable', {}, `TOKEN=${value}`, 'the run image’s variable TOKEN'],
  ])('is found in %s that image extensions have added to the run image', async (_where, files, env, where) => {
    const { output } = await leave({})
    const below = await layerOf({ '/srv/old': value }) // is published already
    const base = makeImage(config('A=1'), [below])
    const image = makeImage(config(env), [below, await layerOf({ '/srv/file': 'harmless', ...files })])
    await secrets.refuseIn({ ...output, extended: { base, image: base } }, { project: {} })
    expect(await failureOf(secrets.refuseIn({ ...output, extended: { base, image } }, { project: {} }))).toMatchObject({
      code: 'input',
      where,
    })
  })

  it('that is too short is said to be so', () => {
    const short = new BuildSecrets([{ id: 'pin', type: 'pin', key: 'pin', value: Buffer.from('1') }])
    const events: BuildEvent[] = []
    short.warnOfShort({ event: event => void events.push(event) })
    expect(events).toMatchObject([
      { type: 'warning', text: 'the secret pin is too short to mask it in the output, or to search for it' },
    ])
    expect(short.mask('11')).toBe('11')
  })
})

describe('--secret', () => {
  it('is a file or a variable', async () => {
    const dir = await temporaryDirectory()
    await writeFile(join(dir, 'npmrc'), 'abc')
    const env = { TOKEN: 'def', id3: 'ghi' }
    const read = await readSecrets([`id=a,type=npmrc,key=.npmrc,src=${dir}/npmrc`, 'id=b,env=TOKEN', 'id=id3'], env)
    expect(read.map(({ id, type, key, value: bytes }) => [id, type, key, Buffer.from(bytes).toString()])).toEqual([
      ['a', 'npmrc', '.npmrc', 'abc'],
      ['b', 'b', 'b', 'def'],
      ['id3', 'id3', 'id3', 'ghi'],
    ])
  })

  it.each([
    ['src=/x'],
    ['id=a,src=/x,env=Y'],
    ['canary-value'],
    ['id=a,src='],
    ['id=a,src=/absent-canary'],
    ['id=a,env=ABSENT'],
  ])('is refused as %j, without what may be its value', async text => {
    const error = await failureOf(readSecrets([text], {}))
    expect(error).toBeInstanceOf(BaleError)
    expect((error as BaleError).message).not.toContain('canary-value')
  })

  it('has names that are names of files', () => {
    const of = (id: string, key: string) => () => new BuildSecrets([{ id, type: 'x', key, value: Buffer.from('x') }])
    for (const id of ['../x', '', '.x', 'a/b']) expect(of(id, 'x')).toThrow('cannot be the name of a file')
    for (const key of ['..', '.', '', '..data', 'a/b', '../x'])
      expect(of('x', key)).toThrow('cannot be the name of a file')
    expect(of('npm', '.npmrc')).not.toThrow()
  })
})
