import { execFileSync } from 'node:child_process'
import { mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { openContext, subDirectory } from '../../lifecycle/platform/source-context.ts'
import { failureOf } from '../helpers/failure.ts'
import { zip } from '../helpers/zip.ts'
import { file, tar } from '../helpers/tar.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const signal = new AbortController().signal
const environment = { PATH: process.env.PATH, HOME: '/nowhere' }

async function open(
  text: string,
  changes: { stdin?: Readable; environment?: Record<string, string | undefined> } = {},
) {
  const workDir = await temporaryDirectory()
  return openContext(text, { workDir, environment, stdin: Readable.from([]), signal, ...changes })
}

describe('source', () => {
  it('is a directory, by its path or as kaniko writes it', async () => {
    expect(await open('/source')).toBe('/source')
    expect(await open('dir:///source/app')).toBe('/source/app')
  })

  it.each([
    ['as it is', (bytes: Buffer) => bytes],
    ['gzipped', gzipSync],
  ])('is a tar, %s, in a file and on standard input', async (_how, pack) => {
    const bytes = pack(tar(file('app/main.js', 'hello'), file('app/package.json', '{}')))
    const dir = await temporaryDirectory()
    await writeFile(join(dir, 'context.tar'), bytes)
    for (const unpacked of [
      await open(`tar://${dir}/context.tar`),
      await open('tar://stdin', { stdin: Readable.from([bytes.subarray(0, 1), bytes.subarray(1)]) }),
    ]) {
      expect(await readFile(join(unpacked, 'app/main.js'), 'utf8')).toBe('hello')
      expect(await subDirectory(unpacked, 'app')).toBe(join(unpacked, 'app'))
    }
  })

  it('is a zip file, or none that says what is wrong', async () => {
    const dir = await temporaryDirectory()
    await writeFile(join(dir, 'source.zip'), zip({ 'app/main.js': 'hello' }))
    await writeFile(join(dir, 'text.zip'), 'this is not a zip')
    await writeFile(join(dir, 'up.zip'), zip({ '../outside': 'x' }))
    expect(await readFile(join(await open(`zip://${dir}/source.zip`), 'app/main.js'), 'utf8')).toBe('hello')
    for (const name of ['text.zip', 'up.zip'])
      expect(await failureOf(open(`zip://${dir}/${name}`)), name).toMatchObject({
        code: 'input',
        where: `zip://${dir}/${name}`,
      })
    expect(await readdir(dir)).toHaveLength(3)
    expect(await failureOf(open(`zip://${dir}/absent`))).toMatchObject({ code: 'arguments' })
  })

  it('is refused as an archive that is none, or that leads out of itself', async () => {
    const dir = await temporaryDirectory()
    const put = async (name: string, bytes: Buffer) => writeFile(join(dir, name), bytes)
    await put('text', Buffer.from('this is not a tar, but a text of some length'.repeat(40)))
    await put('up', tar(file('../outside', 'x')))
    await put('cut', gzipSync(tar(file('a', 'x'.repeat(9000)))).subarray(0, 60))
    await put('empty', Buffer.alloc(0))
    for (const name of ['text', 'up', 'cut', 'empty'])
      expect(await failureOf(open(`tar://${dir}/${name}`)), name).toMatchObject({
        code: 'input',
        where: `tar://${dir}/${name}`,
      })
    expect(await readdir(dir)).toHaveLength(4)
    expect(await failureOf(open(`tar://${dir}/absent`))).toMatchObject({ code: 'arguments' })
  })

  it('is refused from where there is no client', async () => {
    for (const text of [
      's3://bucket/x.tgz',
      'gs://bucket/x',
      'https://user:secret@x.blob.core.windows.net/x?sig=secret',
    ]) {
      const error = await failureOf(open(text))
      expect(error).toMatchObject({ code: 'arguments', fix: expect.stringContaining('tar://FILE') as string })
      expect(JSON.stringify(error)).not.toContain('secret')
    }
  })

  it('has a directory that is named, and none outside', async () => {
    const dir = await temporaryDirectory()
    await mkdir(join(dir, 'app'))
    await symlink('/etc', join(dir, 'link'))
    for (const sub of ['absent', '../', '/etc', 'app/../..', 'link'])
      expect(await failureOf(subDirectory(dir, sub)), sub).toMatchObject({ code: 'arguments' })
  })
})

describe('source in git', () => {
  async function repository() {
    const dir = await temporaryDirectory()
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', dir, '-c', 'user.name=x', '-c', 'user.email=x@test', ...args], { encoding: 'utf8' })
    git('init', '--quiet', '--initial-branch=main')
    git('config', 'uploadpack.allowAnySHA1InWant', 'true')
    await writeFile(join(dir, 'main.js'), 'one')
    git('add', '.')
    git('commit', '--quiet', '-m', 'one')
    const first = git('rev-parse', 'HEAD').trim()
    git('checkout', '--quiet', '-b', 'next')
    await writeFile(join(dir, 'main.js'), 'two')
    git('commit', '--quiet', '-a', '-m', 'two')
    git('checkout', '--quiet', 'main')
    return { url: `git+file://${dir}`, first }
  }

  it('is a branch, or a commit', async () => {
    const { url, first } = await repository()
    const main = async (text: string) => readFile(join(await open(text), 'main.js'), 'utf8')
    expect(await main(url)).toBe('one')
    expect(await main(`${url}#refs/heads/next`)).toBe('two')
    expect(await main(`${url}#refs/heads/next#${first}`)).toBe('one')
  })

  it('is an error that names the address where there is none', async () => {
    const { url } = await repository()
    for (const text of [
      `${url}-absent`,
      `${url}#refs/heads/absent`,
      'git+file:///-x',
      'git+ext://sh',
      `${url}#--upload-pack=x`,
    ])
      expect(await failureOf(open(text)), text).toMatchObject({ code: 'arguments', where: text })
  })

  it.each([
    ['s3://me:qqz/x@jjk@bucket/app.tar?token=qqz', 's3://***@bucket/app.tar'],
    ['git+https://me:qqz/x@jjk@127.0.0.1:1/app', 'git+https://***@127.0.0.1:1/app'],
    ['git+http://me:qqz%40jjk@127.0.0.1:1/app#main', 'git+http://***@127.0.0.1:1/app#main'],
    ['git+https://qqz:@127.0.0.1:1/app', 'git+https://***@127.0.0.1:1/app'],
    ['git+http://me:qqz@127.0.0.1:1/app#a#b#c', 'git+http://***@127.0.0.1:1/app#a#b#c'],
  ])('K08 shows no password of %s, and git says none', async (text, shown) => {
    const error = (await failureOf(open(text))) as BaleError
    expect(error).toBeInstanceOf(BaleError)
    expect(error.where).toBe(shown)
    expect(`${error.message} ${error.fix} ${error.stack} ${JSON.stringify(error)}`).not.toMatch(/qqz|jjk/)
  })

  it('asks nobody for a password, and says what to set', async () => {
    const asked: (string | undefined)[] = []
    const server = createServer((request, reply) => {
      asked.push(request.headers.authorization)
      reply.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const url = `git+http://127.0.0.1:${(server.address() as AddressInfo).port}/app.git`
    expect(await failureOf(open(url))).toMatchObject({ fix: expect.stringContaining('GIT_TOKEN') as string })
    const error = await failureOf(open(url, { environment: { ...environment, GIT_TOKEN: 'canary-1' } }))
    expect(error).toMatchObject({ fix: expect.stringContaining('rejects') as string })
    expect(JSON.stringify(error)).not.toContain('canary-1')
    expect(asked).toContain(`Basic ${Buffer.from('token:canary-1').toString('base64')}`)
  })
})
