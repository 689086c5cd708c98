import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { refuseCredentials } from '../../lifecycle/phases/committed-credentials.ts'
import type { Credential } from '../../lifecycle/stores/credentials/credential.ts'
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
  return refuseCredentials({ find: () => Promise.resolve(credential) }, [{ repository: `${registry}/team/app` }], {
    host,
    image: '/workspace',
  })
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
    message: `it contains credentials of ${registry}, which the image would publish`,
    where,
  })
})

it('takes no short password for found: it may be any word', async () => {
  expect(await search({ ...login, password: 'testing' }, { 'a.txt': 'unit testing' })).toBeUndefined()
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
  const files = { host: await temporaryDirectory(), image: '/workspace' }
  await writeFile(join(files.host, 'a'), password)
  await refuseCredentials({ find: () => Promise.resolve(login) }, [{}], files)
  await refuseCredentials({ find: () => Promise.reject(new Error('no helper')) }, [{ repository: registry }], files)
})
