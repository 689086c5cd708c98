import { readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { apt } from '../../buildpacks/apt/apt.ts'
import { parseAlternatives } from '../../buildpacks/debian/alternatives.ts'
import { TestProject, type Tree } from '../../buildpacks/sdk/testing.ts'
import { FakeDebian } from './python/fake-debian.ts'

const dir = join(import.meta.dirname, '../../buildpacks/apt')

async function project(app: Tree, env: Record<string, string> = {}) {
  const debian = new FakeDebian()
  debian.packages = {
    ...debian.packages,
    jq: { version: '1.7.1-6', depends: ['libjq1'], files: { 'usr/bin/jq': 'ELF' } },
    libjq1: { version: '1.7.1-6', files: { 'usr/lib/x86_64-linux-gnu/libjq.so.1': 'ELF' } },
    libblas3: {
      version: '3.12.1-2',
      files: {
        'usr/lib/x86_64-linux-gnu/blas/libblas.so.3': 'ELF',
        'etc/ld.so.conf.d/gl.conf': '# more\n/usr/lib/gl\n',
        'usr/lib/gl/x': '',
      },
      postinst:
        'case $1 in\nconfigure)\n  update-alternatives --install \\\n    /usr/lib/x86_64-linux-gnu/libblas.so.3 libblas.so.3 /usr/lib/x86_64-linux-gnu/blas/libblas.so.3 10\nesac\n',
    },
  }
  const made = await TestProject.create({ buildpack: apt, dir, app, env, runner: debian.runner })
  onTestFinished(() => made[Symbol.asyncDispose]())
  return { project: made, debian }
}

const failureIn = async (app: Tree, env?: Record<string, string>) => {
  const outcome = await (await project(app, env)).project.detect()
  expect(outcome.exitCode).not.toBe(0)
  return outcome.output
}

describe('the apt buildpack', () => {
  it('takes no part without a package, and says where it looked', async () => {
    expect(await failureIn({ Aptfile: '# nothing\n' })).toContain(
      'none of Aptfile, project.toml, BP_APT_PACKAGES, RAILPACK_BUILD_APT_PACKAGES, RAILPACK_DEPLOY_APT_PACKAGES names',
    )
  })

  it.each([
    ['Aptfile:2: "Jq" is not the name of a Debian package', { Aptfile: 'jq\nJq\n' }],
    ['Aptfile:1: "--yes" is not the name', { Aptfile: '--yes' }],
    ['Aptfile:1: https:… is not a Debian package in the archive', { Aptfile: 'https://user:secret@host.test/x.deb' }],
    ['deb-packages.install: is not a list', { 'project.toml': '[com.heroku.buildpacks.deb-packages]\ninstall = "jq"' }],
  ])('refuses %s', async (message, app) => {
    const output = await failureIn(app)
    expect(output).toContain(message)
    expect(output).not.toContain('secret')
  })

  it('puts packages and what they depend on into a layer of the build and one of the image', async () => {
    const { project: p } = await project({ Aptfile: 'jq # for the worker\n' })
    const { exitCode, output, layers } = await p.build()
    expect(exitCode, output).toBe(0)
    expect(layers['build-packages']?.types).toEqual({ build: true, launch: false, cache: true })
    expect(layers['packages']?.types).toEqual({ build: false, launch: true, cache: false })
    const layer = join(p.layersDir, 'packages')
    expect(await p.read('layers/packages/env.launch/PATH.prepend')).toBe(join(layer, 'usr/bin'))
    expect(await p.read('layers/packages/env.launch/LD_LIBRARY_PATH.prepend')).toContain(
      join(layer, 'usr/lib/x86_64-linux-gnu'),
    )
    expect(await p.read('layers/packages/var/lib/dpkg/status.d/libjq1')).toContain('Status: install ok installed')
    expect(await p.read('layers/packages.sbom.cdx.json')).toContain('pkg:deb/debian/libjq1@1.7.1-6')
    await p.nextBuild()
    expect((await p.build()).output).toContain('Using the Debian packages jq of the previous image')
  })

  it('knows packages for the build or the image alone, and packages without their dependencies', async () => {
    const { project: p, debian } = await project(
      { 'project.toml': '[com.heroku.buildpacks.deb-packages]\ninstall = [{ name = "jq", skip_dependencies = true }]' },
      { RAILPACK_BUILD_APT_PACKAGES: 'libpython3.13-dev', RAILPACK_DEPLOY_APT_PACKAGES: 'libblas3,libffi8' },
    )
    expect((await p.build()).exitCode).toBe(0)
    const downloads = debian.commands.filter(command => command.startsWith('apt-get download'))
    expect(downloads).toEqual([
      'apt-get download libc6-dev=2.41-12 libpython3.13-dev=3.13.5-2 jq=1.7.1-6',
      'apt-get download libblas3=3.12.1-2 libffi8=1:3.4.8-2 jq=1.7.1-6',
    ])
  })

  it('brings Perl’s interpreter, which the run image has not, to programs that find it on the PATH', async () => {
    const { project: p, debian } = await project({}, { RAILPACK_DEPLOY_APT_PACKAGES: 'starman' })
    debian.packages = {
      ...debian.packages,
      starman: {
        version: '0.4017-1',
        depends: ['perl'],
        files: { 'usr/bin/starman': '#!/usr/bin/perl -w\nprint 1;\n', 'usr/bin/tool': '#!/bin/sh\n' },
      },
      perl: { version: '5.40.1-6', files: { 'usr/share/perl/5.40/strict.pm': '' } },
      'perl-base': { version: '5.40.1-6', files: { 'usr/bin/perl': 'ELF' } },
    }
    const { exitCode, output } = await p.build()
    expect(exitCode, output).toBe(0)
    expect(await p.read('layers/packages/usr/bin/perl')).toBe('ELF')
    expect(await p.read('layers/packages/usr/bin/starman')).toBe('#!/usr/bin/env -S perl -w\nprint 1;\n')
    expect(await p.read('layers/packages/usr/bin/tool')).toBe('#!/bin/sh\n')
    expect(await p.read('layers/packages/env.launch/PERL5LIB.prepend')).toContain('usr/share/perl/5.40')
    expect(await p.read('layers/packages.sbom.cdx.json')).toContain('pkg:deb/debian/perl-base@5.40.1-6')
  })

  it('makes the links of alternatives, and finds the directories of ld.so.conf.d', async () => {
    const { project: p } = await project({}, { BP_APT_PACKAGES: 'libblas3' })
    await p.build()
    const layer = join(p.layersDir, 'packages')
    expect(await readlink(join(layer, 'usr/lib/x86_64-linux-gnu/libblas.so.3'))).toBe('blas/libblas.so.3')
    expect(await p.read('layers/packages/env.launch/LD_LIBRARY_PATH.prepend')).toBe(
      ['usr/lib/gl', 'usr/lib/x86_64-linux-gnu', 'usr/lib'].map(path => join(layer, path)).join(':'),
    )
  })

  it('says which line names a package that the archive does not have', async () => {
    const { project: p } = await project({ Aptfile: 'jq\n\nnonesuch\n' })
    const { exitCode, output } = await p.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('Aptfile:3: apt-get: E: Unable to locate package nonesuch')
  })
})

describe('parseAlternatives', () => {
  it('reads links and slaves, and nothing that the script computes', () => {
    const script = [
      'update-alternatives --quiet --install /usr/bin/vi vi /usr/bin/vim 30 --slave /usr/share/vi.1 vi.1 /usr/share/vim.1',
      'update-alternatives --install $dir/x x /usr/bin/y 10',
      'update-alternatives --install /../../x x /usr/bin/y 10',
      'update-alternatives --remove vi /usr/bin/vim',
    ].join('\n')
    expect(parseAlternatives(script)).toEqual([
      { link: '/usr/bin/vi', path: '/usr/bin/vim', priority: 30 },
      { link: '/usr/share/vi.1', path: '/usr/share/vim.1', priority: 30 },
    ])
  })
})
