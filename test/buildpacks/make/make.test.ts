import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { make } from '../../../buildpacks/make/make.ts'
import { elfKind } from '../../../buildpacks/make/output.ts'
import type { Runner } from '../../../buildpacks/sdk/command.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { openProject } from '../sdk/project.ts'

const dir = join(import.meta.dirname, '../../../buildpacks/make')

/** The header of an ELF file (elf(5)): a program asks for a loader, a library does not. */
function elf(type: 'program' | 'pie' | 'library' | 'object'): Buffer {
  const header = Buffer.alloc(64 + 56)
  header.write('\x7fELF\x02\x01\x01', 'latin1')
  header.writeUInt16LE({ object: 1, program: 2, pie: 3, library: 3 }[type], 16)
  header.writeBigUInt64LE(64n, 32)
  header.writeUInt16LE(56, 54)
  header.writeUInt16LE(1, 56)
  header.writeUInt32LE(type === 'pie' ? 3 : 1, 64)
  return header
}

type Made = Readonly<Record<string, ReturnType<typeof elf> | string>>

/** make and configure, which make the files that a test says; `make install` those below its prefix. */
function project(app: Tree, made: Made, options: { env?: Record<string, string>; installed?: Made } = {}) {
  const commands: string[] = []
  const write = async (root: string, files: Made) => {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), content)
    }
  }
  const runner: Runner = async ({ argv, cwd }) => {
    commands.push(
      argv
        .join(' ')
        .replace(/-j\d+/, '-j')
        .replaceAll(/=\/\S*stage/g, '=STAGE'),
    )
    const prefix = argv.find(word => word.startsWith('prefix='))?.slice('prefix='.length)
    if (argv.includes('install')) await write(prefix ?? '', options.installed ?? {})
    else if (argv[1]?.endsWith('configure')) await writeFile(join(cwd, 'Makefile'), 'all:\n')
    else await write(cwd, made)
    return { exitCode: 0, stdout: '', stderr: '' }
  }
  const opened = openProject({ buildpack: make, dir, app, env: options.env ?? {}, runner })
  return { opened, commands }
}

async function build(...args: Parameters<typeof project>) {
  const { opened, commands } = project(...args)
  const built = await opened
  const outcome = await built.build()
  const types = (outcome.launch as { processes?: { type: string }[] } | undefined)?.processes?.map(({ type }) => type)
  return { ...outcome, types, commands, project: built, files: (await readdir(built.appDir)).toSorted() }
}

const source = { Makefile: 'all:\n', 'main.c': '' }

describe('an ELF file', () => {
  it.each([
    ['program', 'program'],
    ['pie', 'program'],
    ['library', 'library'],
    ['object', undefined],
  ] as const)('of the kind %s is a %s', async (type, expected) => {
    const file = join(await temporaryDirectory(), 'x')
    await writeFile(file, elf(type))
    expect(await elfKind(file)).toBe(expected)
  })

  it.each(['', '#!/bin/sh\n', '\x7fELF'])('is not %j', async content => {
    const file = join(await temporaryDirectory(), 'x')
    await writeFile(file, content)
    expect(await elfKind(file)).toBeUndefined()
  })
})

describe('a Makefile', () => {
  it('makes programs, which are processes; sources are not in the image', async () => {
    const app = { ...source, 'util.h': '', 'data.txt': '' }
    const { exitCode, output, types, commands, files, layers } = await build(app, {
      web: elf('pie'),
      'main.o': elf('object'),
    })
    expect(exitCode, output).toBe(0)
    expect(commands).toEqual(['make -j'])
    expect(types).toEqual(['web'])
    expect(files).toEqual(['data.txt'])
    expect(layers['programs']?.types.launch).toBe(true)
  })

  it('does not take programs of the source for its own', async () => {
    const { opened } = project({ ...source, 'vendored/tool': new Uint8Array(elf('program')) }, { server: elf('pie') })
    const built = await opened
    expect((await built.build()).output).toContain('Programs: server\n')
  })

  it('installs where it can', async () => {
    const { types, commands, layers } = await build(
      { Makefile: 'all:\ninstall:\n', 'main.c': '' },
      { x: elf('pie') },
      {
        installed: {
          'bin/server': elf('pie'),
          'lib/libours.so.1': elf('library'),
          'share/ours/page.html': 'x',
          'share/man/x': '',
        },
      },
    )
    expect(commands).toEqual(['make -j', 'make install prefix=STAGE PREFIX=STAGE'])
    expect(types).toEqual(['web', 'server'])
    expect(Object.keys(layers).toSorted()).toEqual(['libraries', 'programs', 'share'])
  })

  it('is made by configure', async () => {
    const env = { BP_CONFIGURE_ARGUMENTS: '--with-x "a b"', BP_MAKE_ARGUMENTS: 'release CFLAGS=-O3' }
    const { commands } = await build({ configure: '', 'main.c': '' }, { server: elf('pie') }, { env })
    expect(commands).toEqual(['sh ./configure --prefix=STAGE --with-x a b', 'make -j release CFLAGS=-O3'])
  })
})

it('runs the commands of settings in place of what the files say', async () => {
  const env = { RAILPACK_INSTALL_CMD: './fetch', RAILPACK_BUILD_CMD: './build all' }
  const { commands, types } = await build(source, { server: elf('pie') }, { env })
  expect(commands).toEqual(['bash -c ./fetch', 'bash -c ./build all'])
  expect(types).toEqual(['web', 'server'])
})

it('leaves the start to a Procfile', async () => {
  const { exitCode, launch } = await build({ ...source, Procfile: 'web: sh run.sh' }, { 'run.sh': 'echo' })
  expect({ exitCode, launch }).toEqual({ exitCode: 0, launch: undefined })
})

it('says so if the build made no program', async () => {
  const { exitCode, output } = await build(source, { 'x.o': elf('object') })
  expect(exitCode).toBe(1)
  expect(output).toContain('Error: the build made no program\n  let it install a program, or add a Procfile')
})
