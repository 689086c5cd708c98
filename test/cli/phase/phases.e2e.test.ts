import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { labelOf } from '../../../lifecycle/image/config.ts'
import { type Image, makeImage } from '../../../lifecycle/image/image.ts'
import { hostPlatform } from '../../../lifecycle/stores/settings.ts'
import { type DockerRegistry, missing, startDockerRegistry } from '../../helpers/docker-registry.ts'
import { layerOf } from '../../helpers/images.ts'
import { connect, connectTo } from '../../helpers/registry/set-up.ts'
import { suiteWith } from '../../helpers/skip.ts'
import { supervisorProgram } from '../../helpers/supervisor.ts'
import { processesWith, uniqueWord } from '../../helpers/processes.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'
import { environmentOf, machineTree, phases } from './line.ts'

// The phase binaries as processes of the bundle, against the registry that Docker made; as a platform runs them.

const root = resolve(import.meta.dirname, '../../..')
const asRoot = process.geteuid?.() === 0
const user = asRoot ? { uid: 1000, gid: 1000 } : { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
const absent = missing('docker-registry')

interface Ran {
  readonly status: number | null
  readonly lines: readonly string[]
  readonly milliseconds: number
}

suiteWith(
  'the phase binaries',
  absent === undefined ? { state: 'available', value: undefined } : { state: 'missing', reason: absent },
  () => {
    let registry: DockerRegistry
    /** Readable by every user, as /cnb/lifecycle is. */
    let lifecycle: string

    beforeAll(async () => {
      registry = await startDockerRegistry({ secure: false })
      lifecycle = mkdtempSync(join(tmpdir(), 'bale-lifecycle-'))
      chmodSync(lifecycle, 0o755)
      const bundle = "import('./scripts/bundle.mjs').then(m => m.bundlePhases(process.argv[1]))"
      execFileSync(process.execPath, ['--input-type=module', '-e', bundle, lifecycle], { cwd: root })
      cpSync(process.execPath, join(lifecycle, 'node'))
      cpSync(supervisorProgram(), join(lifecycle, 'supervisor'))
      const { at, registry: client } = connectTo(registry.host)
      const store = at('run')
      const layer = await store.putLayer(await layerOf({ '/etc/os-release': 'ID=debian\nVERSION_ID=13\n' }))
      const config = { ...hostPlatform(), rootfs: { type: 'layers' as const, diff_ids: [] }, config: { User: '1001' } }
      await store.putImage(makeImage(config, [layer]), ['latest'])
      await client.close()
    })
    afterAll(async () => {
      await registry.close()
      rmSync(lifecycle, { recursive: true, force: true })
    })

    /** A machine of the user that buildpacks run as. */
    async function makeMachine(tree: Tree = machineTree()): Promise<{ dir: string; renew(): Promise<void> }> {
      const dir = mkdtempSync(join(tmpdir(), 'bale-phases-'))
      chmodSync(dir, 0o755)
      await writeTree(dir, tree)
      const own = (): void => {
        if (!asRoot) return
        chownSync(dir, user.uid, user.gid)
        for (const path of readdirSync(dir, { recursive: true, encoding: 'utf8' }))
          chownSync(join(dir, path), user.uid, user.gid)
      }
      own()
      return {
        dir,
        async renew() {
          rmSync(join(dir, 'layers'), { recursive: true })
          await writeTree(dir, { layers: { dir: true } })
          own()
        },
      }
    }

    function start(dir: string, api: string, name: string, args: readonly string[] = [], ids: object = user) {
      const launcher = ['exporter', 'creator'].includes(name) ? [`-launcher=${join(dir, 'lifecycle/launcher')}`] : []
      const env = { ...environmentOf(dir, api), CNB_USER_ID: String(user.uid), CNB_GROUP_ID: String(user.gid) }
      return spawn(join(lifecycle, 'node'), [join(lifecycle, 'phase.cjs'), name, ...launcher, ...args], {
        env,
        cwd: '/',
        ...ids,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    }

    function run(dir: string, api: string, name: string, args: readonly string[], ids: object = user): Promise<Ran> {
      const started = performance.now()
      const child = start(dir, api, name, args, ids)
      let said = ''
      child.stdout.on('data', chunk => (said += String(chunk)))
      child.stderr.on('data', chunk => (said += String(chunk)))
      return new Promise((done, fail) => {
        child.once('error', fail)
        child.once('close', status =>
          done({ status, lines: said.split('\n'), milliseconds: performance.now() - started }),
        )
      })
    }

    async function line(dir: string, api: string, app: string): Promise<Record<string, Ran>> {
      const results: Record<string, Ran> = {}
      for (const name of phases) {
        const image = `${registry.host}/${app}`
        const args =
          { analyzer: [`-run-image=${registry.host}/run`, image], exporter: [image] }[name as 'analyzer'] ?? []
        const ran = await run(dir, api, name, args)
        expect(ran.status, `${name}: ${ran.lines.join('\n')}`).toBe(0)
        results[name] = ran
      }
      return results
    }

    async function pull(app: string): Promise<Image> {
      const image = await connect(registry.host).at(app).pull('latest', hostPlatform())
      if (image === undefined) throw new Error(`there is no ${app}`)
      return image
    }

    it.each(['0.7', '0.9', '0.12', '0.15'])(
      'at Platform API %s: five processes, again with what they left, and creator',
      async api => {
        const m = await makeMachine()
        try {
          const app = `app-${api}`
          await line(m.dir, api, app)
          const first = await pull(app)
          await m.renew()
          const second = await line(m.dir, api, app)
          expect(second['restorer']?.lines).toContain('Restoring data for "test/app:tools" from cache')
          expect(second['builder']?.lines).toContain('reusing modules')
          expect(second['exporter']?.lines).toContain("Reusing layer 'test/app:modules'")
          expect(second['exporter']?.lines).toContain("Reusing layer 'app'")

          // A creator that starts from nothing makes the first image again.
          await m.renew()
          rmSync(join(m.dir, 'cache'), { recursive: true })
          const created = await run(
            m.dir,
            api,
            'creator',
            [`-run-image=${registry.host}/run`, `${registry.host}/created-${api}`],
            {},
          )
          expect(created.status, created.lines.join('\n')).toBe(0)
          expect((await pull(`created-${api}`)).digest).toBe(first.digest)
          const report = readFileSync(join(m.dir, 'layers/report.toml'), 'utf8')
          expect(report.split('\n').filter(l => l.includes('digest'))).toEqual([`digest = "${first.digest}"`])
        } finally {
          rmSync(m.dir, { recursive: true, force: true })
        }
      },
    )

    // Each costs 5 to 20 ms of processor time at every start.
    it.each(['detector', 'analyzer'])('%s loads no part of Node that its work does not need', async name => {
      const m = await makeMachine()
      try {
        writeFileSync(
          join(m.dir, 'loaded.cjs'),
          `process.on('exit', () => console.log('\\n' + process.moduleLoadList.join('\\n')))`,
        )
        const phase = ['--require', join(m.dir, 'loaded.cjs'), join(lifecycle, 'phase.cjs'), name]
        const args = name === 'analyzer' ? [`-run-image=${registry.host}/run`, `${registry.host}/loaded`] : ['-version']
        const env = { ...environmentOf(m.dir, '0.13'), CNB_USER_ID: String(user.uid), CNB_GROUP_ID: String(user.gid) }
        const said = execFileSync(join(lifecycle, 'node'), [...phase, ...args], { env, cwd: '/', ...user }).toString()
        const loaded = said.split('\n').filter(line => line.startsWith('NativeModule '))
        expect(loaded).toContain('NativeModule fs')
        const needless = name === 'analyzer' ? ['http2', 'tls'] : ['http2', 'tls', 'net', 'zlib', 'child_process']
        expect(loaded.filter(line => needless.includes(line.slice(13)))).toEqual([])
      } finally {
        rmSync(m.dir, { recursive: true, force: true })
      }
    })

    it('O03 builder ends soon when nobody reads what it prints, and so does the buildpack', async () => {
      const word = uniqueWord()
      const m = await makeMachine({
        ...machineTree({ build: `exec yes ${word}` }),
        'layers/group.toml': '[[group]]\nid = "test/app"\nversion = "1.0.0"\napi = "0.11"\n',
        'layers/analyzed.toml':
          '[run-image]\nreference = "r.io/run"\n[run-image.target]\nos = "linux"\narch = "amd64"\n',
        'layers/plan.toml': '',
      })
      try {
        const child = start(m.dir, '0.15', 'builder')
        let errors = ''
        child.stderr.on('data', chunk => (errors += String(chunk)))
        child.stdout.once('data', () => child.stdout.destroy())
        const started = performance.now()
        const [status] = (await once(child, 'close')) as [number]
        expect(performance.now() - started).toBeLessThan(15_000)
        expect(status).toBeGreaterThan(0)
        expect(errors).not.toMatch(/\n\s+at /)
        expect(await processesWith(word)).toEqual([])
      } finally {
        rmSync(m.dir, { recursive: true, force: true })
      }
    })

    it('creator restores nothing but the store with -skip-restore, and gives the image all of its names', async () => {
      const m = await makeMachine()
      try {
        const image = `${registry.host}/skipped`
        const create = async (...args: string[]): Promise<Ran> => {
          const ran = await run(m.dir, '0.15', 'creator', [`-run-image=${registry.host}/run`, ...args, image], {})
          expect(ran.status, ran.lines.join('\n')).toBe(0)
          return ran
        }
        await create()
        await m.renew()
        const { lines } = await create('-skip-restore', `-tag=${registry.host}/tagged`)
        expect(lines.filter(l => /^Restoring|reusing modules|restored$/.test(l))).toEqual([])
        const app = await pull('skipped')
        expect(JSON.parse(labelOf(app.config, 'io.buildpacks.lifecycle.metadata') ?? '')).toMatchObject({
          buildpacks: [{ store: { metadata: { runs: 'again' } } }],
        })
        expect((await pull('tagged')).digest).toBe(app.digest)
      } finally {
        rmSync(m.dir, { recursive: true, force: true })
      }
    })

    it.each([
      ['0.7', '0.15'],
      ['0.15', '0.7'],
    ])('what %s left is restored and reused by %s', async (from, to) => {
      const m = await makeMachine()
      try {
        const app = `between-${from}-${to}`
        await line(m.dir, from, app)
        await m.renew()
        const second = await line(m.dir, to, app)
        expect(second['restorer']?.lines).toContain('Restoring metadata for "test/app:modules" from app image')
        expect(second['restorer']?.lines).toContain('Restoring data for "test/app:both" from cache')
        expect(second['exporter']?.lines).toContain("Reusing layer 'test/app:both'")
        const { config } = await pull(app)
        expect(JSON.parse(labelOf(config, 'io.buildpacks.lifecycle.metadata') ?? '')).toMatchObject({
          buildpacks: [{ key: 'test/app', store: { metadata: { runs: 'again' } } }],
        })
      } finally {
        rmSync(m.dir, { recursive: true, force: true })
      }
    })
  },
)
