import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findEmulator } from '../../lifecycle/processes/emulation.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

/** A machine with these entries of binfmt_misc, and with these programs. */
async function machine(entries: Readonly<Record<string, string>>, programs: readonly string[] = []) {
  const [binfmt, path] = [await temporaryDirectory(), await temporaryDirectory()]
  for (const [name, text] of Object.entries(entries)) await writeFile(join(binfmt, name), text)
  for (const name of programs) {
    await writeFile(join(path, name), '')
    await chmod(join(path, name), 0o755)
  }
  const tried: string[] = []
  const places = (takes: boolean) => ({
    binfmt,
    path: `/nonexistent:${path}`,
    tryRegistration(registration: string) {
      tried.push(registration)
      return Promise.resolve(takes)
    },
  })
  return { path, places, tried }
}

const entry = (flags: string, state = 'enabled') =>
  `${state}\ninterpreter /usr/bin/qemu-aarch64-static\nflags: ${flags}\noffset 0\nmagic 7f454c46\nmask ffffffff\n`

describe('what runs programs of another architecture', () => {
  it('is what the machine has registered, if the kernel opened it then, and opens programs that cannot be read', async () => {
    const { places, tried } = await machine({ 'qemu-aarch64': entry('POCF') }, ['qemu-aarch64-static'])
    expect(await findEmulator('arm64', places(true))).toEqual({ architecture: 'arm64' })
    expect(tried).toEqual([])
  })

  it.each([
    ['without the flag F', entry('PO')],
    ['without the flag O', entry('PF')],
    ['that is disabled', entry('POCF', 'disabled')],
  ])('is else a registration of ours: one %s is of no use in another root file system', async (_name, text) => {
    const { places, path, tried } = await machine({ 'qemu-aarch64': text }, ['qemu-aarch64-static'])
    const registration =
      String.raw`:qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00` +
      String.raw`:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff` +
      `:${join(path, 'qemu-aarch64-static')}:FOP`
    expect(await findEmulator('arm64', places(true))).toEqual({ architecture: 'arm64', registration })
    expect(tried).toEqual([registration])
  })

  it('has the number of each architecture', async () => {
    const { places } = await machine({}, ['qemu-x86_64-static'])
    const { registration } = await findEmulator('amd64', places(true))
    expect(registration).toContain(String.raw`\x02\x00\x3e\x00:`)
  })

  it('is to be installed', async () => {
    const { places } = await machine({})
    expect(await failureOf(findEmulator('arm64', places(true)))).toMatchObject({
      code: 'engine',
      message: 'this machine cannot run programs for linux/arm64: qemu-aarch64-static is not installed',
      fix: 'apt-get install qemu-user-static, or the like',
    })
  })

  it('is to be installed where the machine’s own cannot do what is needed, which is said', async () => {
    const { places } = await machine({ 'qemu-aarch64': entry('PF') })
    expect(await failureOf(findEmulator('arm64', places(true)))).toMatchObject({
      message: expect.stringMatching(
        /is not installed, and the machine's own, qemu-aarch64, lacks the flag O$/,
      ) as string,
    })
  })

  it('is refused by an older kernel', async () => {
    const { places } = await machine({}, ['qemu-aarch64-static'])
    const error = await failureOf(findEmulator('arm64', places(false)))
    expect(error).toMatchObject({ code: 'engine', message: expect.stringContaining('Linux 6.7') as string })
    expect(error).toMatchObject({ fix: expect.stringContaining('qemu-user-static binfmt-support') as string })
  })

  it('is not known for others', async () => {
    const { places } = await machine({})
    expect(await failureOf(findEmulator('riscv64', places(true)))).toMatchObject({
      code: 'engine',
      fix: 'use one of amd64, arm64',
    })
  })
})
