import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createStack, type StackImage } from '../../lifecycle/stacks/create.ts'

const stackFile = resolve(import.meta.dirname, '../../stacks/static/stack.toml')
let dir: string
let run: StackImage
let names: string[]

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bale-static-'))
  // The build image is that of stacks/trixie, whose tests make it: here it is as small as the other.
  const text = await readFile(stackFile, 'utf8')
  const packages = text.slice(text.lastIndexOf('packages = ['), text.lastIndexOf('# The packages that stay'))
  const small = text.replace(/^packages = \[[^\]]*\]\n/m, packages).replace('essential = true', 'essential = false')
  await writeFile(join(dir, 'stack.toml'), small)
  const signal = new AbortController().signal
  run = (await createStack({ stackDir: dir, outDir: join(dir, 'out'), environment: process.env, signal })).run
  names = execFileSync('tar', ['-tf', run.tar], { encoding: 'utf8' }).split('\n')
})
afterAll(() => rm(dir, { recursive: true, force: true }))

it('takes less than 3 MB, unpacked', () => expect(run.size).toBeLessThan(3_000_000))

it('records the packages that it has, for scanners', () => {
  expect(run.packages.map(({ name }) => name)).toEqual(['base-files', 'ca-certificates', 'netbase', 'tzdata'])
})

it('has certificates, time zones and accounts', () => {
  const wanted = [
    'etc/ssl/certs/ca-certificates.crt',
    'usr/share/zoneinfo/Europe/Berlin',
    'etc/passwd',
    'etc/os-release',
  ]
  expect(wanted.filter(name => !names.includes(name))).toEqual([])
})

it('has neither a program nor a shared library', () => {
  expect(names.filter(name => /^usr\/s?bin\/.|\.so(\.|$)/.test(name))).toEqual([])
})
