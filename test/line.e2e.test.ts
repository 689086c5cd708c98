import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bale, digestIn, inspect, root, serveAndAsk, startBale } from './helpers/bale.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

const flask = join(root, 'examples', 'flask')

describe('the line from source to a running image', () => {
  it('builds a Flask app, and the image serves its page', async () => {
    const built = await bale(['build', 'bale-test-flask', '--path', flask])
    expect(built.output).toMatch(/1 of \d+ buildpacks participating/)
    expect(built.code, built.output).toBe(0)
    const page = await serveAndAsk('bale-test-flask')
    expect(page.status).toBe(200)
    expect(page.body).toContain('built by Bale')
  })

  it('gives the same digest from another path, with another umask, time zone, locale and cache', async () => {
    // An image that another version of Bale made may give its layers to the next one, as they were compressed then.
    for (const name of ['bale-test-flask', 'bale-test-flask-2']) await bale(['image', 'rm', name])
    const first = digestIn(await bale(['build', 'bale-test-flask', '--path', flask, '--quiet']))
    const dir = await temporaryDirectory()
    const copy = join(dir, 'elsewhere', 'src')
    await cp(flask, copy, { recursive: true })
    const env = { TZ: 'Asia/Tokyo', LC_ALL: 'C', XDG_CACHE_HOME: join(dir, 'cache') }
    const prefix = ['sh', '-c', 'umask 077; exec "$@"', 'sh']
    expect(digestIn(await bale(['build', 'bale-test-flask-2', '--path', copy, '--quiet'], { env, prefix }))).toBe(first)
    expect(digestIn(await bale(['build', 'bale-test-flask', '--path', flask, '--quiet', '--clear-cache']))).toBe(first)
  })

  it('dates the image by SOURCE_DATE_EPOCH, and the layers not', async () => {
    const procfile = join(root, 'examples', 'procfile')
    const plain = await bale(['build', 'bale-test-procfile', '--path', procfile, '--quiet'])
    expect(plain.code, plain.output).toBe(0)
    const dated = await bale(['build', 'bale-test-dated', '--path', procfile, '--quiet'], {
      env: { SOURCE_DATE_EPOCH: '1700000000' },
    })
    expect(dated.code, dated.output).toBe(0)
    const [a, b] = [await inspect('bale-test-procfile'), await inspect('bale-test-dated')]
    expect(a.created).toBe('1980-01-01T00:00:01Z')
    expect(b.created).toBe('2023-11-14T22:13:20Z')
    expect(a.layers).toEqual(b.layers)
  })

  it('takes variables, tags and other places, and writes a report', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'src/Procfile': 'web: echo hello\n' })
    const args = [
      'build',
      `oci:${dir}/out:latest`,
      '--tag',
      `docker-archive:${dir}/out.tar:app:1`,
      '--path',
      `${dir}/src`,
      '--report-output-dir',
      dir,
      '--network',
      'none',
    ]
    const built = await bale(args)
    expect(built.code, built.output).toBe(0)
    const report = await readFile(join(dir, 'report.toml'), 'utf8')
    expect(report.match(/digest/g)).toHaveLength(1)
    expect((await readdir(dir)).sort()).toEqual(['out', 'out.tar', 'report.toml', 'src'])
    const inspected = await bale(['inspect', `docker-archive:${dir}/out.tar`])
    expect(inspected.stdout).toContain('web (default)')
  })

  it('S18 leaves out what it wrote into the source: the second image is the first one', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'app.py': 'print("hello")\n' })
    const outputs = ['--report-output-dir', dir, '--sbom-output-dir', dir, '--digest-file', join(dir, 'digest')]
    const env = { XDG_CACHE_HOME: join(dir, '.cache') }
    const build = () => bale(['build', `oci:${dir}/out:latest`, '--path', dir, ...outputs], { env })
    const first = await build()
    expect(first.code, first.output).toBe(0)
    for (const name of ['report.toml', 'layers/sbom', 'digest', 'out', '.cache/bale'])
      expect(existsSync(join(dir, name)), name).toBe(true)
    const second = await build()
    const digest = /^Digest: (sha256:[0-9a-f]{64})/m
    expect(digest.exec(second.output)?.[1], second.output).toBe(digest.exec(first.output)?.[1])
  })

  it('passes the exit code, arguments and variables of what it runs', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { Procfile: 'web: exit 7\nworker: echo "$GREETING from $(id -u)"\n' })
    expect((await bale(['build', 'bale-test-run', '--path', dir, '--quiet'])).code).toBe(0)
    expect((await bale(['run', 'bale-test-run'])).code).toBe(7)
    const worker = await bale(['run', 'bale-test-run', '--process', 'worker', '--env', 'GREETING=hello'])
    expect(worker.stdout).toBe('hello from 1001\n')
    expect((await bale(['run', 'bale-test-run', '--process', 'nope'])).stderr).toContain('worker')
  })
})

describe('what goes wrong', () => {
  it('no buildpack fits: 20, what each looked for, and what is there', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'notes.txt': 'x', 'lib/thing.c': 'x' })
    const { code, stderr } = await bale(['build', 'bale-test-none', '--path', dir])
    expect(code).toBe(20)
    expect(stderr).toContain('requirements.txt')
    expect(stderr).toContain('package.json')
    expect(stderr).toContain('lib/, notes.txt')
  })

  it('a directory that is not there: 3, and which', async () => {
    const { code, stderr } = await bale(['build', 'bale-test-none', '--path', '/no/such/dir'])
    expect(code).toBe(3)
    expect(stderr).toContain('/no/such/dir')
    expect(stderr).toContain('--path')
  })

  it('S02 a fifo in the source: an error that names it', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { Procfile: 'web: true\n' })
    const { execFileSync } = await import('node:child_process')
    execFileSync('mkfifo', [join(dir, 'pipe')])
    const { code, stderr } = await bale(['build', 'bale-test-none', '--path', dir])
    expect(code).not.toBe(0)
    expect(stderr).toContain(join(dir, 'pipe'))
  })

  it.each([
    [['build', 'Bad/Name'], 'lower case'],
    [['run'], 'missing required argument'],
    [['frobnicate'], 'frobnicate'],
    [['build', 'x', '--network', 'bridge'], 'none, host'],
    [['inspect', 'oci:/no/such/layout'], '/no/such/layout'],
    [['inspect', 'oci:/no/such/layout'], 'Fix: correct its name'],
    [['image', 'rm', 'bale-test-never-built'], 'bale image ls'],
    [['image', 'tag', 'bale-test-never-built', 'x'], 'bale image ls'],
    [['image', 'push', 'bale-test-never-built'], 'bale image ls'],
    [['image', 'save', 'bale-test-never-built', 'file:x'], 'docker-archive:FILE.tar'],
    [['build', 'a b'], 'letters and digits'],
    [['build', 'x', '--pth', '.'], 'Fix: bale build --help'],
    [['build', 'x', '--env-file', '/no/such/file'], 'ERROR: /no/such/file: cannot read the env file'],
    [['build', 'x', '--builder', 'examples/flask'], 'there is no builder at examples/flask'],
  ])('%j says what is wrong', async (args, words) => {
    const { code, stderr } = await bale(args)
    expect([1, 2, 3]).toContain(code)
    expect(stderr).toContain(words)
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  it('Ctrl-C in the middle of a build: 130, nothing left, and the previous image stays', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'src/Procfile': 'web: true\n' })
    const before = digestIn(await bale(['build', 'bale-test-cancel', '--path', `${dir}/src`, '--quiet']))
    await writeTree(dir, {
      'bp/buildpack.toml': 'api = "0.11"\n[buildpack]\nid = "slow"\nversion = "1.0.0"\n',
      'bp/bin/detect': { script: 'exit 0' },
      'bp/bin/build': { script: 'echo sleeping; sleep 987654' },
      'builder.toml': `[[buildpacks]]\nuri = "bp"\n[[order]]\n[[order.group]]\nid = "slow"\n[stack]\nuri = "${root}/stacks/trixie"\n`,
    })
    const cache = join(dir, 'cache')
    await mkdir(cache)
    const running = startBale(['build', 'bale-test-cancel', '--path', `${dir}/src`, '--builder', dir], {
      env: { XDG_CACHE_HOME: cache },
    })
    while (!running.output().includes('sleeping') && running.child.exitCode === null)
      await new Promise(r => setTimeout(r, 50))
    running.child.kill('SIGINT')
    const { code, stderr } = await running.ended
    expect(code).toBe(130)
    expect(stderr).toContain('SIGINT')
    expect(await readdir(join(cache, 'bale', 'work'))).toEqual([])
    const commands = await Promise.all(
      (await readdir('/proc'))
        .filter(n => /^\d+$/.test(n))
        .map(n => readFile(`/proc/${n}/cmdline`, 'utf8').catch(() => '')),
    )
    expect(commands.filter(c => c.includes('sleep\u0000987654'))).toEqual([])
    expect((await inspect('bale-test-cancel')).digest).toBe(before)
  })

  it('C03 a damaged cache: a warning, a rebuild, the same image', async () => {
    const dir = await temporaryDirectory()
    const env = { XDG_CACHE_HOME: dir }
    const first = digestIn(await bale(['build', 'bale-test-damaged', '--path', flask, '--quiet'], { env }))
    const apps = join(dir, 'bale', 'apps')
    for (const entry of await readdir(apps, { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && entry.name.endsWith('.tar')) await writeFile(join(entry.parentPath, entry.name), 'garbage')
    }
    const again = await bale(['build', 'bale-test-damaged', '--path', flask, '--quiet'], { env })
    expect(digestIn(again)).toBe(first)
    expect(again.output).toContain('Warning:')
  })
})
