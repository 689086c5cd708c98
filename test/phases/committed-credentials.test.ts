import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { refuseCredentials } from '../../lifecycle/phases/committed-credentials.ts'
import { type Credential, recorded } from '../../lifecycle/stores/credentials.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const password = 'correct-horse-battery'
const login: Credential = { kind: 'password', username: 'robot$ci', password }
const registry = 'registry.example:5000'

async function search(credential: Credential, files: Record<string, string>): Promise<unknown> {
  const host = await temporaryDirectory()
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(host, path)), { recursive: true })
    await writeFile(join(host, path), content)
  }
  const credentials = recorded({ find: () => Promise.resolve(credential) })
  await credentials.find(`${registry}/team/app`)
  return refuseCredentials(credentials.used, { host, image: '/workspace' })
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

it.each<[string, Credential, Record<string, string>, string]>([
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
    message: `it holds the credentials of ${registry}, with which the image would be published`,
    where,
  })
})

it('takes no short password for found: it may be any word', async () => {
  expect(await search({ ...login, password: 'testing' }, { 'a.txt': 'unit testing' })).toBeUndefined()
})

it('finds nothing where there is nothing', async () => {
  expect(await search(login, { 'a.txt': 'correct horse' })).toBeUndefined()
  const none = recorded({ find: () => Promise.resolve(undefined) })
  await none.find(registry)
  expect(none.used.size).toBe(0)
})
