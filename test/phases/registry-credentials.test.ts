import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type BuildEvent, silent } from '../../lifecycle/events.ts'
import type { BuildOutput } from '../../lifecycle/phases/export.ts'
import { Mask } from '../../lifecycle/phases/mask.ts'
import { maskCredentials, refuseCredentials } from '../../lifecycle/phases/registry-credentials.ts'
import type { SearchedSettings } from '../../lifecycle/phases/search-output.ts'
import { searchedCredentials } from '../../lifecycle/platform/searched-credentials.ts'
import type { Credential } from '../../lifecycle/stores/credentials/credential.ts'
import { FoundCredentials } from '../../lifecycle/stores/found-credentials.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'

const password = 'correct-horse-battery'
const login: Credential = { kind: 'password', username: 'robot$ci', password }
const registry = 'registry.example:5000'

async function leave(files: Tree): Promise<BuildOutput> {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'layers/config/metadata.toml': '', 'workspace/Procfile': '', ...files })
  return {
    layersDir: { host: join(dir, 'layers'), image: '/layers' },
    appDir: { host: join(dir, 'workspace'), image: '/workspace' },
    group: [{ id: 'acme/x', version: '1', api: '0.10' }],
    owner: { uid: 1000, gid: 1000 },
  }
}

const finding = (credential: Credential): FoundCredentials =>
  new FoundCredentials({ find: () => Promise.resolve(credential) })
const destinations = [{ repository: `${registry}/team/app` }]
const settings = { project: {} }

async function search(credential: Credential, files: Tree): Promise<unknown> {
  const inApp = Object.entries(files).map(([path, content]) => [`workspace/${path}`, content] as const)
  const output = await leave(Object.fromEntries(inApp))
  return refuseCredentials(finding(credential), destinations, output, { settings })
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

it.each<[string, Credential, Tree, string]>([
  [
    'in a config.json of Docker',
    login,
    { 'ci/.docker/config.json': JSON.stringify({ auths: { [registry]: { auth: base64(`robot$ci:${password}`) } } }) },
    '/workspace/ci/.docker/config.json',
  ],
  ['in a script', login, { 'push.sh': `docker login -u robot -p '${password}'\n` }, '/workspace/push.sh'],
  [
    'in a URL',
    { ...login, password: 'p@ss/word/of/ci' },
    { '.env': `REGISTRY=https://u:${encodeURIComponent('p@ss/word/of/ci')}@x` },
    '/workspace/.env',
  ],
  [
    'that are a token',
    { kind: 'identity-token', token: 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln' },
    { a: 'x eyJhbGciOiJSUzI1NiJ9.e30.c2ln y' },
    '/workspace/a',
  ],
])('K21 refuses registry credentials %s, with the place', async (_what, credential, files, where) => {
  expect(await failureOf(search(credential, files))).toMatchObject({
    code: 'input',
    message: `it contains credentials of ${registry}: nothing is published`,
    where,
  })
})

it('takes no short password for found: it may be any word', async () => {
  expect(await search({ ...login, password: 'testing' }, { 'a.txt': 'unit testing' })).toBeUndefined()
})

it('takes no word for found, only with its user: files contain words', async () => {
  const credential = { ...login, password: 'administrator' }
  expect(await search(credential, { 'a.txt': 'an administrator' })).toBeUndefined()
  const config = JSON.stringify({ auth: base64('robot$ci:administrator') })
  expect(await failureOf(search(credential, { 'config.json': config }))).toMatchObject({ code: 'input' })
})

it('finds nothing where there is nothing', async () => {
  expect(await search(login, { 'a.txt': 'correct horse' })).toBeUndefined()
})

it('takes no line of a key for found, as a key of a cloud is JSON with lines that many files have', async () => {
  const password = JSON.stringify(
    { type: 'service_account', project_id: 'my-project', private_key: 'abc' },
    undefined,
    2,
  )
  const credential: Credential = { kind: 'password', username: '_json_key', password }
  expect(await search(credential, { 'a.json': '{\n  "type": "service_account",\n  "x": 1\n}' })).toBeUndefined()
  expect(await failureOf(search(credential, { 'key.json': password }))).toMatchObject({ where: '/workspace/key.json' })
})

it('looks for nothing where the image goes to no registry, or a helper has no answer', async () => {
  const output = await leave({ 'workspace/a': password })
  await refuseCredentials(finding(login), [{}], output, { settings })
  const broken = new FoundCredentials({ find: () => Promise.reject(new Error('no helper')) })
  await refuseCredentials(broken, destinations, output, { settings })
})

it('looks for those with which images were read, too', async () => {
  const credentials = finding(login)
  await credentials.find('mirror.example/base/run')
  const output = await leave({ 'workspace/a': password })
  expect(await failureOf(refuseCredentials(credentials, [{}], output, { settings }))).toMatchObject({
    message: 'it contains credentials of mirror.example: nothing is published',
    where: '/workspace/a',
  })
})

const launch = '[types]\nlaunch = true\n'
const layer = { 'layers/acme_x/l.toml': launch, 'layers/acme_x/l/.npmrc': `_authToken=${password}` }
it.each<[string, Tree, SearchedSettings, string]>([
  ['a layer', layer, settings, '/layers/acme_x/l/.npmrc'],
  [
    'metadata of a layer',
    { 'layers/acme_x/l.toml': `${launch}[metadata]\nx = "${password}"\n` },
    settings,
    '/layers/acme_x/l.toml',
  ],
  ['a label of a buildpack', { 'layers/config/metadata.toml': password }, settings, '/layers/config/metadata.toml'],
  ['a label of the user', {}, { labels: { a: password }, project: {} }, 'label a'],
])('K21 refuses registry credentials in %s', async (_what, files, settings, where) => {
  const output = await leave(files)
  const refused = refuseCredentials(finding(login), destinations, output, { settings, since: 1 })
  expect(await failureOf(refused)).toMatchObject({ code: 'input', where })
})

it('reads no file of a layer that is older than the build, and every file without that time', async () => {
  const output = await leave(layer)
  const refuse = (since?: number) => refuseCredentials(finding(login), destinations, output, { settings, since })
  await refuse(Date.now() + 60_000)
  expect(await failureOf(refuse())).toMatchObject({ where: '/layers/acme_x/l/.npmrc' })
})

it('K21 searches old files of layers, too, unless the last build searched for the same credentials', async () => {
  const output = await leave(layer)
  const record = searchedCredentials(join(await temporaryDirectory(), 'apps/a'))
  const since = Date.now() + 60_000
  const refuse = (credential: Credential) =>
    refuseCredentials(finding(credential), destinations, output, { settings, since, record })
  // A build without credentials searches for none of them.
  await refuseCredentials(finding(login), [{}], output, { settings, since, record })
  expect(await failureOf(refuse(login))).toMatchObject({
    where: '/layers/acme_x/l/.npmrc',
    fix: expect.stringContaining('a buildpack wrote it there') as string,
  })
  const other = { ...login, password: 'another-long-password' }
  await refuse(other)
  expect(await failureOf(refuse(login))).toMatchObject({ code: 'input' })
  await writeTree(output.layersDir.host, { 'acme_x/l/.npmrc': '' })
  await refuse(login)
  await writeTree(output.layersDir.host, { 'acme_x/l/.npmrc': password })
  // Unsound only for a file that is older than the build, and that this build has written.
  await refuse(login)
  await refuseCredentials(finding(login), [{}], output, { settings, since, record })
  expect(await failureOf(refuse(login))).toMatchObject({ code: 'input' })
})

it('masks credentials as soon as they are found', async () => {
  const credentials = finding(login)
  const mask = new Mask([{ id: 'short', value: Buffer.from(password.slice(0, 8)) }])
  const events: BuildEvent[] = []
  const reporter = mask.masked({ ...silent, event: event => events.push(event) })
  maskCredentials(credentials, mask)
  await credentials.find(`${registry}/team/app`)
  for (const text of [password, base64(`robot$ci:${password}`)]) {
    reporter.event({ type: 'output', stream: 'stdout', text: `a ${text} b` })
    expect(events.pop()).toMatchObject({ text: 'a *** b' })
  }
})
